//! Named steps at which a build with the feature `fail/failpoints` (only the binary `berth-sabotage`) can be made to die or to
//! stand still by the variable `FAILPOINTS`, as the `fail` crate reads it: `payment.create.recorded=1*return` aborts the process
//! the first time it gets there, `...=pause` stops that step for ever (and the thread it runs on), `...=sleep(3000)` for a while.
//! In every other build a step costs nothing.

use std::{fs, path::Path, time::Duration};

/// Every step, by service and in the order of a booking's life.
pub const POINTS: [&str; 41] = [
    "inventory.place.committed",
    "booking.create.begun",
    "booking.create.attached",
    "booking.create.written",
    "booking.create.committed",
    "booking.payment_started.extended",
    "booking.payment_started.committed",
    "payment.create.begun",
    "payment.create.written",
    "payment.create.recorded",
    "payment.order.placed",
    "payment.order.recorded",
    "payment.notice.stored",
    "payment.notice.claimed",
    "payment.notice.looked",
    "payment.notice.applied",
    "booking.begin_confirming.begun",
    "booking.begin_confirming.committed",
    "booking.commit_hold.begun",
    "inventory.commit_hold.written",
    "inventory.commit_hold.committed",
    "booking.commit_hold.answered",
    "booking.confirm.written",
    "booking.confirm.committed",
    "letter.queued",
    "letter.sent",
    "booking.give_up.committed",
    "booking.owe.committed",
    "booking.refund.asked",
    "payment.refund.requested",
    "payment.refund.submitted",
    "payment.refund.answered",
    "payment.refund.recorded",
    "booking.refund.committed",
    "booking.clean_up.released",
    "booking.clean_up.closed",
    "payment.close.marked",
    "payment.close.answered",
    "inventory.give_back.committed",
    "outbox.appended",
    "outbox.delivered",
];

/// This is the step of that name, one of [`POINTS`]. Never call it while holding a lock that other threads spin on.
pub fn at(point: &'static str) {
    // Used by the macro only where the feature is on.
    std::hint::black_box(point);
    fail::fail_point!(point, |_| {
        // Not a panic: nothing is unwound, nothing is cleaned up, as under SIGKILL.
        std::process::abort()
    });
}

/// Reads `FAILPOINTS`; once, before anything else starts. The steps stay armed until the process ends. A process with
/// `FAILPOINTS_FILE` also looks for that file all the time, arms what stands in it, and removes it when that is done.
pub fn arm() {
    std::mem::forget(fail::FailScenario::setup());
    if let Some(file) = std::env::var_os("FAILPOINTS_FILE") {
        std::thread::spawn(move || follow(Path::new(&file)));
    }
}

const LOOKS_EVERY: Duration = Duration::from_millis(5);

fn follow(file: &Path) {
    loop {
        if let Ok(text) = fs::read_to_string(file) {
            for (point, action) in text.trim().split(';').filter_map(|step| step.split_once('=')) {
                if let Err(why) = fail::cfg(point, action) {
                    tracing::error!(point, action, why, "failpoint.refused");
                }
            }
            let _gone_already = fs::remove_file(file);
        }
        std::thread::sleep(LOOKS_EVERY);
    }
}
