//! Periodic tasks. Each is a use case that can be called at any time, by any number of replicas at once. One of them is
//! the worker that does [jobs](crate::app::jobs).

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;

use gatehouse_domain::{
    authz::{SystemReason, TenantRef},
    job::JobKind,
    settings::{Evidence, Policy, Promise, Word},
    time::MINUTE,
};
use gatehouse_persistence::{BATCH, Found, WriteTx, deadline};

use crate::app::{App, Error, Result};

const JOB: SystemReason = SystemReason::Job;
/// How often activity is written: half of what the contract lets it lag.
const FLUSH_EVERY: Duration = Duration::from_secs(5);
/// How long an event can be removed without a trace, apart from what its row has to do with others.
const SEAL_EVERY: Duration = Duration::from_secs(5);
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// How long a job waits at most for somebody to look for it.
const JOBS_EVERY: Duration = Duration::from_secs(2);
/// How old the pieces of a file are when no import is going to be asked for with it any more.
const PIECES_KEPT: Duration = Duration::from_secs(3_600);
/// How often the log says where the audit trail has come.
const NOTE_EVERY: Duration = Duration::from_secs(3_600);
/// How often it is looked whether somebody has set the database otherwise.
const CHECK_EVERY: Duration = Duration::from_secs(3_600);
const CLEAN_EVERY: Duration = Duration::from_secs(600);
/// Batches that one run of a task does at most; the next run goes on.
const BATCHES: usize = 200;

impl App {
    /// Writes down when sessions were last used.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer; what was seen is lost then, and seen again with the
    /// next request of each session.
    pub async fn flush_activity(&self) -> Result<usize> {
        let seen = self.session_cache.take_seen();
        let total = seen.len();
        for chunk in seen.chunks(BATCH) {
            let chunk = chunk.to_vec();
            let work = async move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(JOB).note_activity(&chunk).await?);
            self.db.write(self.env.ctx(), work).await?;
        }
        Ok(total)
    }

    /// Marks sessions that have reached their end; returns how many.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn sweep(&self) -> Result<usize> {
        batches(async || {
            let work = async |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(JOB).expire_due().await?);
            self.db.write(self.env.ctx(), work).await
        })
        .await
    }

    /// Makes whatever is older than searching be found; returns how many things.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn index_for_search(&self) -> Result<usize> {
        let mut indexed = 0;
        for of in Found::ALL {
            let mut after = None;
            loop {
                let (without, last) = self.db.system(JOB).without_terms(of, after).await?;
                for ids in without.chunks(BATCH) {
                    let ids = ids.to_vec();
                    indexed += ids.len();
                    let work = async move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(JOB).add_terms(of, &ids).await?);
                    self.db.write(self.env.ctx(), work).await?;
                }
                after = last;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(indexed)
    }

    /// Removes what has outlived its retention; returns how many sessions.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn clean_up(&self) -> Result<usize> {
        // Only what is sealed can be cut off.
        self.trail().seal().await?;
        let mut removed = 0;
        let mut last = None;
        loop {
            let tenants = self.db.system(JOB).tenants_after(last).await?;
            let Some((tenant, _)) = tenants.last() else { break };
            last = Some(tenant.id);
            for (tenant, layers) in tenants {
                let [events, sessions] = self.kept(Some(tenant), &layers.policy(&self.defaults)).await?;
                self.forget_events(Some(tenant), events).await?;
                let before = self.env.now().minus(sessions);
                removed += batches(async || {
                    let work = async move |tx: &WriteTx<'_>| {
                        Ok::<_, Error>(tx.system(JOB).purge_sessions(tenant, before).await?)
                    };
                    self.db.write(self.env.ctx(), work).await
                })
                .await?;
                let work = async move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(JOB).purge_hours(tenant).await?);
                self.db.write(self.env.ctx(), work).await?;
            }
        }
        // What concerns no tenant is kept as long as the platform decides for those that decide nothing.
        let platform = self.db.system(JOB).platform().await?.map(|platform| platform.settings).unwrap_or_default();
        let [events, _] = self.kept(None, &platform.policy(&self.defaults)).await?;
        self.forget_events(None, events).await?;
        self.forget_roots().await?;
        batches(async || {
            let work = async |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(JOB).purge_throttles().await?);
            self.db.write(self.env.ctx(), work).await
        })
        .await?;
        batches(async || {
            let work = async |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(JOB).purge_devices().await?);
            self.db.write(self.env.ctx(), work).await
        })
        .await?;
        batches(async || {
            let work = async |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(JOB).purge_tokens().await?);
            self.db.write(self.env.ctx(), work).await
        })
        .await?;
        batches(async || {
            let work = async |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(JOB).purge_idempotency_keys().await?);
            self.db.write(self.env.ctx(), work).await
        })
        .await?;
        self.forget_imports().await?;
        Ok(removed)
    }

    /// Removes what ended imports rejected, and files that nobody asked for an import with.
    async fn forget_imports(&self) -> Result<()> {
        let before = self.env.now().minus(PIECES_KEPT);
        for _ in 0..BATCHES {
            let work = async move |tx: &WriteTx<'_>| {
                let system = tx.system(JOB);
                // Both, as long as there is either.
                Ok::<_, Error>(system.purge_rejected_lines().await? | system.purge_pieces(before).await?)
            };
            if !self.db.write(self.env.ctx(), work).await? {
                break;
            }
        }
        Ok(())
    }

    /// How long events and ended sessions of a tenant, or of none, are kept: a shorter time than was promised counts for
    /// what comes. Only who removes has to know, so this is where each promise is made: however the time became shorter,
    /// by settings of whatever level or another partner, the promise that was renewed until then stands.
    async fn kept(&self, tenant: Option<TenantRef>, policy: &Policy) -> Result<[Duration; 2]> {
        let (promises, now) = (self.db.system(JOB).retention_promises(tenant).await?, self.env.now());
        let keep = |evidence, decided| Promise::keep(evidence, decided, &promises, now);
        let (events, for_events) = keep(Evidence::AuditEvents, policy.audit_retention);
        let (sessions, for_sessions) = keep(Evidence::Sessions, policy.session_retention);
        let due: Vec<_> = for_events.into_iter().chain(for_sessions).collect();
        if !due.is_empty() {
            let work =
                async move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(JOB).promise_retention(tenant, &due).await?);
            self.db.write(self.env.ctx(), work).await?;
        }
        Ok([events, sessions])
    }

    /// Removes events of a tenant, or of none, after their retention.
    async fn forget_events(&self, tenant: Option<TenantRef>, kept: Duration) -> Result<()> {
        let before = self.env.now().minus(kept);
        for _ in 0..BATCHES {
            let work =
                async move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(JOB).purge_audit_events(tenant, before).await?);
            if self.db.write(self.env.ctx(), work).await? == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Removes roots of the audit trail that nobody will ask for any more.
    async fn forget_roots(&self) -> Result<()> {
        for _ in 0..BATCHES {
            let work = async |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(JOB).purge_audit_roots().await?);
            if self.db.write(self.env.ctx(), work).await? == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Runs the periodic tasks until the future is dropped. One that fails is logged and tried again.
    pub async fn run_tasks(self: Arc<Self>) {
        if let Some(folder) = self.mailer.folder() {
            tracing::warn!(folder = %folder.display(), "there is no GATEHOUSE_SMTP_URL: mail goes into a folder");
        }
        let flush = every(FLUSH_EVERY, "flush activity", async || self.flush_activity().await.map(drop));
        let sweep = every(SWEEP_EVERY, "sweep sessions", async || self.sweep().await.map(drop));
        let clean = every(CLEAN_EVERY, "clean up", async || {
            self.clean_up().await?;
            self.keys().rotate_due().await.map(drop)
        });
        let left_out = every(MINUTE, "record what was left out", async || {
            self.refusals().record_left_out(self.env.now().minus(MINUTE)).await.map(drop)
        });
        let seal = every(SEAL_EVERY, "seal the audit trail", async || {
            self.trail().seal().await?;
            self.trail().watch().await.map(drop)
        });
        let check = every(CHECK_EVERY, "check the database", async || {
            for unfit in self.db.check(self.env.now()).await? {
                tracing::warn!("the database: {}", unfit.text);
            }
            Ok(())
        });
        let note = every(NOTE_EVERY, "note where the audit trail has come", async || self.trail().note_root().await);
        let jobs = JobKind::ALL
            .iter()
            .map(|(kind, name)| every(JOBS_EVERY, name, async || self.run_due(*kind).await.map(drop)));
        let jobs = futures_util::future::join_all(jobs);
        let index = async {
            if let Err(error) = self.index_for_search().await {
                failed("index for search", &error);
            }
        };
        let all = async { tokio::join!(flush, sweep, clean, seal, jobs, index, left_out, note, check) };
        deadline::task(Box::pin(all)).await;
    }
}

/// Repeats a step until it finds less than a batch to do; returns how much it did.
async fn batches(step: impl AsyncFn() -> Result<usize>) -> Result<usize> {
    let mut done = 0;
    for _ in 0..BATCHES {
        let n = step().await?;
        done += n;
        if n < BATCH {
            break;
        }
    }
    Ok(done)
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
        assert_eq!(runs.get(), 2);
    }
}
