//! I17: while people pay and get their money back, every read of the ledger has as many debits as credits.

use std::time::{Duration, Instant};

use anyhow::ensure;
use berth_tests::{
    arrears::settled,
    faults, in_both_arms,
    notices::ledger_sums,
    person::{Person, Segment, fresh_key},
    process::Arm,
    timetable,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

in_both_arms!(debits_are_credits_in_every_read);

const PEOPLE: usize = 6;

async fn debits_are_credits_in_every_read(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let people = Person::sign_up_many(&client, "ledger", PEOPLE).await?;
    let segment = timetable::demo_train(&client, 2).await?.whole();
    let (seed, until) = (faults::seed(), Instant::now() + Duration::from_secs(faults::secs(8)));
    let store = berth.store("payment").await?;
    let paying = async {
        let payers = people.iter().enumerate().map(|(who, person)| payer(person, &segment, seed.wrapping_add(who as u64), until));
        futures_util::future::try_join_all(payers).await
    };
    let reading = async {
        let mut reads = 0;
        while Instant::now() < until {
            let (postings, difference) = ledger_sums(&store).await?;
            ensure!(difference == 0, "after {postings} postings debits minus credits is {difference}");
            reads += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(reads)
    };
    let (captures, reads) = tokio::try_join!(paying, reading)?;
    let (postings, difference) = ledger_sums(&store).await?;
    println!("{reads} reads, {postings} postings of {} payments", captures.iter().sum::<usize>());
    ensure!(difference == 0 && postings > 0 && reads > 50, "{postings} postings, {reads} reads, off by {difference}");
    berth.audit()?;
    berth.assert_alive()
}

/// Pays; now and then after the cancellation, so that the money must go back.
async fn payer(person: &Person, segment: &Segment, seed: u64, until: Instant) -> anyhow::Result<usize> {
    let (mut dice, mut paid) = (StdRng::seed_from_u64(seed), 0);
    while Instant::now() < until {
        let hold = person.hold_best(segment, dice.random_range(1..=2)).await?;
        let booking_id = person.book(&hold).await?;
        let payment_id = person.pay(&booking_id).await?;
        if dice.random_range(0..100) < 40 {
            let settle = person.provider(&payment_id, "settle");
            let key = fresh_key();
            let (_settled, cancelled) = tokio::join!(settle, person.cancel(&booking_id, &key));
            cancelled?;
        } else {
            person.provider(&payment_id, "settle").await?;
            settled(person, &booking_id, &payment_id, Duration::from_secs(30))
                .await?
                .map_err(|found| anyhow::anyhow!("{found}"))?;
        }
        paid += 1;
    }
    Ok(paid)
}
