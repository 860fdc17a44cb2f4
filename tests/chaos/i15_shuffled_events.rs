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

in_both_arms!(the_end_is_that_of_a_clean_run, the_checker_sees_a_missing_inbox);

const PEOPLE: usize = 9;
/// So many that it is one in thousands that no event of theirs comes twice.
const MANY: usize = 24;
const WITHIN: Duration = Duration::from_secs(40);

/// How many things of which kind a run ended in.
type Ends = BTreeMap<String, i64>;

async fn the_end_is_that_of_a_clean_run(arm: Arm) -> anyhow::Result<()> {
    let clean = arm.start().await?;
    let wanted = ends(&clean, PEOPLE).await?;
    clean.audit()?;
    drop(clean);
    let mut shuffled = arm.setup().sabotage("shuffle_events")?.start().await?;
    let found = ends(&shuffled, PEOPLE).await?;
    println!("{found:?}");
    ensure!(found == wanted, "clean {wanted:?}, shuffled {found:?}");
    shuffled.audit()?;
    ensure!(told(&wanted) == [("told BOOKING_CANCELLED", 3), ("told BOOKING_CONFIRMED", 6)], "{wanted:?}");
    shuffled.assert_alive()
}

async fn the_checker_sees_a_missing_inbox(arm: Arm) -> anyhow::Result<()> {
    let shuffled = arm.setup().sabotage("shuffle_events,skip_inbox")?.start().await?;
    let found = ends(&shuffled, MANY).await?;
    let (cancelled, confirmed) = (i64::try_from(MANY / 3)?, i64::try_from(MANY - MANY / 3)?);
    let clean = [("told BOOKING_CANCELLED", cancelled), ("told BOOKING_CONFIRMED", confirmed)];
    ensure!(told(&found) != clean, "the checker sees nothing: {found:?}");
    println!("{found:?}");
    Ok(())
}

/// What people were told of their bookings, how often.
fn told(ends: &Ends) -> Vec<(&str, i64)> {
    ends.iter().filter(|(what, _)| what.starts_with("told")).map(|(what, count)| (what.as_str(), *count)).collect()
}

/// Everybody buys one seat; every third cancels instead.
async fn ends(berth: &Berth, people: usize) -> anyhow::Result<Ends> {
    let client = berth.client()?;
    let people = Person::sign_up_many(&client, "shuffled", people).await?;
    let segment = timetable::demo_train(&client, 2).await?.whole();
    let seats = timetable::free_seats(&client, &segment, people.len()).await?;
    let journeys = people.iter().enumerate().map(|(who, person)| journey(who, person, &segment, &seats[who]));
    let mut ends = Ends::new();
    for end in try_join_all(journeys).await? {
        *ends.entry(end.to_owned()).or_default() += 1;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    for person in &people {
        let letters = person.client.letters(&person.email).await?;
        let tickets =
            letters.iter().filter(|letter| letter["subject"].as_str().is_some_and(|text| text.to_lowercase().contains("ticket")));
        *ends.entry("letters with tickets".to_owned()).or_default() += i64::try_from(tickets.count())?;
        for kind in person.notifications().await? {
            *ends.entry(format!("told {kind}")).or_default() += 1;
        }
    }
    let (_, map) = timetable::seat_map(&client, &segment).await?;
    let sold = map.iter().filter(|seat| seat.state == "SOLD").count();
    ends.insert("seats sold".to_owned(), i64::try_from(sold)?);
    let (postings, difference) = ledger_sums(&berth.store("payment").await?).await?;
    ends.extend([("postings".to_owned(), postings), ("debits minus credits".to_owned(), difference)]);
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
