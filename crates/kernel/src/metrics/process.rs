//! What the operating system knows of this process, under the names that Prometheus's own libraries use.

use std::{sync::LazyLock, time::Duration};

use procfs::{
    WithCurrentSystemInfo,
    process::{LimitValue, Process},
};
use prometheus::{Counter, IntGauge};

use super::{counter, gauge};

static CPU: LazyLock<Counter> =
    LazyLock::new(|| counter("process_cpu_seconds_total", "Time of processors that the process has used, in seconds"));
static MEMORY: LazyLock<IntGauge> = LazyLock::new(|| gauge("process_resident_memory_bytes", "Memory that the process has"));
static OPEN_FILES: LazyLock<IntGauge> = LazyLock::new(|| gauge("process_open_fds", "Open files and sockets"));
static MAX_FILES: LazyLock<IntGauge> = LazyLock::new(|| gauge("process_max_fds", "Files and sockets that it may open"));
static THREADS: LazyLock<IntGauge> = LazyLock::new(|| gauge("process_threads", "Threads"));
static STARTED: LazyLock<IntGauge> =
    LazyLock::new(|| gauge("process_start_time_seconds", "When the process was started, in seconds since 1970"));

/// Looks everything up. What the system does not tell keeps its last value.
pub(super) fn sample() {
    let Ok(process) = Process::myself() else { return };
    if let Ok(stat) = process.stat() {
        let used = seconds(stat.utime.saturating_add(stat.stime));
        CPU.inc_by((used.as_secs_f64() - CPU.get()).max(0.0));
        MEMORY.set(whole(stat.rss_bytes().get()));
        THREADS.set(stat.num_threads);
        if let Ok(boot) = procfs::boot_time_secs() {
            STARTED.set(whole(boot.saturating_add(seconds(stat.starttime).as_secs())));
        }
    }
    if let Ok(count) = process.fd_count() {
        OPEN_FILES.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
    if let Ok(LimitValue::Value(most)) = process.limits().map(|limits| limits.max_open_files.soft_limit) {
        MAX_FILES.set(whole(most));
    }
}

/// The system counts in ticks.
fn seconds(ticks: u64) -> Duration {
    Duration::from_millis(ticks.saturating_mul(1000) / procfs::ticks_per_second().max(1))
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
