//! Personal data: every column is in the map, an export has all of a person, and who leaves leaves nothing that names them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, ensure};
use berth_tests::{
    client::Client,
    documents, eventually, in_both_arms,
    person::{PASSWORD, Person, fresh_key, id_of},
    pictures,
    privacy::{BEGIN, END, Map, search},
    process::Arm,
    timetable,
};
use image::ImageFormat;
use serde_json::{Value, json};

const WITHIN: Duration = Duration::from_secs(30);
const DAY: i64 = 86_400;

const DELETE: &str = "mutation($input: DeleteAccountInput!) { deleteAccount(input: $input) { __typename
  ... on DeleteAccountSuccess { deleted } ... on UserError { code message path } } }";
const EXPORT: &str = "mutation($input: ExportPersonalDataInput!) { exportPersonalData(input: $input) { __typename
  ... on ExportPersonalDataSuccess { document } ... on UserError { code message path } } }";
const SET_USERNAME: &str = "mutation($input: SetUsernameInput!) { setUsername(input: $input) { __typename
  ... on SetUsernameSuccess { user { username } } ... on UserError { code message path } } }";
const ADD_BANK_ACCOUNT: &str = "mutation($input: AddBankAccountInput!) { addBankAccount(input: $input) { __typename
  ... on AddBankAccountSuccess { bankAccount { numberMasked } } ... on UserError { code message path } } }";
const CHANGE_EMAIL: &str = "mutation($input: RequestEmailChangeInput!) { requestEmailChange(input: $input) { __typename
  ... on RequestContactChangeSuccess { changeId } ... on UserError { code message path } } }";
const ASK_RESET: &str = "mutation($input: RequestPasswordResetInput!) { requestPasswordReset(input: $input) { __typename
  ... on RequestPasswordResetSuccess { accepted } ... on UserError { code message path } } }";

in_both_arms!(every_column_is_in_the_map, who_leaves_leaves_nothing_that_names_them);

#[test]
fn the_page_shows_the_map() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/PRIVACY.md");
    let page = fs::read_to_string(&file).unwrap();
    let wanted = Map::read().unwrap().page();
    let (head, rest) = page.split_once(BEGIN).expect("the page has its generated part");
    let (_, tail) = rest.split_once(END).expect("the page has its generated part");
    if std::env::var_os("BERTH_WRITE_DOCS").is_some() {
        fs::write(&file, format!("{head}{wanted}{tail}")).unwrap();
    } else {
        assert!(
            page.contains(&wanted),
            "docs/PRIVACY.md is not what docs/privacy.toml says: run this test with BERTH_WRITE_DOCS=1"
        );
    }
}

async fn every_column_is_in_the_map(arm: Arm) -> anyhow::Result<()> {
    let berth = arm.start().await?;
    let differences = Map::read()?.differences(&search(&berth).await?);
    ensure!(differences.is_empty(), "{}", differences.join("\n"));
    Ok(())
}

/// Facts of a person that can be recognised wherever they are.
struct Marks {
    email: String,
    facts: Vec<&'static str>,
}

impl Marks {
    fn all(&self) -> Vec<&str> {
        self.facts.iter().copied().chain([self.email.as_str()]).collect()
    }
}

/// A life in Berth that leaves something in every place.
async fn live(client: &Client) -> anyhow::Result<(Person, Marks)> {
    let person = Person::sign_up(client, "markwart").await?;
    let profile = json!({ "fullName": "Markwart Unverkennbar", "birthDate": "1977-07-17", "phone": "+628177700177",
        "idType": "NATIONAL_ID", "idNumber": "7717177117777001", "address": "Jalan Tanda 77, Markendorf",
        "firstName": "Marki", "lastName": "Unverkennbarson" });
    person.client.mutate(documents::UPDATE_PROFILE, profile).await?.done()?;
    let passenger =
        json!({ "fullName": "Listwin Mitreisend", "idType": "PASSPORT", "idNumber": "M7717177", "birthDate": "1978-08-18" });
    let passenger = person.client.mutate(documents::ADD_PASSENGER, passenger).await?.done()?;
    let named = person.client.mutate(SET_USERNAME, json!({ "username": "markwart.merkname" })).await?.done()?;
    ensure!(named["user"]["username"] == "markwart.merkname", "{named}");
    let bank = json!({ "bankCode": "014", "holderName": "Kontoinhaberin Markwart", "number": "700770077007" });
    let bank = person.client.mutate(ADD_BANK_ACCOUNT, bank).await?.done()?;
    ensure!(bank["bankAccount"]["numberMasked"] == "********7007", "{bank}");
    let device = json!({ "email": person.email, "password": PASSWORD, "device": "Markwarts Fernsprecher" });
    client.mutate("mutation($input: SignInInput!) { signIn(input: $input) { __typename ... on SessionSuccess { user { id } } ... on UserError { code message path } } }", device).await?.done()?;
    pictures::set(&person, pictures::picture(ImageFormat::Jpeg)?, "image/jpeg").await?;
    travel(&person, &id_of(&passenger["passenger"])?).await?;
    let facts = vec![
        "Markwart Unverkennbar",
        "1977-07-17",
        "628177700177",
        "7717177117777001",
        "Jalan Tanda 77",
        "Unverkennbarson",
        "markwart.merkname",
        "Kontoinhaberin Markwart",
        "700770077007",
        "wunsch.marke@example.org",
        "Listwin Mitreisend",
        "M7717177",
        "1978-08-18",
        "Markwarts Fernsprecher",
        "kontakt.marke@example.org",
        "62 811 7770 0001",
        "Kontaktgasse 77",
        "Mitfahrerin Ohnegleichen",
        "X7070707",
        "1979-09-19",
    ];
    let email = person.email.clone();
    Ok((person, Marks { email, facts }))
}

/// Books two seats, for somebody of the list and for somebody else, and pays.
async fn travel(person: &Person, passenger: &str) -> anyhow::Result<()> {
    let train = timetable::demo_train(&person.client, 2).await?;
    let hold = person.hold_best(&train.whole(), 2).await?;
    let input = json!({
        "holdId": hold.id, "idempotencyKey": fresh_key(),
        "contact": { "email": "kontakt.marke@example.org", "phone": "+62 811 7770 0001", "address": "Kontaktgasse 77, Briefstadt" },
        "passengers": [
            { "heldSeatId": hold.items[0], "passengerId": passenger },
            { "heldSeatId": hold.items[1], "details": { "fullName": "Mitfahrerin Ohnegleichen", "idType": "PASSPORT",
                "idNumber": "X7070707", "birthDate": "1979-09-19" } },
        ],
    });
    let booking = person.client.mutate(documents::CREATE_BOOKING, input).await?.done()?;
    let booking = id_of(&booking["booking"])?;
    person.provider(&person.pay(&booking).await?, "settle").await?;
    person.await_booking(&booking, &["CONFIRMED"], WITHIN).await.map(|_| ())
}

/// Every text in a document, one to a line.
fn texts(value: &Value, into: &mut String) {
    match value {
        Value::String(text) => {
            into.push_str(text);
            into.push('\n');
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, into)),
        Value::Object(fields) => fields.values().for_each(|item| texts(item, into)),
        _ => {}
    }
}

async fn who_leaves_leaves_nothing_that_names_them(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let (client, map) = (berth.client()?, Map::read()?);
    let stays = Person::sign_up(&client, "stays").await?;
    let train = timetable::demo_train(&client, 2).await?;
    let seat = timetable::free_seats(&client, &train.whole(), 1).await?.remove(0);
    stays.buy(&train.whole(), &[&seat]).await?;
    let before = search(&berth).await?;

    let (mut person, marks) = live(&client).await?;
    let refused = person.client.mutate(DELETE, json!({ "password": PASSWORD })).await?.refused()?;
    ensure!(refused.code == "ACCOUNT_HAS_OPEN_BOOKINGS", "{refused:?}");
    client.advance(9 * DAY).await?;
    person.refresh().await?;
    // What is only there for a while is there now: a link, a sign-up of the known address, a wish for another.
    let wish = json!({ "password": PASSWORD, "newEmail": "wunsch.marke@example.org" });
    person.client.mutate(CHANGE_EMAIL, wish).await?.done()?;
    client.mutate(ASK_RESET, json!({ "email": person.email })).await?.done()?;
    client.mutate(documents::SIGN_UP, json!({ "email": person.email, "password": PASSWORD })).await?.done()?;
    eventually("the link", WITHIN, || async {
        let letters = Value::from(client.letters(&person.email).await?).to_string();
        Ok(letters.contains("#token=").then_some(()))
    })
    .await?;

    let during = search(&berth).await?;
    let strays = map.marks(&during, &marks.all(), false);
    ensure!(strays.is_empty(), "outside of the map: {}", strays.join("\n"));
    let red = map.marks(&during, &marks.all(), true);
    ensure!(red.len() >= 10, "the search finds too little of who is still there: {red:?}");

    let exported = person.client.mutate(EXPORT, json!({ "password": PASSWORD })).await?.done()?;
    let document: Value = serde_json::from_str(exported["document"].as_str().context("no document")?)?;
    let mut told = String::new();
    texts(&document, &mut told);
    let missing: Vec<&str> = marks.all().into_iter().filter(|mark| !told.contains(mark)).collect();
    ensure!(missing.is_empty(), "not in the export: {missing:?}");
    ensure!(!told.contains(&stays.email), "another person is in the export");

    person.client.mutate(DELETE, json!({ "password": PASSWORD })).await?.done()?;
    eventually("nothing names them", WITHIN, || async {
        let after = search(&berth).await?;
        let found = [map.marks(&after, &marks.all(), true), map.remains(&before, &during, &after)].concat();
        ensure!(found.is_empty(), "{}", found.join("\n"));
        Ok(Some(()))
    })
    .await?;
    let after = search(&berth).await?;
    ensure!(after.values().flatten().any(|text| text.contains(&stays.email)), "somebody else was forgotten as well");
    sign_up_again(&client, &person).await?;
    berth.audit()?;
    berth.assert_alive()
}

/// The address is free, and who has it now is somebody new.
async fn sign_up_again(client: &Client, gone: &Person) -> anyhow::Result<()> {
    ensure!(Person::sign_in(client, &gone.email).await.is_err(), "a deleted account lets somebody in");
    let flow = client.mutate(documents::SIGN_UP, json!({ "email": gone.email, "password": PASSWORD })).await?.done()?;
    let seen = client.letters(&gone.email).await?.len();
    let code = eventually("the new code", WITHIN, || async {
        let letters = client.letters(&gone.email).await?;
        let newest = letters.first().and_then(|letter| letter["subject"].as_str()).unwrap_or_default().to_owned();
        let digits =
            newest.split_whitespace().next().filter(|word| word.len() == 6 && word.bytes().all(|byte| byte.is_ascii_digit()));
        Ok(digits.map(str::to_owned).filter(|_| letters.len() >= seen))
    })
    .await?;
    let session = client.mutate(documents::VERIFY_OTP, json!({ "flowId": flow["flowId"], "code": code })).await?.done()?;
    ensure!(session["user"]["id"] != gone.id.as_str() && session["user"]["tier"] == "BASIC", "{session}");
    Ok(())
}
