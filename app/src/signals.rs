//! What ends a process that serves: SIGTERM, SIGINT, and SIGHUP, which a closed terminal sends. SIGUSR1 and SIGUSR2 mean nothing
//! here and do nothing: by default they would kill.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals of this process, from now on.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    ignored: [Signal; 2],
}

impl Signals {
    /// Takes them over. Inside a Tokio runtime.
    pub fn take() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            ignored: [signal(SignalKind::user_defined1())?, signal(SignalKind::user_defined2())?],
        })
    }

    /// Waits until the process is told to stop; answers by which signal.
    pub async fn stop(&mut self) -> &'static str {
        let [first, second] = &mut self.ignored;
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hangup.recv() => return "SIGHUP",
                _ = first.recv() => tracing::info!(signal = "SIGUSR1", "signal.ignored"),
                _ = second.recv() => tracing::info!(signal = "SIGUSR2", "signal.ignored"),
            }
        }
    }
}
