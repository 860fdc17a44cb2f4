//! Counts that begin at zero, before anything happens: an alert can tell none from unknown, and sees the first one.

use std::sync::LazyLock;

use super::{
    AT_DOOR, AT_SERVICE, BUILD, CLAIMS, CONNECTIONS, CONNECTIONS_ENDED, DEAD_LETTERS, EVENTS_CONSUMED, FEED_DELAY, HOLDS, HTTP,
    HTTP_SECONDS, JOB_SECONDS, JOBS, MUST_WAIT, PAID_TO_TICKET, PASSWORDS, PEER, PEER_SECONDS, PROVIDER, PROVIDER_SECONDS,
    REFUSALS, SUBSCRIBERS, TRANSITIONS, WAIT_SECONDS, WORK, WRITE_SECONDS, peer_call::ABANDONED,
};

/// Begins what every process counts, and tells which program it is.
pub fn begin(version: &str, commit: &str) {
    BUILD.with_label_values(&[version, commit]).set(1);
    for at in [AT_DOOR, AT_SERVICE] {
        REFUSALS.with_label_values(&[at, "SERVICE_UNAVAILABLE"]).inc_by(0);
    }
    for outcome in ["PLACED", "REPEATED", "FAILED"] {
        HOLDS.with_label_values(&[outcome]).inc_by(0);
    }
    for outcome in ["claimed", "conflict"] {
        CLAIMS.with_label_values(&[outcome]).inc_by(0);
    }
    for reason in ["budget", "queue"] {
        MUST_WAIT.with_label_values(&[reason]).inc_by(0);
    }
    for client in ["anonymous", "account"] {
        WORK.with_label_values(&[client]).inc_by(0.0);
    }
    LazyLock::force(&SUBSCRIBERS);
    LazyLock::force(&PASSWORDS);
    LazyLock::force(&FEED_DELAY);
    LazyLock::force(&PAID_TO_TICKET);
    let _empty = (WRITE_SECONDS.with_label_values::<&str>(&[]), WAIT_SECONDS.with_label_values::<&str>(&[]));
}

/// Begins the answers of a role.
pub fn answers_begin(role: &str) {
    for status in ["200", "500", "503"] {
        HTTP.with_label_values(&[role, status]).inc_by(0);
    }
    for reason in ["full", "client", "head", "body", "told", "stalled"] {
        CONNECTIONS_ENDED.with_label_values(&[role, reason]).inc_by(0);
    }
    let _empty = (HTTP_SECONDS.with_label_values(&[role]), CONNECTIONS.with_label_values(&[role]));
}

/// Begins the calls to a service.
pub fn calls_begin(callee: &str) {
    for outcome in ["ok", "refused", "failed", "timeout", "open", "locked_out", ABANDONED] {
        PEER.with_label_values(&[callee, outcome]).inc_by(0);
    }
    let _empty = PEER_SECONDS.with_label_values(&[callee]);
}

/// Begins the calls to the payment provider.
pub fn provider_begins(call: &str) {
    for outcome in ["ok", "refused", "failed"] {
        PROVIDER.with_label_values(&[call, outcome]).inc_by(0);
    }
    let _empty = PROVIDER_SECONDS.with_label_values(&[call]);
}

/// Begins the runs of background work.
pub fn job_begins(job: &str) {
    for outcome in ["ok", "failed"] {
        JOBS.with_label_values(&[job, outcome]).inc_by(0);
    }
    let _empty = JOB_SECONDS.with_label_values(&[job]);
}

/// Begins the things that reach a state.
pub fn reached_begins(noun: &str, state: &str) {
    TRANSITIONS.with_label_values(&[noun, state]).inc_by(0);
}

/// Begins a consumer.
pub fn consumer_begins(consumer: &str) {
    EVENTS_CONSUMED.with_label_values(&[consumer]).inc_by(0);
    DEAD_LETTERS.with_label_values(&[consumer]).inc_by(0);
}
