//! How often somebody may try something. Each executed field counts, so aliases and batches gain nothing; all replicas count
//! together ([`berth_kernel::limits`]). Codes and letters have limits of their own in the database.
//!
//! | what | an address, account or flow | a client's network |
//! | --- | --- | --- |
//! | sign-ups | 5 at once, one more a minute | 30 at once, one more every 20 s |
//! | codes of a sign-up, and new ones | 10 at once, one more every 30 s | 60 at once, one more every 2 s |
//! | sign-ins | 20 at once, one more every 3 s, for each name typed; 21 for each account | 100 at once, one more a second |
//! | changes to an address, whoever asks | as sign-ups, and 20 a day | |
//! | links for new passwords | 3 at once, one more a minute, 20 a day | 20 at once, one more every 30 s |
//! | second factors, wrong or right | 10 at once, one more every 30 s | as codes |
//! | passkeys, and proofs of work | | as codes |
//! | refreshes | 10 at once of one token, one more every 30 s | 300 at once, five more a second |
//! | pictures | 10 at once, one more every 6 minutes | |

use std::{net::IpAddr, time::Duration};

use berth_kernel::{
    Deps,
    limits::{Limit, Limits},
    peer::Passed,
};
use uuid::Uuid;

use crate::error::Refusal;

/// Letters and text messages that anybody can have sent to an address, of each kind: at once, and after how long one more.
const A_DAY: u32 = 20;
const EVERY_SECS: u64 = 24 * 60 * 60 / 20;

/// The limits of this service.
pub struct Throttle {
    limits: Limits,
    sign_ups: Limit,
    sign_ups_from: Limit,
    changes_a_day: Limit,
    codes: Limit,
    guesses_from: Limit,
    sign_ins: Limit,
    sign_ins_to: Limit,
    sign_ins_from: Limit,
    refreshes: Limit,
    refreshes_from: Limit,
    resets: Limit,
    resets_a_day: Limit,
    resets_from: Limit,
    second_factors: Limit,
    avatars: Limit,
}

impl Throttle {
    /// Limits that go by the service's clock, and by its bus are shared.
    pub fn new(deps: &Deps) -> Self {
        let limits = Limits::new(&deps.bus, deps.clock.clone(), deps.sealer.clone());
        let limit = |name, burst, every_secs| limits.limit(name, burst, Duration::from_secs(every_secs));
        Self {
            sign_ups: limit("sign-up", 5, 60),
            sign_ups_from: limit("sign-up-from", 30, 20),
            changes_a_day: limit("change-a-day", A_DAY, EVERY_SECS),
            codes: limit("code", 10, 30),
            guesses_from: limit("guess-from", 60, 2),
            sign_ins: limit("sign-in", 20, 3),
            // One more than of a name: who waits as long as the name's limit says is not refused by this one, counted an instant later.
            sign_ins_to: limit("sign-in-to", 21, 3),
            sign_ins_from: limit("sign-in-from", 100, 1),
            refreshes: limit("refresh", 10, 30),
            refreshes_from: limits.limit("refresh-from", 300, Duration::from_millis(200)),
            resets: limit("reset", 3, 60),
            resets_a_day: limit("reset-a-day", A_DAY, EVERY_SECS),
            resets_from: limit("reset-from", 20, 30),
            second_factors: limit("second-factor", 10, 30),
            avatars: limit("avatar", 10, 360),
            limits,
        }
    }

    /// Counts a sign-up of an address.
    pub async fn sign_up(&self, address: &str) -> Result<(), Refusal> {
        self.count(&[(&self.sign_ups, address)], &self.sign_ups_from).await
    }

    /// Counts a change to an address, of whichever account: its code goes to somebody who may have asked for nothing.
    pub async fn change_to(&self, address: &str) -> Result<(), Refusal> {
        self.count(&[(&self.sign_ups, address), (&self.changes_a_day, address)], &self.sign_ups_from).await
    }

    /// Counts a code that is tried in a flow, or a new one that is asked for.
    pub async fn code(&self, flow_id: Uuid) -> Result<(), Refusal> {
        self.count(&[(&self.codes, &flow_id.to_string())], &self.guesses_from).await
    }

    /// Counts a sign-in of an address, known or not.
    pub async fn sign_in(&self, address: &str) -> Result<(), Refusal> {
        self.count(&[(&self.sign_ins, address)], &self.sign_ins_from).await
    }

    /// Counts a sign-in of an account (its key), by whichever of its names; of a name that has none, the same by that name, so that
    /// nobody learns the difference from the time.
    pub async fn sign_in_to(&self, account: &str) -> Result<(), Refusal> {
        self.allow(&[(&self.sign_ins_to, account)]).await
    }

    /// Counts a use of a refresh token, known or not, by its hash.
    pub async fn refresh(&self, hash: &str) -> Result<(), Refusal> {
        self.count(&[(&self.refreshes, hash)], &self.refreshes_from).await
    }

    /// Counts a link for a new password, whether the address is known or not.
    pub async fn reset(&self, address: &str) -> Result<(), Refusal> {
        self.count(&[(&self.resets, address), (&self.resets_a_day, address)], &self.resets_from).await
    }

    /// Counts something that is tried without saying for whom.
    pub async fn guess(&self) -> Result<(), Refusal> {
        self.count(&[], &self.guesses_from).await
    }

    /// Counts a code of the second factor of an account.
    pub async fn second_factor(&self, account_id: Uuid) -> Result<(), Refusal> {
        self.count(&[(&self.second_factors, &account_id.to_string())], &self.guesses_from).await
    }

    /// Counts a picture that an account sends.
    pub async fn avatar(&self, account_id: Uuid) -> Result<(), Refusal> {
        self.allow(&[(&self.avatars, &account_id.to_string())]).await
    }

    async fn count(&self, of: &[(&Limit, &str)], from: &Limit) -> Result<(), Refusal> {
        let network = Passed::current().client().and_then(network);
        let attempts: Vec<_> = of.iter().copied().chain(network.as_deref().map(|network| (from, network))).collect();
        self.allow(&attempts).await
    }

    async fn allow(&self, attempts: &[(&Limit, &str)]) -> Result<(), Refusal> {
        self.limits.count(attempts).await.map_err(|retry_after| Refusal::RateLimited { retry_after })
    }
}

/// What counts as one client: an address of IPv4, or a network of 2^64 of IPv6, as a household has. `None` for addresses that are
/// not public: behind them is a proxy that nobody told us of, and thus everybody.
fn network(client: &str) -> Option<String> {
    match client.parse::<IpAddr>().ok()?.to_canonical() {
        IpAddr::V4(address) => {
            let inside = address.is_loopback() || address.is_private() || address.is_link_local() || address.is_unspecified();
            (!inside).then(|| address.to_string())
        }
        IpAddr::V6(address) => {
            let inside = address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local();
            (!inside && !address.is_unspecified()).then(|| format!("{:x?}", &address.segments()[..4]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_household_is_one_client() {
        assert_eq!(network("203.0.113.9").as_deref(), Some("203.0.113.9"));
        assert_eq!(network("::ffff:203.0.113.9").as_deref(), Some("203.0.113.9"));
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::9"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
    }

    #[test]
    fn who_is_inside_is_not_one_client() {
        for inside in ["127.0.0.1", "10.1.2.3", "192.168.0.7", "172.18.0.1", "169.254.1.1", "::1", "fd00::1", "fe80::1", "", "x"]
        {
            assert_eq!(network(inside), None, "{inside}");
        }
    }
}
