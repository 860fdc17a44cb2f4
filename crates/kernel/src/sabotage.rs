//! Guards that a build with the feature `sabotage` (only the binary `berth-sabotage`) can switch off by `BERTH_SABOTAGE`, one or several
//! with commas between, so that each checker is seen to fail. In every other build the answer is `false` before anything runs.

/// Whether this guard is switched off.
#[cfg(feature = "sabotage")]
pub fn is_chosen(switch: &str) -> bool {
    std::env::var("BERTH_SABOTAGE").is_ok_and(|wanted| wanted.split(',').any(|name| name == switch))
}

/// Whether this guard is switched off.
#[cfg(not(feature = "sabotage"))]
pub const fn is_chosen(_switch: &str) -> bool {
    false
}
