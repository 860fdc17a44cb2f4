//! What all use cases of this service stand on. They are methods of [`Accounts`], one file per theme: `sign_ups`, `sessions`, `passwords`,
//! `profiles`, `passengers`; `jobs` cleans up behind them.

use std::sync::{Arc, OnceLock};

use berth_kernel::{
    Deps,
    auth::TokenSigner,
    bus::Wake,
    ended::{self, EndedSessions},
};

use tokio::sync::Semaphore;

use crate::{config::UserConfig, darkroom::Darkroom, hashing::Hasher, neighbours::Neighbours, throttle::Throttle};

/// Links that may be in the making: more are asked for only by who tries addresses out.
const LINKS_AT_ONCE: usize = 64;

/// The use cases. Cheap to clone.
#[derive(Clone)]
pub struct Accounts {
    pub(crate) deps: Deps,
    pub(crate) config: Arc<UserConfig>,
    pub(crate) signer: TokenSigner,
    pub(crate) hasher: Arc<Hasher>,
    pub(crate) throttle: Arc<Throttle>,
    pub(crate) darkroom: Arc<Darkroom>,
    /// Links for new passwords that are being made beside the requests.
    pub(crate) links: Arc<Semaphore>,
    /// Sessions whose access tokens this process refuses.
    pub(crate) ended: EndedSessions,
    /// Tells every process that sessions were ended.
    pub(crate) endings: Wake,
    /// What else is kept about people.
    pub(crate) neighbours: Arc<OnceLock<Neighbours>>,
}

impl Accounts {
    /// The use cases over these parts.
    pub fn new(deps: Deps, config: UserConfig, signer: TokenSigner) -> Self {
        let hasher = Arc::new(Hasher::new(&config));
        let throttle = Arc::new(Throttle::new(&deps));
        let (links, neighbours) = (Arc::new(Semaphore::new(LINKS_AT_ONCE)), Arc::default());
        let (ended, endings) = (EndedSessions::new(deps.clock.clone()), deps.wake(ended::WORK));
        let darkroom = Arc::default();
        Self { deps, config: Arc::new(config), signer, hasher, throttle, darkroom, links, ended, endings, neighbours }
    }
}
