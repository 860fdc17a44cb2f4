use berth_contracts::Kind;
use serde_json::{Value, json};

use crate::world::{ADD_PASSENGER, Person, World};

const UPDATE: &str = "mutation($input: UpdatePassengerInput!) { r: updatePassenger(input: $input) { __typename \
     ... on UpdatePassengerSuccess { passenger { fullName idType idNumberMasked birthDate } } ... on UserError { code path } } }";
const REMOVE: &str = "mutation($input: RemovePassengerInput!) { r: removePassenger(input: $input) { __typename \
     ... on RemovePassengerSuccess { removedId } ... on UserError { code path } } }";
const ENTITIES: &str = "query($r: [_Any!]!) { _entities(representations: $r) { __typename \
     ... on User { id email } ... on Passenger { id fullName } } }";

async fn add(world: &World, person: &Person, number: &str) -> Value {
    let input = json!({ "fullName": "Budi", "idType": "NATIONAL_ID", "idNumber": number, "birthDate": "2015-06-01" });
    world.result(Some(&person.access), ADD_PASSENGER, input).await
}

async fn added(world: &World, person: &Person, number: &str) -> String {
    add(world, person, number).await["passenger"]["id"].as_str().expect("a passenger").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn passengers_are_added_changed_and_removed() {
    let world = World::new().await;
    let siti = world.person("siti@example.com").await;
    let id = added(&world, &siti, "3174 0123 4567 1234").await;

    let changed = world
        .result(Some(&siti.access), UPDATE, json!({ "passengerId": id, "fullName": "Budi Santoso", "idNumber": null }))
        .await;
    let wanted = json!({ "fullName": "Budi Santoso", "idType": "NATIONAL_ID", "idNumberMasked": "************1234", "birthDate": "2015-06-01" });
    assert_eq!(changed["passenger"], wanted);
    let unfit = world.result(Some(&siti.access), UPDATE, json!({ "passengerId": id, "idType": "PASSPORT" })).await;
    assert_eq!(unfit["path"], json!(["input", "idNumber"]), "the old number is no passport's: {unfit}");
    let passport = json!({ "passengerId": id, "idType": "PASSPORT", "idNumber": "c1234567" });
    assert_eq!(world.result(Some(&siti.access), UPDATE, passport).await["passenger"]["idNumberMasked"], "****4567");

    assert_eq!(world.result(Some(&siti.access), REMOVE, json!({ "passengerId": id })).await["removedId"], id);
    assert_eq!(world.result(Some(&siti.access), REMOVE, json!({ "passengerId": id })).await["code"], "NOT_FOUND");
    let me = world.data(Some(&siti.access), "{ me { passengers { totalCount nodes { id } } } }", json!({})).await;
    assert_eq!(me["me"]["passengers"], json!({ "totalCount": 0, "nodes": [] }));
}

#[tokio::test(flavor = "multi_thread")]
async fn passengers_are_checked() {
    let world = World::new().await;
    let siti = world.person("siti@example.com").await;
    for (name, number, birth, field) in [
        ("", "3174012345671234", "2015-06-01", "fullName"),
        ("Budi", "12", "2015-06-01", "idNumber"),
        ("Budi", "3174012345671234", "2999-06-01", "birthDate"),
    ] {
        let input = json!({ "fullName": name, "idType": "NATIONAL_ID", "idNumber": number, "birthDate": birth });
        let refused = world.result(Some(&siti.access), ADD_PASSENGER, input).await;
        assert_eq!((&refused["code"], &refused["path"]), (&json!("INVALID_INPUT"), &json!(["input", field])));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_has_at_most_fifty_even_in_a_race() {
    let world = World::new().await;
    let siti = world.person("siti@example.com").await;
    let racing = (0..60).map(|number| {
        let (world, siti) = (&world, &siti);
        async move { add(world, siti, &format!("31740123456{number:05}")).await }
    });
    let answers = futures_util::future::join_all(racing).await;
    let full: Vec<&Value> = answers.iter().filter(|answer| answer["__typename"] != "AddPassengerSuccess").collect();
    assert_eq!(full.len(), 10);
    assert!(full.iter().all(|answer| answer["code"] == "PASSENGER_LIMIT" && answer["limit"] == 50));
    let me = world.data(Some(&siti.access), "{ me { passengers(first: 100) { totalCount nodes { id } } } }", json!({})).await;
    assert_eq!(me["me"]["passengers"]["totalCount"], 50);
    assert_eq!(me["me"]["passengers"]["nodes"].as_array().map(Vec::len), Some(50));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_have_limits() {
    let world = World::new().await;
    let siti = world.person("siti@example.com").await;
    for (arguments, code) in [
        ("first: 101", "PAGE_TOO_LARGE"),
        ("first: 0", "PAGE_TOO_LARGE"),
        ("first: -1", "PAGE_TOO_LARGE"),
        ("after: \"%%%\"", "INVALID_CURSOR"),
        ("after: \"eA\"", "INVALID_CURSOR"),
    ] {
        let response = world
            .respond(Some(&siti.access), &format!("{{ me {{ passengers({arguments}) {{ totalCount }} }} }}"), json!({}))
            .await;
        assert_eq!(response["errors"][0]["extensions"]["code"], code, "{response}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_yours_does_not_exist() {
    let world = World::new().await;
    let (siti, budi) = (world.person("siti@example.com").await, world.person("budi@example.com").await);
    let own = added(&world, &siti, "3174012345671234").await;
    for (query, input) in [(UPDATE, json!({ "passengerId": own, "fullName": "X" })), (REMOVE, json!({ "passengerId": own }))] {
        assert_eq!(world.result(Some(&budi.access), query, input).await["code"], "NOT_FOUND");
    }
    let malformed = world.result(Some(&budi.access), REMOVE, json!({ "passengerId": siti.id })).await;
    assert_eq!((&malformed["code"], &malformed["path"]), (&json!("NOT_FOUND"), &json!(["input", "passengerId"])));

    let asked = json!({ "r": [
        { "__typename": "User", "id": siti.id },
        { "__typename": "Passenger", "id": own },
        { "__typename": "User", "id": budi.id },
        { "__typename": "Passenger", "id": "passenger_x" },
        { "__typename": "User", "id": "'; DROP TABLE account; --" },
    ] });
    let of_budi = world.data(Some(&budi.access), ENTITIES, asked.clone()).await;
    assert_eq!(
        of_budi["_entities"],
        json!([null, null, { "__typename": "User", "id": budi.id, "email": "budi@example.com" }, null, null])
    );
    let of_siti = world.data(Some(&siti.access), ENTITIES, asked.clone()).await;
    assert_eq!(of_siti["_entities"][1], json!({ "__typename": "Passenger", "id": own, "fullName": "Budi" }));
    assert_eq!(of_siti["_entities"][2], Value::Null);
    assert_eq!(world.data(None, ENTITIES, asked).await["_entities"], json!([null, null, null, null, null]));
}

#[tokio::test(flavor = "multi_thread")]
async fn booking_gets_full_copies_of_own_passengers_only() {
    let world = World::new().await;
    let (siti, budi) = (world.person("siti@example.com").await, world.person("budi@example.com").await);
    let own = Kind::Passenger.decode(&added(&world, &siti, "3174012345671234").await).expect("an id");
    let foreign = Kind::Passenger.decode(&added(&world, &budi, "3174012345675678").await).expect("an id");
    let siti = Kind::User.decode(&siti.id).expect("an id");
    let copies = world.user.peer().passengers(siti, vec![own, foreign]).await.expect("answers");
    assert_eq!(copies.len(), 1);
    assert_eq!((copies[0].passenger_id, copies[0].id_number.as_str()), (own, "3174012345671234"));
    assert_eq!((copies[0].id_type.as_str(), copies[0].birth_date.to_string()), ("NATIONAL_ID", "2015-06-01".to_owned()));
    assert!(world.user.peer().passengers(siti, vec![]).await.expect("answers").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_of_documents_are_sealed_at_rest() {
    let world = World::new().await;
    let siti = world.person("siti@example.com").await;
    added(&world, &siti, "3174012345671234").await;
    let profile = "mutation { r: updateProfile(input: { idType: NATIONAL_ID, idNumber: \"3174099988877766\", fullName: \"Siti N\" }) { __typename } }";
    assert_eq!(world.data(Some(&siti.access), profile, json!({})).await["r"]["__typename"], "UpdateProfileSuccess");
    let bytes = world.bytes_at_rest().await;
    let found = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(found("Siti N"), "the search works");
    assert!(!found("3174012345671234") && !found("3174099988877766"));
}
