//! Keys and clock of an installation, and listeners on the loopback interface.

use axum::Router;
use berth_kernel::{
    auth::{SignKey, TokenSigner, TokenVerifier},
    clock::Clock,
    service::{ServiceKey, ServiceSigner, ServiceVerifier},
};
use uuid::Uuid;

pub struct World {
    pub keys: tempfile::TempDir,
    pub clock: Clock,
    access: SignKey,
}

impl World {
    pub fn new() -> Self {
        Self { keys: tempfile::tempdir().unwrap(), clock: Clock::system(), access: SignKey::generate() }
    }

    pub fn signer(&self, caller: &str) -> ServiceSigner {
        self.signer_by(caller, self.clock.clone())
    }

    /// A caller that goes by a clock of its own.
    pub fn signer_by(&self, caller: &str, clock: Clock) -> ServiceSigner {
        ServiceSigner::new(ServiceKey::load_or_create(self.keys.path(), caller).unwrap(), clock)
    }

    /// Who checks the credentials of those that call a service.
    pub fn services(&self, service: &str) -> ServiceVerifier {
        ServiceVerifier::new(self.keys.path(), service, self.clock.clone())
    }

    pub fn tokens(&self) -> TokenVerifier {
        TokenVerifier::new(std::slice::from_ref(&self.access), self.clock.clone())
    }

    /// The `Authorization` of a person.
    pub fn token(&self, user_id: Uuid) -> String {
        let (token, _) = TokenSigner::new(self.access.clone(), self.clock.clone()).sign(user_id, Uuid::nil(), &[]).unwrap();
        format!("Bearer {token}")
    }
}

pub async fn serve(routes: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

/// An address that nobody listens at.
pub async fn nobody() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
