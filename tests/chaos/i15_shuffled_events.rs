//! I15: of a hundred events thirty come twice and thirty come late, after younger ones: the end is the same as without.

use std::collections::BTreeMap;

use anyhow::ensure;
use berth_tests::{
    arrears::{End, settled},
    in_both_arms,
    notices::ledger_sums,
    person::{Person, Segment, fresh_key},
    process::{Arm, Berth},
    timetable,
};
use futures_util::future::try_join_all;
use std::time::Duration;

in_both_arms!(the_end_is_that_of_a_clean_run);

const PEOPLE: usize = 9;
const WITHIN: Duration = Duration::from_secs(40);

/// How many things of which kind a run ended in.
type Ends = BTreeMap<&'static str, i64>;

async fn the_end_is_that_of_a_clean_run(arm: Arm) -> anyhow::Result<()> {
    let clean = arm.start().await?;
    let wanted = ends(&clean).await?;
    drop(clean);
    let mut shuffled = arm.setup().sabotage("shuffle_events")?.start().await?;
    let found = ends(&shuffled).await?;
    println!("{found:?}");
    ensure!(found == wanted, "clean {wanted:?}, shuffled {found:?}");
    shuffled.assert_alive()
}

/// Everybody buys one seat; every third cancels instead, every third pays after the cancellation.
async fn ends(berth: &Berth) -> anyhow::Result<Ends> {
    let client = berth.client()?;
    let people = Person::sign_up_many(&client, "shuffled", PEOPLE).await?;
    let segment = timetable::demo_train(&client, 2).await?.whole();
    let seats = timetable::free_seats(&client, &segment, PEOPLE).await?;
    let journeys = people.iter().enumerate().map(|(who, person)| journey(who, person, &segment, &seats[who]));
    let mut ends = Ends::new();
    for end in try_join_all(journeys).await? {
        *ends.entry(end).or_default() += 1;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    for person in &people {
        let letters = person.client.letters(&person.email).await?;
        let tickets =
            letters.iter().filter(|letter| letter["subject"].as_str().is_some_and(|text| text.to_lowercase().contains("ticket")));
        *ends.entry("letters with tickets").or_default() += i64::try_from(tickets.count())?;
    }
    let (_, map) = timetable::seat_map(&client, &segment).await?;
    let sold = map.iter().filter(|seat| seat.state == "SOLD").count();
    ends.insert("seats sold", i64::try_from(sold)?);
    let (postings, difference) = ledger_sums(&berth.store("payment").await?).await?;
    ends.extend([("postings", postings), ("debits minus credits", difference)]);
    berth.audit()?;
    Ok(ends)
}

async fn journey(who: usize, person: &Person, segment: &Segment, seat: &str) -> anyhow::Result<&'static str> {
    let hold = person.hold(segment, &[seat]).await?;
    let booking_id = person.book(&hold).await?;
    if who.is_multiple_of(3) {
        person.cancel(&booking_id, &fresh_key()).await?.done()?;
        person.await_booking(&booking_id, &["CANCELLED"], WITHIN).await?;
        return Ok("cancelled");
    }
    let payment_id = person.pay(&booking_id).await?;
    person.provider(&payment_id, "settle").await?;
    match settled(person, &booking_id, &payment_id, WITHIN).await? {
        Ok(End::Tickets) => Ok("tickets"),
        Ok(End::Refund) => Ok("refund"),
        Err(violation) => anyhow::bail!("{violation}"),
    }
}
