//! I16: no id is given twice. That 100,000 keys of many clocks in one millisecond differ is shown in the kernel's own tests; here
//! every id and code that clients are told in a busy run is collected, from all processes.

use std::collections::BTreeSet;

use anyhow::ensure;
use berth_tests::{documents, in_both_arms, person::Person, process::Arm, timetable};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::Value;

in_both_arms!(no_id_is_given_twice);

const PEOPLE: usize = 12;
const HOLDS_EACH: usize = 25;

async fn no_id_is_given_twice(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.setup().start().await?;
    let client = berth.client()?;
    let people = Person::sign_up_many(&client, "unique", PEOPLE).await?;
    let trains = timetable::demo_trains(&client, 2).await?;
    let told = stream::iter(people.iter().enumerate()).map(|(who, person)| {
        let segment = trains[who % trains.len()].whole();
        async move {
            let mut ids = vec![person.id.clone()];
            for number in 0..HOLDS_EACH {
                let hold = person.hold_best(&segment, 2).await?;
                ids.push(hold.id.clone());
                ids.extend(hold.items.iter().cloned());
                if number % 8 == 0 {
                    let booking = person.booking(&person.book(&hold).await?).await?;
                    ids.extend(["id", "code"].iter().filter_map(|key| booking[*key].as_str().map(str::to_owned)));
                } else {
                    person.release(&hold.id).await?.done()?;
                }
                let answer = person.client.send(documents::ME, Value::Null).await?;
                ids.extend(answer.body["extensions"]["requestId"].as_str().map(str::to_owned));
            }
            Ok::<_, anyhow::Error>(ids)
        }
    });
    let told: Vec<String> = told.buffer_unordered(PEOPLE).try_concat().await?;
    let distinct: BTreeSet<&String> = told.iter().collect();
    println!("{} ids were told", told.len());
    ensure!(distinct.len() == told.len(), "{} ids, {} of them differ", told.len(), distinct.len());
    berth.assert_alive()
}
