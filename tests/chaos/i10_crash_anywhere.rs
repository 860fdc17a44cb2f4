//! I10: at every named step of the saga the process dies, or stands still until it is killed. Started again, two journeys (one to
//! tickets, one to a refund) come to their end without a hand.

use std::{
    collections::BTreeSet,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use berth_tests::{
    arrears::{End, settled},
    client::Outcome,
    eventually, faults,
    fight::AGAIN,
    in_both_arms,
    person::{Hold, Person, Segment, fresh_key, id_of},
    process::{Arm, Berth, sabotaged_program},
    timetable,
};
use serde_json::Value;

in_both_arms!(every_step_may_be_the_last, every_step_may_hang);

/// Worlds that are worked with at the same time; most of the time each of them waits.
const AT_ONCE: usize = 3;
const PATIENCE: Duration = Duration::from_secs(45);
/// A process that stands still is killed after this.
const HANGS_FOR: Duration = Duration::from_secs(2);
/// By then a journey has come to the step, if it comes there.
const ENDS_WITHIN: Duration = Duration::from_secs(4);
/// In a fleet, where each step takes long, one of so many is tried; which ones is up to the seed. A longer run tries all.
const ONE_OF: usize = 5;
const DIE: &str = "1*return";
const HANG: &str = "1*pause";

async fn every_step_may_be_the_last(arm: Arm) -> anyhow::Result<()> {
    every_step(arm, DIE).await
}

async fn every_step_may_hang(arm: Arm) -> anyhow::Result<()> {
    every_step(arm, HANG).await
}

fn steps(arm: Arm) -> anyhow::Result<Vec<String>> {
    let output = Command::new(sabotaged_program()?).arg("failpoints").output()?;
    let steps: Vec<String> = String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect();
    ensure!(steps.len() > 20, "hardly a step: {steps:?}");
    if arm == Arm::Embedded || faults::secs(0) >= 60 {
        return Ok(steps);
    }
    let first = usize::try_from(faults::seed() % ONE_OF as u64)?;
    Ok(steps.into_iter().skip(first).step_by(ONE_OF).collect())
}

/// All steps, shared by a few worlds. A world is used again: its clock stands, its seats are many.
async fn every_step(arm: Arm, action: &str) -> anyhow::Result<()> {
    let steps = steps(arm)?;
    let (next, reached) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let worlds = if arm == Arm::Fleet { 1 } else { AT_ONCE };
    let work = (0..worlds).map(|_| async {
        let mut berth = setup(arm)?.start().await?;
        while let Some(step) = steps.get(next.fetch_add(1, Ordering::Relaxed)) {
            let stopped = one_step(&mut berth, step, action).await.with_context(|| format!("{step}={action}"))?;
            reached.fetch_add(usize::from(stopped), Ordering::Relaxed);
        }
        berth.audit()?;
        berth.assert_alive()
    });
    futures_util::future::try_join_all(work).await?;
    println!("{} steps, {} of them were reached", steps.len(), reached.load(Ordering::Relaxed));
    ensure!(action == HANG || reached.load(Ordering::Relaxed) * 10 >= steps.len() * 7, "the journeys miss too many steps");
    Ok(())
}

fn setup(arm: Arm) -> anyhow::Result<berth_tests::process::Setup> {
    let polls = "1,2,3,4,6,8,10,12,15,20,25,30,40,50,60";
    Ok(arm.setup().with_failpoints()?.env("BERTH_PAYMENT_POLL_SECS", polls).env("BERTH_SANDBOX_WEBHOOKS", "true"))
}

/// Processes in which a step can be: those of its service, and the worker.
fn is_concerned(process: &str, step: &str) -> bool {
    let service = step.split('.').next().unwrap_or_default();
    let anywhere = !["inventory", "booking", "payment"].contains(&service);
    process == "berth"
        || process.starts_with("worker")
        || process.starts_with(service)
        || anywhere && !process.starts_with("router")
}

/// Answers whether a process has ended by itself.
async fn one_step(berth: &mut Berth, step: &str, action: &str) -> anyhow::Result<bool> {
    let client = berth.client()?;
    let people = Person::sign_up_many(&client, "crashed", 2).await?;
    let segment = timetable::demo_train(&client, 2).await?.whole();
    let armed = berth.processes().iter_mut().filter(|process| is_concerned(process.name(), step)).map(|process| {
        process.set("FAILPOINTS", Some(&format!("{step}={action}")));
        process.restart()
    });
    futures_util::future::try_join_all(armed).await?;
    let journeys = async { tokio::try_join!(to_tickets(&people[0], &segment), to_a_refund(&people[1], &segment)) };
    let (ended, stopped) = tokio::join!(journeys, heal(berth, step, action));
    ended?;
    stopped
}

/// Starts what has ended, then kills and starts every other process that has the failpoint: they hang, or would end later.
async fn heal(berth: &mut Berth, step: &str, action: &str) -> anyhow::Result<bool> {
    let (armed, mut healed) = (Instant::now(), BTreeSet::new());
    let patience = if action == HANG { HANGS_FOR } else { ENDS_WITHIN };
    while armed.elapsed() < patience && healed.is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
        for process in berth.processes() {
            if process.has_ended()? {
                healed.insert(process.name().to_owned());
                process.set("FAILPOINTS", None);
                process.start().await?;
            }
        }
    }
    let stopped = !healed.is_empty();
    let others = berth.processes().iter_mut().filter(|process| is_concerned(process.name(), step));
    let others = others.filter(|process| !healed.contains(process.name())).map(|process| {
        process.set("FAILPOINTS", None);
        process.restart()
    });
    futures_util::future::try_join_all(others).await?;
    Ok(stopped)
}

async fn to_tickets(person: &Person, segment: &Segment) -> anyhow::Result<()> {
    let (booking_id, payment_id) = to_payment(person, segment).await?;
    eventually("the provider", PATIENCE, || async { person.provider(&payment_id, "settle").await.map(Some) }).await?;
    ends(person, &booking_id, &payment_id, End::Tickets).await
}

/// Paid and cancelled at once: the money goes back, or the tickets came first.
async fn to_a_refund(person: &Person, segment: &Segment) -> anyhow::Result<()> {
    let (booking_id, payment_id) = to_payment(person, segment).await?;
    again(|key| {
        let id = &booking_id;
        async move { person.cancel(id, &key).await }
    })
    .await?;
    // Who is late with the cancellation at the provider finds the money there.
    if person.provider(&payment_id, "settle").await.is_err() {
        return eventually("the end of a cancelled payment", PATIENCE, || async {
            let payment = person.payment(&payment_id).await?;
            Ok(matches!(payment["status"].as_str(), Some("CANCELLED" | "REFUNDED")).then_some(()))
        })
        .await;
    }
    ends(person, &booking_id, &payment_id, End::Refund).await
}

/// A booking whose payment waits for its money.
async fn to_payment(person: &Person, segment: &Segment) -> anyhow::Result<(String, String)> {
    let hold = Hold::of(&again(|key| async move { person.place_best(segment, 1, &key).await }).await?)?;
    let booking_id = id_of(
        &again(|key| {
            let hold = &hold;
            async move { person.try_book(hold, &key).await }
        })
        .await?["booking"],
    )?;
    let payment_id = id_of(
        &again(|key| {
            let id = &booking_id;
            async move { person.try_pay(id, &key).await }
        })
        .await?["payment"],
    )?;
    Ok((booking_id, payment_id))
}

async fn ends(person: &Person, booking_id: &str, payment_id: &str, wanted: End) -> anyhow::Result<()> {
    match settled(person, booking_id, payment_id, PATIENCE).await? {
        Ok(end) => ensure!(end == wanted, "it ended in {end:?}, not in {wanted:?}"),
        Err(violation) => anyhow::bail!("{violation}"),
    }
    Ok(())
}

/// Asks with one key until there is an answer.
async fn again<F, Fut>(request: F) -> anyhow::Result<Value>
where
    F: Fn(String) -> Fut,
    Fut: Future<Output = anyhow::Result<Outcome>>,
{
    let key = fresh_key();
    eventually("an answer", PATIENCE, || async {
        match request(key.clone()).await? {
            Outcome::Done(value) => Ok(Some(value)),
            Outcome::Refused(refusal) => {
                let waits = AGAIN.contains(&refusal.code.as_str());
                ensure!(waits, "refused: {}", refusal.body);
                Ok(None)
            }
        }
    })
    .await
}
