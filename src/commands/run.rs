//! `run`: the daemon.

use std::time::Duration;

use tokio::sync::mpsc;
use tracing::warn;

use crate::app;
use crate::commands::exit::Exit;
use crate::commands::{complain, tell_problems};
use crate::config::{self, Inputs};
use crate::signals::Handlers;

/// As PID 1 a configuration error waits before it exits: `restart: always` would try it again at once, for ever.
const PID_1_WAIT: Duration = Duration::from_secs(30);

pub(super) fn run(inputs: Inputs, handlers: Handlers) -> Exit {
    let (sender, mut requests) = mpsc::unbounded_channel();
    if let Err(error) = handlers.forward(sender) {
        return complain(&format!("signals cannot be handled: {error}"), None, Exit::CannotWrite);
    }
    let inputs = Inputs { strict: true, ..inputs };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&format!("start the runtime: {error}"), None, Exit::CannotWrite),
    };
    let (config, report) = config::load(&inputs);
    let Some(config) = config else {
        tell_problems(&report);
        if std::process::id() == 1 {
            runtime.block_on(async {
                // TERM must not have to wait.
                let stopped = async {
                    while requests.recv().await.is_some_and(|request| request != crate::signals::Request::Stop) {}
                };
                let _ = tokio::time::timeout(PID_1_WAIT, stopped).await;
            });
        }
        return Exit::Config;
    };
    report.warnings.iter().for_each(|warning| warn!(%warning, "Configuration"));
    let ended = runtime.block_on(app::run(inputs, config, requests));
    // What still blocks a thread does not keep the process: every write is whole or not there.
    runtime.shutdown_background();
    match ended {
        Ok(()) => Exit::Ok,
        Err(error) => {
            complain(&crate::telemetry::in_one_line(&error), Some(error.advice()), Exit::of_advice(error.advice()))
        }
    }
}
