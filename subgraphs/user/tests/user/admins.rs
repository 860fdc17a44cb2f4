//! What admins may do, and what nobody may.

use berth_kernel::db::sql;
use berth_user::{operator, role::Role};
use futures_util::future::join_all;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use crate::world::{PASSWORD, Person, World};

const ROLE: &str = "mutation($input: ChangeRoleInput!) { r: changeRole(input: $input) { __typename \
     ... on ChangeRoleSuccess { account { id role } } ... on UserError { code path } } }";
const SUSPEND: &str = "mutation($input: SuspendAccountInput!) { r: suspendAccount(input: $input) { __typename \
     ... on SuspendAccountSuccess { account { suspendedAt } } ... on UserError { code path } } }";
const REINSTATE: &str = "mutation($input: ReinstateAccountInput!) { r: reinstateAccount(input: $input) { __typename \
     ... on ReinstateAccountSuccess { account { suspendedAt } } ... on UserError { code path } } }";
const REVOKE: &str = "mutation($input: RevokeAccountSessionsInput!) { r: revokeAccountSessions(input: $input) { __typename \
     ... on RevokeAccountSessionsSuccess { ended } ... on UserError { code path } } }";
const CREATE: &str = "mutation($input: CreateAccountInput!) { r: createAccount(input: $input) { __typename \
     ... on CreateAccountSuccess { account { id email role createdAt } } ... on UserError { code path } } }";
const ACCOUNTS: &str = "query($first: Int, $after: String, $last: Int, $before: String, $role: Role, $suspended: Boolean, \
     $search: String) { accounts(first: $first, after: $after, last: $last, before: $before, role: $role, suspended: $suspended, \
     search: $search) { nodes { email } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }";

/// Somebody whom the operator made an admin, with a token that says so.
pub async fn admin(world: &World, email: &str) -> Person {
    let person = world.person(email).await;
    operator::grant(&world.db, &world.clock, email, Role::Admin).await.expect("granted");
    Person::of(&world.refresh(&person.refresh).await)
}

pub async fn suspend(world: &World, admin: &Person, person: &Person) -> Value {
    world.result(Some(&admin.access), SUSPEND, json!({ "accountId": person.id, "reason": "card fraud" })).await
}

async fn change(world: &World, admin: &Person, id: &str, role: &str) -> Value {
    world.result(Some(&admin.access), ROLE, json!({ "accountId": id, "role": role })).await
}

fn code(result: &Value) -> Option<&str> {
    result["code"].as_str()
}

fn error_code(response: &Value) -> Option<&str> {
    response["errors"][0]["extensions"]["code"].as_str()
}

async fn number(world: &World, query: &str) -> i64 {
    let row = world.db.read().query_one_raw(sql(world.db.read(), query, [])).await.expect("reads").expect("a row");
    row.try_get("", "n").expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_counts_from_the_next_refresh_on_and_is_gone_at_once() {
    let world = World::new().await;
    let (siti, budi) = (world.person("siti@example.com").await, world.person("budi@example.com").await);
    let target = json!({ "accountId": budi.id, "role": "ORGANIZER" });
    assert_eq!(code(&world.result(Some(&siti.access), ROLE, target.clone()).await), Some("FORBIDDEN"));
    operator::grant(&world.db, &world.clock, " Siti@example.com", Role::Admin).await.expect("granted");
    assert_eq!(code(&world.result(Some(&siti.access), ROLE, target.clone()).await), Some("FORBIDDEN"), "an old token");
    let siti = Person::of(&world.refresh(&siti.refresh).await);
    let changed = world.result(Some(&siti.access), ROLE, target.clone()).await;
    assert_eq!(changed["account"], json!({ "id": budi.id, "role": "ORGANIZER" }));
    let budi = Person::of(&world.refresh(&budi.refresh).await);
    assert_eq!(world.data(Some(&budi.access), "{ me { role } }", json!({})).await["me"]["role"], "ORGANIZER");

    let other = admin(&world, "tia@example.com").await;
    assert_eq!(change(&world, &other, &siti.id, "USER").await["account"]["role"], "USER");
    assert_eq!(code(&world.result(Some(&siti.access), ROLE, target).await), Some("FORBIDDEN"), "the token still says ADMIN");
    let read = world.respond(Some(&siti.access), "{ accounts { nodes { id } } }", json!({})).await;
    assert_eq!(error_code(&read), Some("FORBIDDEN"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_an_admin_sees_or_changes_accounts() {
    let world = World::new().await;
    let (siti, budi) = (world.person("siti@example.com").await, world.person("budi@example.com").await);
    operator::grant(&world.db, &world.clock, "budi@example.com", Role::Organizer).await.expect("granted");
    let budi = Person::of(&world.refresh(&budi.refresh).await);
    let account = format!("{{ account(id: \"{}\") {{ id }} }}", siti.id);
    let reads = ["{ accounts { nodes { id } } }", account.as_str(), "{ auditEntries { nodes { seq } } }"];
    let acts = [
        (ROLE, json!({ "accountId": siti.id, "role": "ADMIN" })),
        (SUSPEND, json!({ "accountId": siti.id })),
        (REINSTATE, json!({ "accountId": siti.id })),
        (REVOKE, json!({ "accountId": siti.id })),
        (CREATE, json!({ "email": "new@example.com" })),
    ];
    for person in [&siti, &budi] {
        for query in reads {
            assert_eq!(error_code(&world.respond(Some(&person.access), query, json!({})).await), Some("FORBIDDEN"), "{query}");
        }
        for (mutation, input) in &acts {
            assert_eq!(code(&world.result(Some(&person.access), mutation, input.clone()).await), Some("FORBIDDEN"));
        }
    }
    for query in reads {
        assert_eq!(error_code(&world.respond(None, query, json!({})).await), Some("UNAUTHENTICATED"), "{query}");
    }
    assert_eq!(number(&world, "SELECT COUNT(*) AS n FROM account WHERE role = 'ADMIN' OR suspended_at_ms IS NOT NULL").await, 0);
    assert_eq!(number(&world, "SELECT COUNT(*) AS n FROM audit_entry").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_public_input_takes_a_role_and_the_database_takes_no_other() {
    let world = World::new().await;
    let siti = world.person("siti@example.com").await;
    for mutation in [
        format!(
            "mutation {{ signUp(input: {{ email: \"a@example.com\", password: \"{PASSWORD}\", role: ADMIN }}) {{ __typename }} }}"
        ),
        "mutation { updateProfile(input: { fullName: \"Siti\", role: ADMIN }) { __typename } }".to_owned(),
    ] {
        let response = world.respond(Some(&siti.access), &mutation, json!({})).await;
        assert!(response["data"].is_null() && response["errors"][0].is_object(), "{response}");
    }
    let text = "UPDATE account SET role = 'ROOT'";
    assert!(world.db.read().execute_raw(sql(world.db.read(), text, [])).await.is_err(), "any role is taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_person_is_out_and_stays_out() {
    let world = World::new().await;
    let (admin, siti) = (admin(&world, "tia@example.com").await, world.person("siti@example.com").await);
    assert!(suspend(&world, &admin, &siti).await["account"]["suspendedAt"].is_string());
    assert!(suspend(&world, &admin, &siti).await["account"]["suspendedAt"].is_string(), "twice is harmless");
    assert_eq!(code(&world.refresh(&siti.refresh).await), Some("SESSION_REVOKED"));
    let wrong = world.sign_in("siti@example.com", "wrong password").await;
    assert_eq!(wrong, world.sign_in("nobody@example.com", "wrong password").await);
    assert_eq!(code(&world.sign_in("siti@example.com", PASSWORD).await), Some("ACCOUNT_SUSPENDED"));
    assert_eq!(number(&world, "SELECT COUNT(*) AS n FROM session WHERE revoked_at_ms IS NULL").await, 1, "the admin's");

    let reinstated = world.result(Some(&admin.access), REINSTATE, json!({ "accountId": siti.id })).await;
    assert_eq!(reinstated["account"], json!({ "suspendedAt": null }));
    assert_eq!(code(&world.refresh(&siti.refresh).await), Some("SESSION_REVOKED"), "the old sessions stay ended");
    Person::of(&world.sign_in("siti@example.com", PASSWORD).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_slips_in_while_they_are_suspended() {
    let world = World::new().await;
    let (admin, siti) = (admin(&world, "tia@example.com").await, world.person("siti@example.com").await);
    let signing_in = join_all((0..8).map(|_| world.sign_in("siti@example.com", PASSWORD)));
    let refreshing = join_all((0..4).map(|_| world.refresh(&siti.refresh)));
    let (_, _, suspended) = tokio::join!(signing_in, refreshing, suspend(&world, &admin, &siti));
    assert!(suspended["account"]["suspendedAt"].is_string(), "{suspended}");
    assert_eq!(number(&world, "SELECT COUNT(*) AS n FROM session WHERE revoked_at_ms IS NULL").await, 1, "the admin's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_admin_and_one_who_signed_out_act_no_more() {
    let world = World::new().await;
    let (first, second) = (admin(&world, "tia@example.com").await, admin(&world, "uli@example.com").await);
    let siti = world.person("siti@example.com").await;
    suspend(&world, &first, &second).await;
    assert_eq!(code(&suspend(&world, &second, &siti).await), Some("FORBIDDEN"));
    assert_eq!(code(&suspend(&world, &second, &first).await), Some("FORBIDDEN"));
    world.data(Some(&first.access), "mutation { signOut { __typename } }", json!({})).await;
    assert_eq!(code(&suspend(&world, &first, &siti).await), Some("FORBIDDEN"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_is_left() {
    let world = World::new().await;
    let tia = admin(&world, "tia@example.com").await;
    for role in ["USER", "ORGANIZER"] {
        assert_eq!(code(&change(&world, &tia, &tia.id, role).await), Some("OWN_ACCOUNT"));
    }
    assert_eq!(code(&suspend(&world, &tia, &tia).await), Some("OWN_ACCOUNT"));
    assert_eq!(change(&world, &tia, &tia.id, "ADMIN").await["account"]["role"], "ADMIN", "nothing to change");
    assert!(operator::grant(&world.db, &world.clock, "tia@example.com", Role::User).await.is_err(), "the last admin is gone");
    for id in ["user_x", "", "flow_00000000000000000000000000", &format!("user_{}", "0".repeat(26))] {
        assert_eq!(code(&change(&world, &tia, id, "USER").await), Some("NOT_FOUND"), "{id}");
    }

    let uli = admin(&world, "uli@example.com").await;
    let (of_uli, of_tia) = tokio::join!(change(&world, &tia, &uli.id, "USER"), change(&world, &uli, &tia.id, "USER"));
    let done = [&of_uli, &of_tia].into_iter().filter(|result| result["__typename"] == "ChangeRoleSuccess").count();
    assert_eq!(done, 1, "{of_uli} {of_tia}");
    assert_eq!(operator::admins(&world.db).await.expect("reads").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_an_admin_made_gets_its_password_by_a_link() {
    let world = World::new().await;
    let tia = admin(&world, "tia@example.com").await;
    let create = |input: Value| world.result(Some(&tia.access), CREATE, input);
    let created = create(json!({ "email": "New@Example.com", "role": "ORGANIZER" })).await;
    assert_eq!((&created["account"]["email"], &created["account"]["role"]), (&json!("new@example.com"), &json!("ORGANIZER")));
    for known in ["new@example.com", "tia@example.com"] {
        assert_eq!(code(&create(json!({ "email": known })).await), Some("ACCOUNT_EXISTS"));
    }
    assert_eq!(create(json!({ "email": "new" })).await["path"], json!(["input", "email"]));

    let letters = world.letters("new@example.com").await;
    let token = letters[0].letter.text.split("#token=").nth(1).expect("a link").split_whitespace().next().expect("a token");
    let reset = "mutation($input: ResetPasswordInput!) { r: resetPassword(input: $input) { __typename } }";
    let set = world.result(None, reset, json!({ "token": token, "newPassword": PASSWORD })).await;
    assert_eq!(set["__typename"], "ResetPasswordSuccess");
    let person = Person::of(&world.sign_in("new@example.com", PASSWORD).await);
    assert_eq!(json!(person.id), created["account"]["id"]);
    assert_eq!(create(json!({ "email": "plain@example.com" })).await["account"]["role"], "USER");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_accounts_goes_forth_and_back_and_is_filtered() {
    let world = World::new().await;
    let tia = admin(&world, "tia@example.com").await;
    for email in ["a_1@example.com", "b%2@example.com", "c3@example.com", "d4@example.com"] {
        world.result(Some(&tia.access), CREATE, json!({ "email": email })).await;
    }
    let list = |variables: Value| {
        let (world, tia) = (&world, &tia);
        async move { world.data(Some(&tia.access), ACCOUNTS, variables).await["accounts"].take() }
    };
    let emails = |page: &Value| {
        let nodes = page["nodes"].as_array().expect("a list").clone();
        nodes.iter().map(|node| node["email"].as_str().expect("a text").replace("@example.com", "")).collect::<Vec<_>>()
    };
    let page = list(json!({ "first": 2 })).await;
    assert_eq!(emails(&page), ["d4", "c3"]);
    let next = list(json!({ "first": 2, "after": page["pageInfo"]["endCursor"] })).await;
    assert_eq!((emails(&next), &next["pageInfo"]["hasNextPage"]), (vec!["b%2".to_owned(), "a_1".to_owned()], &json!(true)));
    let back = list(json!({ "last": 1, "before": next["pageInfo"]["startCursor"] })).await;
    assert_eq!(emails(&back), ["c3"]);
    assert_eq!((&back["pageInfo"]["hasPreviousPage"], &back["pageInfo"]["hasNextPage"]), (&json!(true), &json!(true)));
    let end = list(json!({ "last": 2 })).await;
    assert_eq!((emails(&end), &end["pageInfo"]["hasNextPage"]), (vec!["a_1".to_owned(), "tia".to_owned()], &json!(false)));

    for (search, found) in [("%", vec!["b%2"]), ("_", vec!["a_1"]), ("C3@EX", vec!["c3"]), ("!", vec![]), ("' OR 1=1 --", vec![])]
    {
        assert_eq!(emails(&list(json!({ "search": search })).await), found, "{search}");
    }
    assert_eq!(emails(&list(json!({ "role": "ADMIN" })).await), ["tia"]);
    assert_eq!(emails(&list(json!({ "suspended": true })).await), Vec::<String>::new());
    for (variables, wanted) in [
        (json!({ "first": 101 }), "PAGE_TOO_LARGE"),
        (json!({ "last": 0 }), "PAGE_TOO_LARGE"),
        (json!({ "first": 1, "last": 1 }), "INVALID_PAGE"),
        (json!({ "before": "x" }), "INVALID_CURSOR"),
        (json!({ "search": " " }), "INVALID_INPUT"),
    ] {
        assert_eq!(error_code(&world.respond(Some(&tia.access), ACCOUNTS, variables).await), Some(wanted));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_sees_an_account_and_not_the_person() {
    let world = World::new().await;
    let (tia, siti) = (admin(&world, "tia@example.com").await, world.person("siti@example.com").await);
    let query = "query($id: ID!) { account(id: $id) { id email role suspendedAt fullName phone } }";
    let seen = world.data(Some(&tia.access), query, json!({ "id": siti.id })).await;
    let expected = json!({ "id": siti.id, "email": "siti@example.com", "role": "USER", "suspendedAt": null,
        "fullName": null, "phone": null });
    assert_eq!(seen["account"], expected);
    for id in ["user_x", "", &format!("user_{}", "0".repeat(26))] {
        assert!(world.data(Some(&tia.access), query, json!({ "id": id })).await["account"].is_null());
    }
    let passenger = json!({ "fullName": "Ani", "idType": "PASSPORT", "idNumber": "C1234567", "birthDate": "1990-01-01" });
    let added = world.result(Some(&siti.access), crate::world::ADD_PASSENGER, passenger).await;
    let entities =
        "query($of: [_Any!]!) { _entities(representations: $of) { ... on User { email } ... on Passenger { fullName } } }";
    let of = json!({ "of": [{ "__typename": "User", "id": siti.id },
        { "__typename": "Passenger", "id": added["passenger"]["id"] }] });
    let budi = world.person("budi@example.com").await;
    for stranger in [Some(&tia), Some(&budi), None] {
        let found = world.data(stranger.map(|person| person.access.as_str()), entities, of.clone()).await;
        assert_eq!(found["_entities"], json!([null, null]));
    }
    let own = world.data(Some(&siti.access), entities, of).await;
    assert_eq!(own["_entities"], json!([{ "email": "siti@example.com" }, { "fullName": "Ani" }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_ends_the_sessions_of_others() {
    let world = World::new().await;
    let (tia, siti) = (admin(&world, "tia@example.com").await, world.person("siti@example.com").await);
    Person::of(&world.sign_in("siti@example.com", PASSWORD).await);
    let ended = world.result(Some(&tia.access), REVOKE, json!({ "accountId": siti.id })).await;
    assert_eq!(ended["ended"], 2);
    assert_eq!(code(&world.refresh(&siti.refresh).await), Some("SESSION_REVOKED"));
    Person::of(&world.sign_in("siti@example.com", PASSWORD).await);
}
