use chrono::TimeDelta;
use serde_json::Value;

use crate::world::{PASSWORD, Person, World};

fn code(result: &Value) -> Option<&str> {
    result["code"].as_str()
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_rotate() {
    let world = World::new().await;
    let mut person = world.person("siti@example.com").await;
    for _ in 0..5 {
        world.clock.advance(TimeDelta::minutes(9));
        let next = Person::of(&world.refresh(&person.refresh).await);
        assert_eq!(next.id, person.id);
        assert_ne!(next.refresh, person.refresh);
        person = next;
    }
    let me = world.data(Some(&person.access), "{ me { email } }", serde_json::json!({})).await;
    assert_eq!(me["me"]["email"], "siti@example.com");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_can_be_asked_for_again() {
    let world = World::new().await;
    let first = world.person("siti@example.com").await;
    let lost = Person::of(&world.refresh(&first.refresh).await);
    let repeated = Person::of(&world.refresh(&first.refresh).await);
    let next = Person::of(&world.refresh(&repeated.refresh).await);
    assert_eq!(next.id, first.id);
    assert!(world.letters("siti@example.com").await.len() == 1);
    // The lost answer turns up after all, in other hands or by an old request: two branches of one family.
    assert_eq!(code(&world.refresh(&lost.refresh).await), Some("SESSION_REVOKED"));
    assert_eq!(code(&world.refresh(&next.refresh).await), Some("SESSION_REVOKED"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_used_after_its_successor_ends_the_family_and_tells_the_user() {
    let world = World::new().await;
    let first = world.person("siti@example.com").await;
    let other = Person::of(&world.sign_in("siti@example.com", PASSWORD).await);
    let second = Person::of(&world.refresh(&first.refresh).await);
    let third = Person::of(&world.refresh(&second.refresh).await);

    assert_eq!(code(&world.refresh(&first.refresh).await), Some("SESSION_REVOKED"));
    assert_eq!(code(&world.refresh(&third.refresh).await), Some("SESSION_REVOKED"), "the whole family is dead");
    assert_eq!(code(&world.refresh(&first.refresh).await), Some("SESSION_REVOKED"));
    let letters = world.letters("siti@example.com").await;
    let told = letters.iter().filter(|caught| caught.letter.subject == "We ended one of your Berth sessions").count();
    assert_eq!(told, 1, "told once");
    Person::of(&world.refresh(&other.refresh).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_eight_racing_refreshes_any_one_answer_goes_on() {
    let world = World::new().await;
    let person = world.person("siti@example.com").await;
    let racing = (0..8).map(|_| world.refresh(&person.refresh));
    let answers: Vec<Person> = futures_util::future::join_all(racing).await.iter().map(Person::of).collect();
    let kept = Person::of(&world.refresh(&answers[3].refresh).await);
    assert_eq!(kept.id, person.id);
    assert_eq!(code(&world.refresh(&answers[5].refresh).await), Some("SESSION_REVOKED"), "a second branch is a copy");
    assert_eq!(code(&world.refresh(&kept.refresh).await), Some("SESSION_REVOKED"));
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_racing_branches_leave_at_most_one() {
    let world = World::new().await;
    let person = world.person("siti@example.com").await;
    let racing = (0..8).map(|_| world.refresh(&person.refresh));
    let branches: Vec<Person> = futures_util::future::join_all(racing).await.iter().map(Person::of).collect();
    let next = futures_util::future::join_all(branches.iter().map(|branch| world.refresh(&branch.refresh))).await;
    let went_on = next.iter().filter(|answer| answer["__typename"] == "SessionSuccess").count();
    assert_eq!(went_on, 1, "{next:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_when_they_are_not_refreshed() {
    let world = World::new().await;
    let person = world.person("siti@example.com").await;
    world.clock.advance(TimeDelta::days(29));
    let next = Person::of(&world.refresh(&person.refresh).await);
    world.clock.advance(TimeDelta::days(30));
    assert_eq!(code(&world.refresh(&next.refresh).await), Some("SESSION_EXPIRED"));
    for unknown in ["", "x", &"y".repeat(4096), person.access.as_str()] {
        assert_eq!(code(&world.refresh(unknown).await), Some("SESSION_UNKNOWN"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_stored_in_the_clear() {
    let world = World::new().await;
    let flow_id = world.start_sign_up("siti@example.com").await;
    let otp = world.code("siti@example.com").await;
    let person = Person::of(&world.verify(&flow_id, &otp).await);
    let bytes = world.bytes_at_rest().await;
    let found = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(found("siti@example.com"), "the search works");
    assert!(!found(PASSWORD) && !found(&person.refresh) && !found(&person.access));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_verifies_tokens_learns_which_sessions_ended() {
    let world = World::new().await;
    let person = world.person("siti@example.com").await;
    let others = [world.sign_in("siti@example.com", PASSWORD).await, world.sign_in("siti@example.com", PASSWORD).await];
    let (peer, here, before) = (world.user.peer(), world.user.ended_sessions(), world.clock.now() - TimeDelta::hours(1));
    assert_eq!(peer.sessions_ended(before).await.unwrap(), []);

    world.data(Some(&person.access), "mutation { signOut { __typename } }", serde_json::json!({})).await;
    let first = peer.sessions_ended(before).await.unwrap();
    assert_eq!(first.len(), 1);
    assert!(here.contains(first[0].session_id), "this process knows before it answers");

    world.clock.advance(TimeDelta::minutes(1));
    let other = Person::of(&others[0]);
    world.data(Some(&other.access), "mutation { signOutEverywhere { __typename } }", serde_json::json!({})).await;
    let all = peer.sessions_ended(before).await.unwrap();
    assert_eq!((all.len(), all[0]), (3, first[0]), "oldest first");
    assert!(all.iter().all(|ended| here.contains(ended.session_id)));
    assert_eq!(peer.sessions_ended(first[0].at).await.unwrap().len(), 2, "only what is new");

    world.clock.advance(TimeDelta::minutes(10));
    assert_eq!(peer.sessions_ended(before).await.unwrap().len(), 2, "no token of the first lives");
    world.clock.advance(TimeDelta::hours(2));
    world.user.forget_ended().await.unwrap();
    assert_eq!(world.user_rows("ended_session").await, 0);
}
