//! What systemd is told; nothing where it did not start us.

use std::time::Duration;

use sd_notify::NotifyState;
use tracing::debug;

use crate::schedule::planner::Planner;

/// The daemon serves: after the start, and after every reload, good or bad.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The configuration is being read again. systemd requires the time in the same message.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => debug!(%error, "No monotonic time"),
    }
}

/// The daemon is ending, and may take as long as it grants its pulls.
pub(super) fn stopping(grace: Duration) {
    let longest = u32::try_from((grace + Duration::from_secs(5)).as_micros()).unwrap_or(u32::MAX);
    tell(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(longest)]);
}

/// The planner's own loop reports: a beat proves that it turns.
#[derive(Debug, Default)]
pub(super) struct Heartbeat {
    status: String,
}

impl Heartbeat {
    pub(super) fn beat(&mut self, planner: &Planner) {
        let status = status(planner);
        if status == self.status {
            tell(&[NotifyState::Watchdog]);
        } else {
            tell(&[NotifyState::Watchdog, NotifyState::Status(&status)]);
            self.status = status;
        }
    }
}

fn status(planner: &Planner) -> String {
    let running = planner.running().count();
    let next = planner.next_due().map_or_else(
        || "nothing planned".to_owned(),
        |job| format!("next {} at {}", job.name, job.starts_at.format("%Y-%m-%d %H:%M:%S UTC")),
    );
    format!("{} duties, {running} running, {next}", planner.jobs().count())
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        debug!(%error, "systemd does not listen");
    }
}
