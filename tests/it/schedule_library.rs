//! The faults of `tokio-cron-scheduler` that the planner is there for, one test each.
//!
//! They show the library, not us. The day one of them fails, the library is mended and `docs/schedules.md` wants a
//! look. Its clock cannot be simulated, so these take seconds of real time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{Offset, TimeDelta, TimeZone, Timelike};
use chrono_tz::Europe::Berlin;
use sales_pipeline::clock::{Clock, SystemClock};
use tokio::time::{sleep, timeout};
use tokio_cron_scheduler::{Job, JobScheduler};

const SOURCES: usize = 1000;

#[tokio::test]
async fn of_a_thousand_jobs_due_at_once_the_library_drops_most() {
    let ran = Arc::new(AtomicUsize::new(0));
    let scheduler = JobScheduler::new().await.unwrap();
    // Far enough for a slow machine to register them all.
    let due = SystemClock.now() + TimeDelta::seconds(4);
    let schedule = format!("{} {} {} * * *", due.second(), due.minute(), due.hour());
    for _ in 0..SOURCES {
        let ran = ran.clone();
        let job = Job::new_async(&schedule, move |_, _| {
            ran.fetch_add(1, Ordering::Relaxed);
            Box::pin(async {})
        });
        scheduler.add(job.unwrap()).await.unwrap();
    }
    assert!(SystemClock.now() < due, "too slow to register them in time");
    scheduler.start().await.unwrap();
    timeout(Duration::from_secs(20), async {
        while ran.load(Ordering::Relaxed) == 0 {
            sleep(Duration::from_millis(100)).await;
        }
    })
    .await
    .expect("no job ran at all");
    sleep(Duration::from_secs(1)).await;
    let ran = ran.load(Ordering::Relaxed);
    println!("{ran} of {SOURCES} ran");
    assert!(ran < SOURCES, "the library has learned to run them all");
}

#[tokio::test]
async fn the_library_starts_a_job_again_while_its_last_run_goes_on() {
    let at_once = Arc::new(AtomicUsize::new(0));
    let scheduler = JobScheduler::new().await.unwrap();
    let running = at_once.clone();
    let job = Job::new_async("* * * * * *", move |_, _| {
        running.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::pending())
    });
    scheduler.add(job.unwrap()).await.unwrap();
    scheduler.start().await.unwrap();
    timeout(Duration::from_secs(20), async {
        while at_once.load(Ordering::Relaxed) < 2 {
            sleep(Duration::from_millis(100)).await;
        }
    })
    .await
    .expect("the library has learned not to overlap");
}

#[tokio::test]
async fn the_library_keeps_the_offset_of_a_zone_and_forgets_the_zone() {
    let scheduler = JobScheduler::new().await.unwrap();
    let job = Job::new_async_tz("0 0 9 * * *", Berlin, |_, _| Box::pin(async {})).unwrap();
    let id = scheduler.add(job).await.unwrap();
    let stored = scheduler.context().metadata_storage.write().await.get(id).await.unwrap().unwrap();
    let now = SystemClock.now().naive_utc();
    // Every later run is computed with this number, so after the next change of the clocks it comes an hour off.
    assert_eq!(stored.time_offset_seconds, Berlin.offset_from_utc_datetime(&now).fix().local_minus_utc());
}
