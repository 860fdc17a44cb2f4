//! Mutations, a file per theme: each reads its input, calls one use case and maps the outcome.

mod admins;
mod avatars;
mod banks;
mod contacts;
mod names;
mod notifications;
mod passkeys;
mod passwords;
mod people;
mod privacy;
mod second_factors;
mod sessions;
mod sign_ups;

use async_graphql::MergedObject;

/// Everything that can be changed.
#[derive(MergedObject, Default)]
pub struct Mutation(
    sign_ups::SignUps,
    sessions::Sessions,
    passwords::Passwords,
    people::People,
    notifications::Notifications,
    admins::Admins,
    privacy::Privacy,
    names::Names,
    contacts::Contacts,
    banks::Banks,
    second_factors::SecondFactors,
    passkeys::Passkeys,
    avatars::Avatars,
);
