//! Mutations, a file per theme: each reads its input, calls one use case and maps the outcome.

mod notifications;
mod passwords;
mod people;
mod sessions;
mod sign_ups;

use async_graphql::MergedObject;

/// Everything that can be changed.
#[derive(MergedObject, Default)]
pub struct Mutation(sign_ups::SignUps, sessions::Sessions, passwords::Passwords, people::People, notifications::Notifications);
