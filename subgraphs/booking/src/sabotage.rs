//! Promises that a build with the feature `sabotage` can break by `BERTH_SABOTAGE`, so that each checker is seen to fail.

use berth_kernel::sabotage::is_chosen;

/// Announce a change before it is committed, instead of by the outbox.
pub fn publishes_early() -> bool {
    is_chosen("publish_early")
}

/// Keep the money when the seats are gone.
pub fn skips_refund() -> bool {
    is_chosen("skip_refund")
}

/// Show a booking to whoever knows its id.
pub fn skips_owner() -> bool {
    is_chosen("skip_owner")
}
