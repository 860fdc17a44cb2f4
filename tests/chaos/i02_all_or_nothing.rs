//! I2: {A, B} against {B, A} in a loop: a hold has all its seats or none, and nobody is told of a deadlock.

use anyhow::ensure;
use berth_tests::{
    client::Outcome,
    in_both_arms,
    person::{Hold, Person, Segment, fresh_key},
    process::Arm,
    timetable,
};

use crate::short_holds;

in_both_arms!(holds_of_several_seats_are_all_or_nothing);

async fn holds_of_several_seats_are_all_or_nothing(arm: Arm) -> anyhow::Result<()> {
    let mut berth = short_holds(arm).start().await?;
    let client = berth.client()?;
    let segment: Segment = timetable::demo_train(&client, 2).await?.whole();
    let seats = timetable::free_seats(&client, &segment, 2).await?;
    let people = Person::sign_up_many(&client, "pair", 8).await?;
    let crossing = people.iter().enumerate().map(|(who, person)| crossing(person, who, &segment, &seats));
    let granted: Vec<i32> = futures_util::future::try_join_all(crossing).await?;
    ensure!(granted.iter().sum::<i32>() > 0, "nobody got anything");
    for seat in &seats {
        ensure!(timetable::seat_state(&client, &segment, seat).await? == "AVAILABLE");
    }
    berth.assert_alive()
}

async fn crossing(person: &Person, who: usize, segment: &Segment, seats: &[String]) -> anyhow::Result<i32> {
    let wanted: [&str; 2] = if who.is_multiple_of(2) { [&seats[0], &seats[1]] } else { [&seats[1], &seats[0]] };
    let mut granted = 0;
    for _ in 0..25 {
        match person.place(segment, &wanted, &fresh_key()).await? {
            Outcome::Done(success) => {
                let hold = Hold::of(&success)?;
                ensure!(hold.seats.len() == 2, "a part of a hold: {success}");
                granted += 1;
                person.release(&hold.id).await?.done()?;
            }
            Outcome::Refused(refusal) => ensure!(refusal.code == "SEATS_UNAVAILABLE", "{}", refusal.body),
        }
    }
    Ok(granted)
}
