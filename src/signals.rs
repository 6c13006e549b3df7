//! The signals a daemon lives by, caught from the first statement of `main` on.
//!
//! A signal that comes before its handler kills, so the handlers stand before anything else is done; what came in
//! the meantime is delivered once somebody listens. As PID 1 nothing has a default action, so every end is explicit.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use tokio::sync::mpsc::UnboundedSender;

/// The exit code of a program that a signal ended.
pub const ENDED_BY_SIGNAL: u8 = 130;

/// What a signal asks for. Signals coalesce: each means "at least once after the last one".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// TERM or INT: take no new work and end. A second one ends the process at once.
    Stop,
    /// HUP: read the configuration again.
    Reload,
    /// USR1: pull every source now.
    Pull,
}

/// The registered handlers, holding what has come in so far.
#[derive(Debug)]
pub struct Handlers(Signals);

impl Handlers {
    /// Registers the handlers. From here on the process survives HUP and USR1, and a second TERM or INT ends it at
    /// once with 130.
    pub fn register() -> io::Result<Self> {
        // First, so that no signal falls between the flag and those who hear of it.
        let signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1])?;
        let stopping = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            // The order matters: the first signal finds the flag down and raises it, the second finds it up.
            flag::register_conditional_shutdown(signal, i32::from(ENDED_BY_SIGNAL), Arc::clone(&stopping))?;
            flag::register(signal, Arc::clone(&stopping))?;
        }
        Ok(Self(signals))
    }

    /// Forwards every signal to `requests` from its own thread, which ends with the process.
    pub fn forward(mut self, requests: UnboundedSender<Request>) -> io::Result<()> {
        let name = "signals".to_owned();
        std::thread::Builder::new().name(name).spawn(move || {
            for signal in self.0.forever() {
                let request = match signal {
                    SIGHUP => Request::Reload,
                    SIGUSR1 => Request::Pull,
                    _ => Request::Stop,
                };
                if requests.send(request).is_err() {
                    return;
                }
            }
        })?;
        Ok(())
    }

    /// For commands that have nothing to finish: the first TERM or INT ends the process with 130.
    pub fn end_on_stop(mut self) -> io::Result<()> {
        let name = "signals".to_owned();
        std::thread::Builder::new().name(name).spawn(move || {
            if self.0.forever().any(|signal| matches!(signal, SIGTERM | SIGINT)) {
                std::process::exit(i32::from(ENDED_BY_SIGNAL));
            }
        })?;
        Ok(())
    }
}
