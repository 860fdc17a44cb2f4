//! Negative controls: with the cargo feature `sabotage`, `BERTH_SABOTAGE` switches a guard off, and a checker must turn red.

use berth_kernel::sabotage::is_chosen;

/// `skip_inbox`: notices are not recognised as duplicates, and money that came is booked again for each.
pub fn skips_inbox() -> bool {
    is_chosen("skip_inbox")
}

/// `ack_early`: a notice is marked as done before anything was done about it.
pub fn acks_early() -> bool {
    is_chosen("ack_early")
}
