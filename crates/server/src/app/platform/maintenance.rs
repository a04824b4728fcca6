//! What has to be done from time to time.

use std::time::{Duration, Instant};

use gatehouse_domain::{
    authz::{SystemReason, TenantRef},
    job::JobKind,
    settings::{Evidence, Policy, Promise},
    word::Word,
};
use gatehouse_persistence::{BATCH, SearchKind, WriteSystem, WriteTx};

use crate::{
    app::{Error, Result, platform::Maintenance},
    measure,
};

const JOB: SystemReason = SystemReason::Job;
/// How old the pieces of a file are when no import is going to be asked for with it any more.
const PIECES_KEPT: Duration = Duration::from_secs(3_600);
/// Batches of one kind that a run of a task does at most before it turns to the next.
const BATCHES: usize = 200;
/// The longest rest after one.
const REST: Duration = Duration::from_millis(100);

impl Maintenance<'_> {
    /// Writes down when sessions and applications were last used; returns how many.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer; what was seen is lost then, and seen again with the
    /// next request of each.
    pub async fn flush_activity(&self) -> Result<usize> {
        let seen = self.sessions.take_seen();
        let used = self.sessions.take_used();
        let total = seen.len() + used.len();
        for chunk in seen.chunks(BATCH) {
            let chunk = chunk.to_vec();
            let work = async move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(JOB).note_activity(&chunk).await?);
            self.db.write(self.env.ctx(), work).await?;
        }
        for chunk in used.chunks(BATCH) {
            let chunk = chunk.to_vec();
            let work = async move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(JOB).note_uses(&chunk).await?);
            self.db.write(self.env.ctx(), work).await?;
        }
        Ok(total)
    }

    /// Marks sessions that have reached their end; returns how many.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn sweep(&self) -> Result<usize> {
        self.batches(async |system: WriteSystem<'_>| system.expire_due().await).await
    }

    /// Makes whatever is older than searching be found; returns how many things.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn index_for_search(&self) -> Result<usize> {
        let mut indexed = 0;
        for of in SearchKind::ALL {
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

    /// Brings the figures up to date that are looked up in the database.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn measure(&self) -> Result<()> {
        let (system, now) = (self.db.system(JOB), self.env.now());
        measure::active_sessions(system.active_sessions().await?);
        measure::logout_deliveries_waiting(system.deliveries_waiting().await?);
        let waiting = system.waiting_jobs().await?;
        for (kind, word) in JobKind::ALL {
            let of_kind = waiting.iter().find(|(other, ..)| other == kind);
            #[expect(clippy::cast_precision_loss, reason = "a gauge")]
            let (n, oldest) = of_kind.map_or((0.0, 0.0), |(_, n, at)| (*n as f64, now.since(*at).as_secs_f64()));
            measure::job_queue(word, n, oldest);
        }
        Ok(())
    }

    /// Removes what has outlived its retention; returns how many sessions.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn clean_up(&self) -> Result<usize> {
        // Only what is sealed can be cut off.
        self.trail.seal().await?;
        let mut removed = 0;
        let mut last = None;
        loop {
            let tenants = self.db.system(JOB).tenants_after(last).await?;
            let Some((tenant, _)) = tenants.last() else { break };
            last = Some(tenant.id);
            for (tenant, layers) in tenants {
                let [events, sessions] = self.kept(Some(tenant), &layers.policy(self.defaults)).await?;
                self.forget_events(Some(tenant), events).await?;
                let before = self.env.now().minus(sessions);
                removed += self
                    .batches(async move |system: WriteSystem<'_>| system.purge_sessions(tenant, before).await)
                    .await?;
                let work = async move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(JOB).purge_hours(tenant).await?);
                self.db.write(self.env.ctx(), work).await?;
            }
        }
        // What concerns no tenant is kept as long as the platform decides for those that decide nothing.
        let platform = self.db.system(JOB).platform().await?.map(|platform| platform.settings).unwrap_or_default();
        let [events, _] = self.kept(None, &platform.policy(self.defaults)).await?;
        self.forget_events(None, events).await?;
        self.batches(async |system: WriteSystem<'_>| system.purge_audit_roots().await).await?;
        self.batches(async |system: WriteSystem<'_>| system.forget_unused_applications().await).await?;
        self.forget_what_ran_out().await?;
        self.forget_imports().await?;
        self.db.empty_log().await?;
        Ok(removed)
    }

    /// Removes what requests leave behind once it has run out. Nothing limits how much that is between two runs, so that a
    /// run goes on until it is gone, the kinds in turn: else one that comes faster than a run may remove would only grow.
    async fn forget_what_ran_out(&self) -> Result<()> {
        loop {
            let removed = [
                self.batches(async |system: WriteSystem<'_>| system.purge_throttles().await).await?,
                self.batches(async |system: WriteSystem<'_>| system.purge_devices().await).await?,
                self.batches(async |system: WriteSystem<'_>| system.purge_codes().await).await?,
                self.batches(async |system: WriteSystem<'_>| system.purge_families().await).await?,
                self.batches(async |system: WriteSystem<'_>| system.purge_revoked_tokens().await).await?,
                self.batches(async |system: WriteSystem<'_>| system.purge_assertions().await).await?,
                self.batches(async |system: WriteSystem<'_>| system.purge_pushed_requests().await).await?,
                self.batches(async |system: WriteSystem<'_>| system.purge_device_requests().await).await?,
                self.batches(async |system: WriteSystem<'_>| system.purge_tokens().await).await?,
                self.batches(async |system: WriteSystem<'_>| system.purge_idempotency_keys().await).await?,
            ];
            if removed.iter().all(|n| *n < BATCHES * BATCH) {
                return Ok(());
            }
        }
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
        self.batches(async move |system: WriteSystem<'_>| system.purge_audit_events(tenant, before).await)
            .await
            .map(drop)
    }

    /// Repeats a step until it finds nothing to do; returns how much it did. After each it rests for as long as that took,
    /// and a tenth of a second at most: SQLite has one writer, and what people wait for comes first.
    async fn batches<F>(&self, step: F) -> Result<usize>
    where
        F: AsyncFn(WriteSystem<'_>) -> gatehouse_persistence::Result<usize> + Copy + Send + 'static,
    {
        let mut done = 0;
        for _ in 0..BATCHES {
            let began = Instant::now();
            let work = async move |tx: &WriteTx<'_>| Ok::<_, Error>(step(tx.system(JOB)).await?);
            let n = self.db.write(self.env.ctx(), work).await?;
            if n == 0 {
                break;
            }
            done += n;
            tokio::time::sleep(began.elapsed().min(REST)).await;
        }
        Ok(done)
    }
}
