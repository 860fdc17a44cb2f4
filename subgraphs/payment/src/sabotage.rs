//! Negative controls: with the cargo feature `sabotage`, `BERTH_SABOTAGE` switches a guard off, and a checker must turn red.

/// `skip_inbox`: notices are not recognised as duplicates, and money that came is booked again for each.
pub fn skips_inbox() -> bool {
    named("skip_inbox")
}

/// `ack_early`: a notice is marked as done before anything was done about it.
pub fn acks_early() -> bool {
    named("ack_early")
}

#[cfg(feature = "sabotage")]
fn named(guard: &str) -> bool {
    std::env::var("BERTH_SABOTAGE").is_ok_and(|names| names.split(',').any(|name| name == guard))
}

#[cfg(not(feature = "sabotage"))]
const fn named(_guard: &str) -> bool {
    false
}
