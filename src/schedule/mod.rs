//! What is due and when: the schedule's dialect, the plan, and the loop that follows it.
//!
//! In the order to read it: [`cron`] turns a text into due times, [`planner`] decides what is due now, [`freshness`]
//! judges how old data may be, [`tick`] wakes us, and [`run`] is the loop that joins them. `docs/schedules.md` tells
//! why there is a planner at all.

pub mod cron;
pub mod freshness;
pub mod planner;
pub mod run;
pub mod tick;
