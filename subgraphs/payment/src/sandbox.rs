//! A payment provider for development and tests. It stands for another company: it has a database of its own, is reached over HTTP
//! only, and speaks the part of Midtrans's Core API that Berth uses, including signed notifications that are repeated when they
//! are not taken. Nobody pays real money to it; a page with buttons plays the payer.

mod answer;
mod deliveries;
mod desk;
mod page;
mod provider_api;
mod store;
pub mod transaction;

use std::{sync::Arc, time::Duration};

use axum::Router;
use berth_kernel::{
    bus::Wake,
    clock::Clock,
    db::{Db, Undoing},
    jobs::Background,
};
use reqwest::Client;
use sea_orm::DbErr;

const TICK: Duration = Duration::from_secs(1);
const NOTICE_TIMEOUT: Duration = Duration::from_secs(10);

/// The sandbox provider. Cheap to clone.
#[derive(Clone)]
pub struct Sandbox {
    db: Db,
    clock: Clock,
    server_key: Arc<str>,
    notification_url: Arc<str>,
    http: Client,
    wake: Wake,
}

/// Why the sandbox does not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No such transaction.
    #[error("no such transaction")]
    NotFound,
    /// The order id was used before.
    #[error("the order id was used before")]
    Duplicate,
    /// Not in this state.
    #[error("the transaction's status can't be changed so")]
    NotModifiable,
    /// The request is wrong.
    #[error("{0}")]
    Invalid(&'static str),
    /// Its database.
    #[error("the sandbox's database failed")]
    Database(#[from] DbErr),
}

impl Undoing for Error {
    fn database(&self) -> Option<&DbErr> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}

impl Sandbox {
    /// A sandbox over its own database, migrated with `SandboxMigrator`. `server_key` is the secret it shares with its only merchant,
    /// `notification_url` where it sends notices: `http://127.0.0.1:4000/webhooks/payments/sandbox`.
    pub fn new(db: Db, clock: Clock, server_key: &str, notification_url: &str) -> Result<Self, reqwest::Error> {
        // It notifies over plain HTTP; without this the client refuses to start on a machine without certificates.
        let http = Client::builder().timeout(NOTICE_TIMEOUT).tls_certs_only([]).build()?;
        Ok(Self {
            db,
            clock,
            server_key: server_key.into(),
            notification_url: notification_url.into(),
            http,
            wake: Wake::alone(),
        })
    }

    /// Midtrans's Core API, for a loopback port: `POST /v2/charge`, `GET /v2/{order_id}/status`,
    /// `POST /v2/{order_id}/cancel|expire|refund`.
    pub fn provider_routes(&self) -> Router {
        provider_api::routes(self.clone())
    }

    /// What a person uses, for the public port of a development profile: `GET /sandbox/pay/{paymentId}`,
    /// `POST /sandbox/payments/{paymentId}/settle|expire|deny|resend`, `GET /sandbox/payments/{paymentId}/qr.svg`.
    pub fn public_routes(&self) -> Router {
        page::routes(self.clone())
    }

    /// Starts its clockwork: transactions expire, notifications are sent.
    pub fn start(&self, background: &Background) {
        let own = self.clone();
        background.every("SandboxExpire", TICK, Wake::alone(), move || {
            let own = own.clone();
            async move { own.expire_due().await }
        });
        let own = self.clone();
        background.every("SandboxNotify", TICK, self.wake.clone(), move || {
            let own = own.clone();
            async move { own.deliver_due().await }
        });
    }
}
