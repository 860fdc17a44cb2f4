//! User: who somebody is, and whom they book for.
//!
//! * nouns with their rules: [`email`], [`identifier`], [`password`], [`flow`] (a sign-up that waits for its code), [`account`],
//!   [`profile`], [`session`], [`passenger`], [`document`], [`person`], [`role`], [`bank_account`], [`totp`], [`webauthn`],
//!   [`account_card`] (an account as admins see it), [`audit_entry`]
//! * [`setting`] (how somebody wants to be written to), [`notification`]: the one catalogue of what people are told
//! * use cases, methods of [`accounts::Accounts`]: `sign_ups`, `sessions`, `ended_sessions`, `passwords`, [`second_factors`], [`passkeys`], `fresh_proofs`, [`work`],
//!   `profiles`, `passengers`, `names` (phone numbers, user names), `contact_changes`, `bank_accounts`, `avatars`, `settings`, `notifications`,
//!   `departures` (deletion), `exports`, `admins`; `jobs` cleans up; [`operator`]: what the command line does about admins
//! * [`hashing`]: argon2id on a bounded number of threads; [`darkroom`]: pictures, likewise ([`avatar`]: which ones); `strength`: passwords that are guessed first; `throttle`: attempts per
//!   name, account, flow and client; `letters`: their words and form; `texts`: text messages
//! * `store`: SQL; `graphql`: the schema; `routes`: pictures in and out over HTTP; `peer`: for booking; `events`: what is heard on the bus
//!
//! A new fact of a person: rule in [`person`], field in [`profile`], column in a new migration, `store/account.rs`, and the
//! type and input in `graphql/types/user.rs`.

pub mod account;
pub mod account_card;
pub mod accounts;
mod admins;
pub mod audit;
pub mod audit_entry;
mod audit_log;
pub mod avatar;
mod avatars;
pub mod bank_account;
mod bank_accounts;
pub mod config;
mod contact_change;
mod contact_changes;
pub mod darkroom;
mod departures;
pub mod document;
pub mod email;
mod ended_sessions;
pub mod error;
mod events;
mod exports;
pub mod flow;
mod fresh_proofs;
mod graphql;
pub mod hashing;
pub mod identifier;
mod jobs;
pub mod letters;
mod names;
mod neighbours;
pub mod notification;
mod notifications;
pub mod operator;
pub mod passenger;
mod passengers;
pub mod passkeys;
pub mod password;
mod passwords;
mod peer;
pub mod person;
pub mod profile;
mod profiles;
pub mod role;
mod roles;
mod routes;
pub mod second_factors;
pub mod session;
mod sessions;
pub mod setting;
mod settings;
mod sign_ups;
mod store;
pub mod story;
mod strength;
mod texts;
pub mod throttle;
pub mod totp;
pub mod webauthn;
pub mod work;

use std::sync::Arc;

use axum::Router;
use berth_contracts::peer::UserPeer;
use berth_kernel::{
    Deps,
    auth::{TokenSigner, TokenVerifier},
    ended::EndedSessions,
    graphql::federation_sdl,
    server::Prepare,
};

pub use config::{HashCost, UserConfig};
pub use graphql::{Mutation, Query, Subscription, UserSchema};
pub use neighbours::Neighbours;

use accounts::Accounts;

/// The user service.
#[derive(Clone)]
pub struct User {
    accounts: Accounts,
}

impl User {
    /// The service over its parts. Computes one password hash (about 20 ms).
    pub fn new(deps: Deps, config: UserConfig, signer: TokenSigner) -> Self {
        Self { accounts: Accounts::new(deps, config, signer) }
    }

    /// The schema, ready to be executed.
    pub fn schema(&self) -> UserSchema {
        graphql::builder().data(self.accounts.clone()).finish()
    }

    /// Gives each request its loaders.
    pub fn prepare(&self) -> Prepare {
        let accounts = self.accounts.clone();
        Arc::new(move |request, viewer| graphql::with_loaders(request, &accounts, viewer))
    }

    /// The schema as text, fit for composition. Needs no database.
    pub fn sdl() -> String {
        federation_sdl(&graphql::builder().finish())
    }

    /// `POST /me/avatar` and `GET /avatars/{file}`: who sends is told by the access token.
    pub fn public_routes(&self, tokens: TokenVerifier) -> Router {
        routes::router(self.accounts.clone(), tokens)
    }

    /// The service as booking calls it within the process.
    pub fn peer(&self) -> Arc<dyn UserPeer> {
        Arc::new(peer::Peer(self.accounts.clone()))
    }

    /// What this process knows of ended sessions: the service itself tells it before it answers.
    pub fn ended_sessions(&self) -> EndedSessions {
        self.accounts.ended_sessions()
    }

    /// Introduces the other services, which themselves need [`User::peer`]. Only the first call counts.
    pub fn set_neighbours(&self, neighbours: Neighbours) {
        self.accounts.set_neighbours(neighbours);
    }

    /// Registers the consumer on the bus and starts the clean-up of what has ended. Inside a Tokio runtime. The relay and the post are
    /// started with [`Deps::start`].
    pub fn start(&self) {
        self.accounts.start();
    }

    /// Runs the clean-up once.
    pub async fn forget_ended(&self) -> Result<(), error::Error> {
        Ok(self.accounts.forget_ended().await?)
    }
}
