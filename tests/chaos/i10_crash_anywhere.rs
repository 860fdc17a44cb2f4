//! I10: at every named step of the saga the process dies, or stands still until it is killed. Started again, two journeys (one to
//! tickets, one to a refund) come to their end without a hand.

use std::{
    process::Command,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
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
    process::{Arm, Berth, Process, sabotaged_program},
    timetable,
};
use serde_json::Value;

in_both_arms!(every_step_may_be_the_last, every_step_may_hang);

/// Worlds that are worked with at the same time; most of the time each of them waits.
const AT_ONCE: usize = 3;
const PATIENCE: Duration = Duration::from_secs(45);
/// A process that stands still is killed after this.
const HANGS_FOR: Duration = Duration::from_secs(2);
/// In a fleet, where each step takes seconds, one of so many is tried; which ones is up to the seed. A full or a longer run tries all.
const ONE_OF: usize = 4;
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
    if arm == Arm::Embedded || faults::secs(0) >= 60 || std::env::var_os("BERTH_CHAOS_FULL").is_some() {
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
        let client = berth.client()?;
        let mut people = Person::sign_up_many(&client, "crashed", 2).await?;
        let segment = timetable::demo_train(&client, 2).await?.whole();
        while let Some(step) = steps.get(next.fetch_add(1, Ordering::Relaxed)) {
            people = futures_util::future::try_join_all(people.iter().map(refreshed)).await?;
            let stopped =
                one_step(&mut berth, &people, &segment, step, action).await.with_context(|| format!("{step}={action}"))?;
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

/// The same person with a new token, as soon as somebody gives one.
async fn refreshed(person: &Person) -> anyhow::Result<Person> {
    eventually("a new token", PATIENCE, || async {
        let mut person = person.clone();
        person.refresh().await.map(|()| Some(person))
    })
    .await
}

/// Answers whether a process has ended by itself.
async fn one_step(berth: &mut Berth, people: &[Person], segment: &Segment, step: &str, action: &str) -> anyhow::Result<bool> {
    arm(berth, step, action).await?;
    let over = AtomicBool::new(false);
    let journeys = async {
        let ended = tokio::try_join!(to_tickets(&people[0], segment), to_a_refund(&people[1], segment));
        over.store(true, Ordering::Relaxed);
        ended
    };
    let heal = async { if action == HANG { hung(berth, step, &over).await } else { died(berth, step, &over).await } };
    let (ended, stopped) = tokio::join!(journeys, heal);
    ended?;
    stopped
}

async fn arm(berth: &mut Berth, step: &str, action: &str) -> anyhow::Result<()> {
    let steps = format!("{step}={action}");
    let armed =
        berth.processes().iter_mut().filter(|process| is_concerned(process.name(), step)).map(|process| process.arm(&steps));
    futures_util::future::try_join_all(armed).await.map(|_| ())
}

/// Starts whatever dies until the journeys are over; after the first death the other processes are spared.
async fn died(berth: &mut Berth, step: &str, over: &AtomicBool) -> anyhow::Result<bool> {
    let mut died = false;
    loop {
        let is_last = over.load(Ordering::Relaxed);
        let mut dead = Vec::new();
        for number in 0..berth.processes().len() {
            if berth.processes()[number].has_ended()? {
                dead.push(number);
            }
        }
        if is_last || !died && !dead.is_empty() {
            arm(berth, step, "off").await?;
        }
        for number in dead {
            died = true;
            berth.processes()[number].start().await?;
        }
        if is_last {
            return Ok(died);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whoever stands still is not to be seen from outside: after a while every process that may is killed and started again.
async fn hung(berth: &mut Berth, step: &str, over: &AtomicBool) -> anyhow::Result<bool> {
    let armed = Instant::now();
    while !over.load(Ordering::Relaxed) && armed.elapsed() < HANGS_FOR {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let concerned = berth.processes().iter_mut().filter(|process| is_concerned(process.name(), step)).map(Process::restart);
    futures_util::future::try_join_all(concerned).await?;
    Ok(false)
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
