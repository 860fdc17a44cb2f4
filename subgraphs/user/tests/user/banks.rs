//! Bank accounts.

use serde_json::{Value, json};

use crate::world::{Person, World};

const ADD: &str = "mutation($input: AddBankAccountInput!) { r: addBankAccount(input: $input) { __typename \
     ... on AddBankAccountSuccess { bankAccount { id bankCode holderName numberMasked } } ... on UserError { code path } \
     ... on BankAccountLimitError { limit } } }";
const REMOVE: &str = "mutation($input: RemoveBankAccountInput!) { r: removeBankAccount(input: $input) { __typename \
     ... on RemoveBankAccountSuccess { removedId } ... on UserError { code path } } }";
const LIST: &str = "{ me { bankAccounts { id numberMasked } } }";

async fn add(world: &World, person: &Person, number: &str) -> Value {
    let input = json!({ "bankCode": "014", "holderName": "Siti Nurhaliza", "number": number });
    world.result(Some(&person.access), ADD, input).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_account_is_added_shown_masked_and_removed() {
    let world = World::new().await;
    let (siti, budi) = (world.person("siti@example.com").await, world.person("budi@example.com").await);
    let added = add(&world, &siti, "7001 2345 6789").await["bankAccount"].take();
    assert_eq!((&added["numberMasked"], &added["bankCode"]), (&json!("********6789"), &json!("014")));
    let letter = world.letters("siti@example.com").await[0].letter.clone();
    assert!(letter.text.contains("********6789") && !letter.text.contains("700123456789"));
    let at_rest = world.bytes_at_rest().await;
    assert!(!at_rest.windows(12).any(|bytes| bytes == b"700123456789"), "the number is sealed");
    let shown = world.data(Some(&budi.access), LIST, json!({})).await;
    assert_eq!(shown["me"]["bankAccounts"], json!([]));
    let theirs = json!({ "bankAccountId": added["id"] });
    assert_eq!(world.result(Some(&budi.access), REMOVE, theirs.clone()).await["code"], "NOT_FOUND");
    assert_eq!(world.result(Some(&siti.access), REMOVE, theirs.clone()).await["removedId"], added["id"]);
    assert_eq!(world.result(Some(&siti.access), REMOVE, theirs).await["code"], "NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_at_most_five_even_in_a_race() {
    let world = World::new().await;
    let siti = world.person("siti@example.com").await;
    let racing = (0..8).map(|number| {
        let (world, siti) = (&world, &siti);
        async move { add(world, siti, &format!("70012345678{number}")).await }
    });
    let answers = futures_util::future::join_all(racing).await;
    let full: Vec<&Value> = answers.iter().filter(|answer| answer["code"] == "BANK_ACCOUNT_LIMIT").collect();
    assert_eq!((full.len(), &full[0]["limit"]), (3, &json!(5)), "{answers:?}");
    let shown = world.data(Some(&siti.access), LIST, json!({})).await;
    assert_eq!(shown["me"]["bankAccounts"].as_array().map(Vec::len), Some(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn bank_accounts_are_checked() {
    let world = World::new().await;
    let siti = world.person("siti@example.com").await;
    for (bank, holder, number, field) in [
        ("14", "Siti", "700123456789", "bankCode"),
        ("014", " ", "700123456789", "holderName"),
        ("014", "Siti", "7001", "number"),
    ] {
        let input = json!({ "bankCode": bank, "holderName": holder, "number": number });
        let refused = world.result(Some(&siti.access), ADD, input).await;
        assert_eq!((&refused["code"], &refused["path"]), (&json!("INVALID_INPUT"), &json!(["input", field])));
    }
}
