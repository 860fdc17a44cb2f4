//! What requests for holds come to, as metrics.

use berth_contracts::Kind;
use berth_kernel::metrics;

use crate::{
    hold::{Hold, Lost, Refusal},
    holds::HoldError,
    placing::Placed,
};

/// Counts a request by its outcome, and the seats × legs that it got or that somebody else had.
pub fn asked(outcome: &Result<Placed, HoldError>) {
    match outcome {
        Ok(Placed::Now(hold)) => {
            metrics::hold_asked("PLACED");
            // A hold is the hottest thing there is: nothing is done for this line unless somebody wants it.
            tracing::debug!(hold.id = Kind::Hold.encode(hold.id), user.id = Kind::User.encode(hold.user_id), "hold.placed");
            metrics::claimed(rows(hold), true);
        }
        Ok(Placed::Before(_)) => metrics::hold_asked("REPEATED"),
        Err(HoldError::Refused(refusal)) => refused(refusal),
        Err(HoldError::Database(_)) => metrics::hold_asked("FAILED"),
    }
}

/// Counts a request that was refused.
pub fn refused(refusal: &Refusal) {
    metrics::hold_asked(match refusal {
        Refusal::Invalid { .. } | Refusal::NotFound { .. } => "INVALID",
        Refusal::SaleClosed { .. } => "SALE_CLOSED",
        Refusal::SeatsUnavailable(lost) => {
            metrics::claimed(lost.iter().map(rows_lost).sum(), false);
            "SEATS_UNAVAILABLE"
        }
        Refusal::HoldLimit(_) => "HOLD_LIMIT",
        Refusal::IdempotencyConflict => "IDEMPOTENCY_CONFLICT",
        Refusal::InvalidTransition(_) => "INVALID_TRANSITION",
    });
}

fn rows(hold: &Hold) -> u64 {
    hold.items.iter().map(|item| u64::from(item.to_stop.saturating_sub(item.from_stop))).sum()
}

fn rows_lost(lost: &Lost) -> u64 {
    // Where the server should have chosen, no seat is named: it found too few.
    (lost.seats.len().max(1) * lost.segment.legs().len()) as u64
}
