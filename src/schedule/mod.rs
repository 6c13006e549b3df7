//! What is due and when: the plan, and the loop that follows it.
//!
//! In the order to read it: [`crate::cron`] turns a text into due times, [`planner`] decides what is due now, [`tick`]
//! wakes us, and [`run`] is the loop that joins them. `docs/schedules.md` says why there is a planner.

pub mod planner;
pub mod run;
pub mod tick;
