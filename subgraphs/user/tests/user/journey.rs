use berth_user::User;
use chrono::TimeDelta;
use serde_json::json;

use crate::world::{ADD_PASSENGER, PASSWORD, Person, World};

const ME: &str = "{ me { id email tier profile { fullName birthDate phone idType idNumberMasked address } \
                  passengers(first: 2) { totalCount nodes { id idNumberMasked } pageInfo { hasNextPage endCursor } } } }";
const UPDATE: &str = "mutation($input: UpdateProfileInput!) { r: updateProfile(input: $input) { __typename \
     ... on UpdateProfileSuccess { user { tier profile { fullName idNumberMasked } } } ... on UserError { code path } } }";
const SIGN_OUT: &str = "mutation { r: signOut { __typename ... on SignOutSuccess { signedOut } } }";

#[tokio::test(flavor = "multi_thread")]
async fn from_sign_up_to_sign_out() {
    let world = World::new().await;
    let flow_id = world.start_sign_up(" Siti@Example.com ").await;
    let code = world.code("siti@example.com").await;
    let new = Person::of(&world.verify(&flow_id, &code).await);

    let me = world.data(Some(&new.access), ME, json!({})).await;
    assert_eq!(me["me"]["email"], "siti@example.com");
    assert_eq!(me["me"]["tier"], "BASIC");
    assert!(me["me"]["profile"].is_null());

    let half =
        json!({ "fullName": "Siti Nurhaliza", "birthDate": "1990-01-02", "idType": "NATIONAL_ID", "phone": "+62 812 3456 7890" });
    let updated = world.result(Some(&new.access), UPDATE, half).await;
    assert_eq!(updated["user"]["tier"], "BASIC", "{updated}");
    let rest = json!({ "idNumber": "3174012345671234", "address": "Jl. Merdeka 1, Jakarta", "fullName": null });
    let updated = world.result(Some(&new.access), UPDATE, rest).await;
    assert_eq!(updated["user"]["tier"], "PREMIUM", "{updated}");
    assert_eq!(updated["user"]["profile"], json!({ "fullName": "Siti Nurhaliza", "idNumberMasked": "************1234" }));

    for number in ["3174012345670001", "3174012345670002", "3174012345670003"] {
        let input = json!({ "fullName": "Budi", "idType": "NATIONAL_ID", "idNumber": number, "birthDate": "2015-06-01" });
        assert_eq!(world.result(Some(&new.access), ADD_PASSENGER, input).await["__typename"], "AddPassengerSuccess");
    }
    let me = world.data(Some(&new.access), ME, json!({})).await;
    let list = &me["me"]["passengers"];
    assert_eq!(list["totalCount"], 3);
    assert_eq!(list["nodes"][1]["idNumberMasked"], "************0002");
    assert_eq!(list["pageInfo"]["hasNextPage"], true);
    let next = "query($after: String) { me { passengers(after: $after) { nodes { idNumberMasked } pageInfo { hasNextPage } } } }";
    let page = world.data(Some(&new.access), next, json!({ "after": list["pageInfo"]["endCursor"] })).await;
    assert_eq!(page["me"]["passengers"]["nodes"], json!([{ "idNumberMasked": "************0003" }]));
    assert_eq!(page["me"]["passengers"]["pageInfo"]["hasNextPage"], false);

    let again = Person::of(&world.sign_in("SITI@example.com", PASSWORD).await);
    assert_eq!(again.id, new.id);
    for _ in 0..2 {
        let out = world.result(Some(&again.access), SIGN_OUT, json!(null)).await;
        assert_eq!(out, json!({ "__typename": "SignOutSuccess", "signedOut": true }));
    }
    assert_eq!(world.refresh(&again.refresh).await["code"], "SESSION_REVOKED");
    assert_eq!(Person::of(&world.refresh(&new.refresh).await).id, new.id, "the other session goes on");
    assert!(world.letters("siti@example.com").await.len() == 1, "signing out sends no letter");

    world.clock.advance(TimeDelta::minutes(11));
    let late = world.respond(Some(&again.access), ME, json!({})).await;
    assert_eq!(late["errors"][0]["extensions"]["code"], "TOKEN_EXPIRED");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_null_and_may_change_nothing() {
    let world = World::new().await;
    assert_eq!(world.data(None, ME, json!({})).await, json!({ "me": null }));
    for mutation in [
        "mutation { signOut { __typename } }",
        "mutation { updateProfile(input: {}) { __typename } }",
        "mutation { removePassenger(input: { passengerId: \"passenger_x\" }) { __typename } }",
    ] {
        let response = world.respond(None, mutation, json!({})).await;
        assert_eq!(response["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "{response}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_checked() {
    let world = World::new().await;
    let person = world.person("siti@example.com").await;
    for (input, field) in [
        (json!({ "fullName": "  " }), "fullName"),
        (json!({ "birthDate": "2999-01-01" }), "birthDate"),
        (json!({ "birthDate": "1850-01-01" }), "birthDate"),
        (json!({ "phone": "12" }), "phone"),
        (json!({ "idType": "PASSPORT", "idNumber": "x" }), "idNumber"),
        (json!({ "idNumber": "3174012345671234" }), "idType"),
        (json!({ "address": "" }), "address"),
    ] {
        let refused = world.result(Some(&person.access), UPDATE, input).await;
        let wanted = json!({ "__typename": "InvalidInputError", "code": "INVALID_INPUT", "path": ["input", field] });
        assert_eq!(refused, wanted);
    }
    let me = world.data(Some(&person.access), ME, json!({})).await;
    assert!(me["me"]["profile"].is_null(), "nothing was changed");
    let odd = world.respond(
        Some(&person.access),
        "mutation { updateProfile(input: { birthDate: \"2026-1-2\" }) { __typename } }",
        json!({}),
    );
    assert_eq!(odd.await["errors"][0]["extensions"]["code"], "BAD_REQUEST");
}

#[test]
fn the_schema_prints_without_a_database() {
    let sdl = User::sdl();
    for line in [
        "type User implements Node @key(fields: \"id\")",
        "type Passenger implements Node @key(fields: \"id\")",
        "  signOut: SignOutResult! @authenticated",
        "interface UserError {",
        "interface Node {",
        "union VerifyOtpResult = SessionSuccess | OtpInvalidError | OtpExpiredError | OtpLockedError",
        "  me: User",
        "enum IdType {",
        "first: Int = 20",
    ] {
        assert!(sdl.contains(line), "{line} is missing in\n{sdl}");
    }
    for kind in ["InvalidInputError", "OtpInvalidError", "SessionEndedError", "PassengerLimitError", "RateLimitedError"] {
        assert!(sdl.contains(&format!("type {kind} implements UserError")), "{kind} is no UserError");
    }
    let lines: Vec<&str> = sdl.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let opens = ["type ", "input ", "enum ", "union ", "interface ", "scalar "].iter().any(|word| line.starts_with(word));
        assert!(!opens || lines[at - 1].ends_with("\"\"\""), "{line} has no description");
    }
    let me = sdl.lines().find(|line| line.trim_start().starts_with("me:")).expect("me");
    assert!(!me.contains("@authenticated"));
    // Roles are named by admins only.
    let inputs = sdl.split("\ninput ").skip(1).map(|rest| rest.split('}').next().unwrap_or_default());
    let with_role: Vec<&str> =
        inputs.filter(|input| input.contains("  role: ")).filter_map(|input| input.split(' ').next()).collect();
    assert_eq!(with_role, ["ChangeRoleInput", "CreateAccountInput"]);
}
