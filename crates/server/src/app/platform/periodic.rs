//! Periodic tasks, and the [worker](crate::app::worker) that does jobs.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use gatehouse_domain::{job::JobKind, time::MINUTE, word::Word};
use gatehouse_persistence::deadline;
use rustix::process::{Signal, getpid, kill_process};

use crate::{
    app::{App, Error, Result},
    telemetry,
};

/// How often activity is written: half of what the contract lets it lag.
const FLUSH_EVERY: Duration = Duration::from_secs(5);
/// How long an event can be removed without a trace, apart from what its row has to do with others.
const SEAL_EVERY: Duration = Duration::from_secs(5);
/// How often it is looked whether the master key is being replaced.
pub const FOLLOW_EVERY: Duration = Duration::from_secs(5);
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// How long a job waits at most for somebody to look for it.
const JOBS_EVERY: Duration = Duration::from_secs(2);
/// How often the log says where the audit trail has come.
const NOTE_EVERY: Duration = Duration::from_secs(3_600);
/// How often it is looked whether somebody has set the database otherwise.
const CHECK_EVERY: Duration = Duration::from_secs(3_600);
/// How old the figures may be that are looked up in the database.
const MEASURE_EVERY: Duration = Duration::from_secs(15);
const CLEAN_EVERY: Duration = Duration::from_secs(600);

/// Runs the periodic tasks until the future is dropped. One that fails is logged and tried again.
pub async fn run(app: Arc<App>) {
    if let Some(folder) = app.mailer.folder() {
        tracing::warn!(folder = %folder.display(), "there is no GATEHOUSE_SMTP_URL: mail goes into a folder");
    }
    let flush = every(FLUSH_EVERY, "flush activity", async || app.maintenance().flush_activity().await.map(drop));
    let sweep = every(SWEEP_EVERY, "sweep sessions", async || app.maintenance().sweep().await.map(drop));
    let clean = every(CLEAN_EVERY, "clean up", async || {
        app.restores().note_newest().await?;
        app.maintenance().clean_up().await?;
        app.keys().rotate_due().await.map(drop)
    });
    let left_out = every(MINUTE, "record what was left out", async || {
        app.refusals().record_left_out(app.env.now().minus(MINUTE)).await.map(drop)
    });
    let seal = every(SEAL_EVERY, "seal the audit trail", async || {
        app.restores().note_newest().await?;
        app.trail().seal().await?;
        app.trail().watch().await.map(drop)
    });
    let follow = every(FOLLOW_EVERY, "follow the master key", async || {
        if !app.master_keys().follow().await? {
            tracing::error!("the master key was replaced, and this server has not got the new one: it stops");
            // What it sealed from now on nobody could open.
            let _ = kill_process(getpid(), Signal::TERM);
        }
        Ok(())
    });
    let check = every(CHECK_EVERY, "check the database", async || {
        for unfit in app.db.check(app.env.now()).await? {
            tracing::warn!("the database: {}", unfit.text);
        }
        Ok(())
    });
    let measure = every(MEASURE_EVERY, "measure", async || {
        if telemetry::is_measured() { app.maintenance().measure().await } else { Ok(()) }
    });
    let note = every(NOTE_EVERY, "note where the audit trail has come", async || app.trail().note_root().await);
    let jobs = JobKind::ALL
        .iter()
        .map(|(kind, name)| every(JOBS_EVERY, name, async || app.worker().run_due(*kind).await.map(drop)));
    let jobs = futures_util::future::join_all(jobs);
    let back_channel = app.back_channel();
    let tell = back_channel.run();
    let index = async {
        if let Err(error) = app.maintenance().index_for_search().await {
            failed("index for search", &error);
        }
    };
    let all =
        async { tokio::join!(flush, sweep, clean, seal, jobs, tell, index, left_out, note, check, measure, follow) };
    deadline::task(Box::pin(all)).await;
}

async fn every(period: Duration, name: &'static str, task: impl AsyncFn() -> Result<()>) {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // The first tick is at once; nothing is due that early.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        // One that panics ends neither the others nor itself.
        match AssertUnwindSafe(task()).catch_unwind().await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => failed(name, &error),
            Err(_) => tracing::error!(task = name, "a task panicked; it runs again"),
        }
    }
}

fn failed(task: &'static str, error: &Error) {
    let cause = std::error::Error::source(error).map(tracing::field::display);
    tracing::warn!(task, %error, cause, "a task failed");
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn task_that_panics_runs_again() {
        let (runs, again) = (Cell::new(0), tokio::sync::Notify::new());
        let task = async || {
            runs.set(runs.get() + 1);
            assert!(runs.get() > 1, "the first run panics");
            again.notify_one();
            Ok(())
        };
        tokio::select! {
            () = every(Duration::from_millis(1), "test", task) => {}
            () = again.notified() => {}
        }
        assert!(runs.get() > 1);
    }
}
