//! Promises that a build with the feature `sabotage` can break by `BERTH_SABOTAGE`, so that each checker is seen to fail.

#[cfg(feature = "sabotage")]
fn chosen(name: &str) -> bool {
    std::env::var("BERTH_SABOTAGE").is_ok_and(|value| value == name)
}

#[cfg(not(feature = "sabotage"))]
const fn chosen(_name: &str) -> bool {
    false
}

/// Announce a change before it is committed, instead of by the outbox.
pub fn publishes_early() -> bool {
    chosen("publish_early")
}

/// Keep the money when the seats are gone.
pub fn skips_refund() -> bool {
    chosen("skip_refund")
}
