//! Named steps at which a build with the feature `fail/failpoints` (only the binary `berth-sabotage`) can be made to die or to
//! stand still by the variable `FAILPOINTS`, as the `fail` crate reads it: `payment.create.recorded=1*return` aborts the process
//! the first time it gets there, `...=pause` stops that step for ever (and the thread it runs on), `...=sleep(3000)` for a while.
//! In every other build a step costs nothing.

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

/// Reads `FAILPOINTS`; once, before anything else starts. The steps stay armed until the process ends.
pub fn arm() {
    std::mem::forget(fail::FailScenario::setup());
}
