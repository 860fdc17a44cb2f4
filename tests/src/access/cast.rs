//! The callers of the access matrix, and the things that they ask for.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, ensure};
use chrono::Days;
use futures_util::future::try_join_all;
use serde_json::{Value, json};

use super::Caller;
use crate::{
    client::Client,
    documents, eventually,
    person::{Hold, PASSWORD, Person, fresh_key, id_of, next_number},
    process::Berth,
    timetable, today,
};

/// Longer than the life of an access token.
const PAST_TOKENS_SECS: i64 = 601;
const SUSPEND: &str = "mutation($input: SuspendAccountInput!) { suspendAccount(input: $input) { __typename \
     ... on SuspendAccountSuccess { account { id } } ... on UserError { code } } }";
const SIGN_OUT: &str = "mutation { signOut { __typename } }";
const ADD_BANK: &str = "mutation($input: AddBankAccountInput!) { addBankAccount(input: $input) { __typename \
     ... on AddBankAccountSuccess { bankAccount { id } } ... on UserError { code } } }";
const CHANGE_EMAIL: &str = "mutation($input: RequestEmailChangeInput!) { requestEmailChange(input: $input) { __typename \
     ... on RequestContactChangeSuccess { changeId } ... on UserError { code } } }";
const NOTIFICATION: &str = "{ me { notifications(first: 1) { nodes { id } } } }";
const SESSION: &str = "{ me { sessions(first: 1) { nodes { id } } } }";

/// Whose tokens are worth nothing.
const TURNED_AWAY: [Caller; 3] = [Caller::Expired, Caller::Revoked, Caller::Suspended];
/// How long every process takes to hear that a session was ended, at most: see docs/decisions/0017-ended-sessions.md.
const HEARD_WITHIN: Duration = Duration::from_secs(20);

/// Everybody, and everything they ask for.
pub struct Cast {
    nobody: Client,
    people: BTreeMap<Caller, Person>,
    holds: BTreeMap<Caller, Hold>,
    things: BTreeMap<&'static str, String>,
}

impl Cast {
    /// Brings everybody into a Berth that was just started.
    pub async fn gather(berth: &mut Berth) -> anyhow::Result<Self> {
        let nobody = berth.client()?;
        let callers = Caller::ALL.into_iter().filter(|caller| *caller != Caller::Anonymous);
        let sign_up = |caller: Caller| {
            let client = nobody.clone();
            async move { Ok::<_, anyhow::Error>((caller, Person::sign_up(&client, caller.name()).await?)) }
        };
        let mut people: BTreeMap<_, _> = try_join_all(callers.map(sign_up)).await?.into_iter().collect();
        let victim = Person::sign_up(&nobody, "victim").await?;
        for (caller, role) in [(Caller::OrganizerX, "ORGANIZER"), (Caller::OrganizerY, "ORGANIZER"), (Caller::Admin, "ADMIN")] {
            grant(berth, &people[&caller].email, role)?;
        }
        nobody.advance(PAST_TOKENS_SECS).await?;
        for (caller, person) in &mut people {
            if *caller != Caller::Expired {
                person.refresh().await?;
            }
        }
        let mut bank = String::new();
        for (caller, person) in people.iter().filter(|(caller, _)| **caller != Caller::Expired) {
            let input = json!({ "bankCode": "014", "holderName": "Siti", "number": "700123456789" });
            let added = person.client.mutate(ADD_BANK, input).await?.done()?;
            if *caller == Caller::Owner {
                bank = id_of(&added["bankAccount"])?;
            }
        }
        people[&Caller::Revoked].client.query(SIGN_OUT, Value::Null).await?;
        let input = json!({ "accountId": people[&Caller::Suspended].id });
        people[&Caller::Admin].client.mutate(SUSPEND, input).await?.done()?;
        for turned_away in [Caller::Revoked, Caller::Suspended] {
            let client = &people[&turned_away].client;
            eventually("a token dies with its session", HEARD_WITHIN, || async {
                Ok((client.send("{ __typename }", Value::Null).await?.status == 401).then_some(()))
            })
            .await?;
        }
        let mut cast = Self { nobody, people, holds: BTreeMap::new(), things: BTreeMap::new() };
        cast.things.extend([("victim", victim.id), ("bank", bank)]);
        cast.furnish().await?;
        Ok(cast)
    }

    /// Makes the things.
    async fn furnish(&mut self) -> anyhow::Result<()> {
        let train = timetable::demo_train(&self.nobody, 2).await?;
        let segment = train.whole();
        let free = timetable::free_seats(&self.nobody, &segment, 3).await?;
        let owner = &self.people[&Caller::Owner];
        let held = owner.hold(&segment, &[&free[0]]).await?;
        let bought = owner.buy(&segment, &[&free[1]]).await?;
        let open = owner.hold(&segment, &[&free[2]]).await?;
        let passenger = json!({ "fullName": "Ani", "idType": "PASSPORT", "idNumber": "C1234567", "birthDate": "1990-01-01" });
        let passenger = owner.client.mutate(documents::ADD_PASSENGER, passenger).await?.done()?;
        // The newest in the list is on another device.
        Person::sign_in(&self.nobody, &owner.email).await?;
        let session = owner.client.query(SESSION, Value::Null).await?;
        let told = owner.client.query(NOTIFICATION, Value::Null).await?;
        let wish = json!({ "password": PASSWORD, "newEmail": format!("wanted-{}@example.org", next_number()) });
        let change = owner.client.mutate(CHANGE_EMAIL, wish).await?.done()?;
        let stations = timetable::stations(&self.nobody, None).await?;
        let things = [
            ("trip", train.id.clone()),
            ("from", segment.from.clone()),
            ("to", segment.to.clone()),
            ("seat", free[0].clone()),
            ("station_a", stations[0].0.clone()),
            ("station_b", stations[1].0.clone()),
            ("date", (today() + Days::new(7)).to_string()),
            ("held_seat", held.items[0].clone()),
            ("hold", held.id),
            ("booking", id_of(&bought)?),
            ("ticket", id_of(&bought["tickets"][0])?),
            ("payment", id_of(&bought["payments"][0])?),
            ("open_booking", owner.book(&open).await?),
            ("spare_hold", owner.hold_best(&segment, 1).await?.id),
            ("passenger", id_of(&passenger["passenger"])?),
            ("session", id_of(&session["me"]["sessions"]["nodes"][0])?),
            ("notification", id_of(&told["me"]["notifications"]["nodes"][0])?),
            ("change", change["changeId"].as_str().context("no change")?.to_owned()),
            ("user", owner.id.clone()),
            ("password", PASSWORD.to_owned()),
        ];
        self.things.extend(things);
        for (caller, person) in self.people.iter().filter(|(caller, _)| !TURNED_AWAY.contains(caller)) {
            self.holds.insert(*caller, person.hold_best(&segment, 1).await?);
        }
        Ok(())
    }

    /// As whom a caller asks.
    pub fn client(&self, caller: Caller) -> Client {
        self.people.get(&caller).map_or_else(|| self.nobody.clone(), |person| person.client.clone())
    }

    /// The same with a session that was just opened; who has none keeps the token that is worth nothing.
    pub async fn fresh_client(&self, caller: Caller) -> anyhow::Result<Client> {
        match self.people.get(&caller) {
            Some(person) if !TURNED_AWAY.contains(&caller) => Ok(Person::sign_in(&self.nobody, &person.email).await?.client),
            _ => Ok(self.client(caller)),
        }
    }

    /// What a `$thing` is for this caller. One that is unknown is a text that names nothing.
    pub fn thing(&self, name: &str, caller: Caller) -> String {
        let nobodys = || format!("nobody-{}@example.org", next_number());
        let (person, hold) = (self.people.get(&caller), self.holds.get(&caller));
        match name {
            "email" => nobodys(),
            "key" => fresh_key(),
            "flow" => format!("flow_{:0>26}", next_number()),
            "phone" => format!("+628{:010}", next_number()),
            "my_email" => person.map_or_else(nobodys, |person| person.email.clone()),
            "my_refresh" => person.map_or_else(|| "none".to_owned(), |person| person.refresh_token.clone()),
            "own_hold" => hold.map_or_else(|| "none".to_owned(), |hold| hold.id.clone()),
            "own_held_seat" => hold.map_or_else(|| "none".to_owned(), |hold| hold.items[0].clone()),
            _ => self.things.get(name).cloned().unwrap_or_else(|| format!("no thing is called {name}")),
        }
    }
}

/// Gives somebody a role, as the operator does.
pub fn grant(berth: &mut Berth, email: &str, role: &str) -> anyhow::Result<()> {
    let process = berth.processes().last().context("no process")?;
    let output = process.run(&["admin", "grant", email, role])?;
    ensure!(output.status.success(), "berth admin grant: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
