//! Who may do what: the matrix of tests/access/matrix.toml covers the whole graph, and a running Berth keeps to it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::fs;

use anyhow::{Context, ensure};
use berth_tests::{
    access::{Matrix, ask, cast, cast::Cast, graph},
    in_both_arms,
    person::Person,
    process::{Arm, Berth},
};

in_both_arms!(everybody_gets_what_the_matrix_says, the_operator_makes_the_first_admin);

mod control {
    use berth_tests::in_one_process;

    use super::the_checker_sees_a_missing_owner;

    in_one_process!(the_checker_sees_a_missing_owner);
}

fn matrix() -> anyhow::Result<Matrix> {
    Matrix::parse(&fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/access/matrix.toml"))?)
}

fn schema() -> anyhow::Result<String> {
    Ok(fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../schema/api.graphql"))?)
}

#[test]
fn every_root_field_and_every_id_has_a_row() -> anyhow::Result<()> {
    let gaps = graph::gaps(&schema()?, &matrix()?)?;
    ensure!(gaps.is_empty(), "tests/access/matrix.toml says at its head how to add a row:\n{}", gaps.join("\n"));
    Ok(())
}

#[test]
fn a_new_field_id_or_node_without_a_row_is_seen() -> anyhow::Result<()> {
    let with =
        |found: &str, put: &str| -> anyhow::Result<Vec<String>> { graph::gaps(&schema()?.replacen(found, put, 1), &matrix()?) };
    ensure!(with("\ntype Query {", "\ntype Query {\n  secrets: String")? == ["Query.secrets has no row"]);
    ensure!(with("\ntype Subscription {", "\ntype Subscription {\n  leaks(of: [ID!]!): Int")?.len() == 2);
    let deep = with("\ninput PassengerDetailsInput {", "\ninput PassengerDetailsInput {\n  like: ID")?;
    ensure!(deep == ["Mutation.createBooking: no row gives the id input.passengers.details.like"], "{deep:?}");
    ensure!(with("\ntype Money {", "\ntype Money implements Node {")? == ["Query.node: no row asks for a Money"]);
    let without = graph::gaps(&schema()?, &matrix()?.without("Mutation.cancelBooking"))?;
    ensure!(without.len() == 2, "{without:?}");
    let stale = with("\n  cancelBooking(", "\n  abandonBooking(")?;
    ensure!(stale.len() == 3 && stale[0].contains("is not in the schema"), "{stale:?}");
    Ok(())
}

async fn everybody_gets_what_the_matrix_says(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let cast = Cast::gather(&mut berth).await?;
    let found = ask::differences(&matrix()?, &cast).await?;
    ensure!(found.is_empty(), "{} answers differ from the matrix:\n{}", found.len(), found.join("\n"));
    verify(&mut berth)?;
    berth.assert_alive()
}

/// Bookings are shown to whoever knows their id.
async fn the_checker_sees_a_missing_owner(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.setup().sabotage("skip_owner")?.start().await?;
    let cast = Cast::gather(&mut berth).await?;
    let found = ask::differences(&matrix()?.about("$booking"), &cast).await?;
    let seen = |field: &str| found.iter().any(|row| row.starts_with(field) && row.contains("ALLOWED instead of NOT_FOUND"));
    ensure!(seen("Query.booking as stranger") && seen("Query.node as"), "the checker sees only {found:?}");
    Ok(())
}

/// The commands of the operator, beside a Berth that serves.
async fn the_operator_makes_the_first_admin(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let mut person = Person::sign_up(&client, "first").await?;
    ensure!(cast::grant(&mut berth, "nobody@example.org", "ADMIN").is_err(), "an unknown address");
    ensure!(cast::grant(&mut berth, &person.email, "ROOT").is_err(), "an unknown role");
    cast::grant(&mut berth, &person.email, "admin")?;
    ensure!(run(&mut berth, &["admin", "list"])?.contains(&person.id));
    person.refresh().await?;
    let data =
        person.client.query("{ accounts { nodes { id role } } auditEntries { nodes { hash } } }", serde_json::json!({})).await?;
    ensure!(data["accounts"]["nodes"][0]["role"] == "ADMIN", "{data}");
    let hash = data["auditEntries"]["nodes"][0]["hash"].as_str().context("no hash")?;
    ensure!(verify(&mut berth)?.contains(hash));
    let export = run(&mut berth, &["admin", "audit", "export"])?;
    let line: serde_json::Value = serde_json::from_str(export.trim())?;
    ensure!(line["hash"] == hash && line["subject"] == person.id.as_str() && line["actor"].is_null(), "{export}");
    ensure!(run(&mut berth, &["admin", "revoke", &person.email]).is_err(), "the last admin is gone");
    ensure!(run(&mut berth, &["admin", "audit", "verify", "--known", &"1".repeat(64)]).is_err(), "a hash that is not there");
    berth.assert_alive()
}

fn verify(berth: &mut Berth) -> anyhow::Result<String> {
    run(berth, &["admin", "audit", "verify"])
}

fn run(berth: &mut Berth, arguments: &[&str]) -> anyhow::Result<String> {
    let output = berth.processes().last().context("no process")?.run(arguments)?;
    ensure!(output.status.success(), "berth {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}
