//! Background work. Each job may run in several processes at once: a row is claimed before it is worked on.

use std::time::Duration;

use berth_kernel::bus::Wake;

use crate::Payments;

const COUNT_EVERY: Duration = Duration::from_secs(15);
const FORGET_EVERY: Duration = Duration::from_hours(1);

/// Starts all of it.
pub fn start(payments: &Payments) {
    let (tick, background) = (payments.config.tick, &payments.deps.background);
    let own = payments.clone();
    background.every("WorkOnNotices", tick, payments.wake.notices.clone(), move || {
        let own = own.clone();
        async move { own.work_on_notices().await }
    });
    let own = payments.clone();
    background.every("LookAtPayments", tick, payments.wake.looks.clone(), move || {
        let own = own.clone();
        async move { own.look_at_due().await }
    });
    let own = payments.clone();
    background.every("SubmitRefunds", tick, payments.wake.refunds.clone(), move || {
        let own = own.clone();
        async move { own.work_on_refunds().await }
    });
    let own = payments.clone();
    background.every("CountPayments", COUNT_EVERY, Wake::alone(), move || {
        let own = own.clone();
        async move { own.count_states().await }
    });
    let own = payments.clone();
    background.every("ForgetOld", FORGET_EVERY, Wake::alone(), move || {
        let own = own.clone();
        async move { own.forget_old().await }
    });
}
