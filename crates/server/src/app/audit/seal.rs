//! What keeps the audit trail honest: sealing, checking, and erasing people from it without a gap.

use gatehouse_domain::{
    audit::{Acceptance, TrailRoot, Verification},
    authz::{By, DeleteUsers, Grant, SystemReason, TenantRef},
    id::{TenantId, UserId},
    text::Name,
};
use gatehouse_persistence::{ChangeContext, SEALED_AT_ONCE, Unsealed, WriteTx};

use crate::app::{Error, Result, audit::Trail};

const JOB: SystemReason = SystemReason::Job;
/// After how many events sealing takes a break.
const MOST_AT_A_TIME: usize = 100_000;
/// How long an event may wait for its seal before that is worth a warning.
const LATE_SECONDS: i64 = 60;

impl Trail<'_> {
    /// Seals what has been recorded since the last time; returns how many events.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer, [`Error::Internal`] when the trail was tampered with in a way
    /// that sealing on would cover up.
    pub async fn seal(&self) -> Result<usize> {
        let mut done = 0;
        loop {
            let work = async |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(JOB).seal_events().await?);
            let sealed = self.db.write(self.env.ctx(), work).await?;
            done += sealed;
            if sealed < SEALED_AT_ONCE || done > MOST_AT_A_TIME {
                return Ok(done);
            }
        }
    }

    /// What waits to be sealed, noted in the metrics; a warning if that is long.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn watch(&self) -> Result<Unsealed> {
        let unsealed = self.db.system(JOB).unsealed().await?;
        let seconds = unsealed.since.map_or(0, |since| self.env.now().unix_seconds() - since.unix_seconds());
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        {
            metrics::gauge!("gatehouse_audit_unsealed_events").set(unsealed.events as f64);
            metrics::gauge!("gatehouse_audit_unsealed_seconds").set(seconds.max(0) as f64);
        }
        if seconds > LATE_SECONDS {
            tracing::warn!(events = unsealed.events, seconds, "audit events wait long for their seal");
        }
        Ok(unsealed)
    }

    /// Signs the root of a trail that a release began which did not, and seals what is older than tags. A trail that was
    /// tampered with stays as it is, for `gatehouse audit verify` to say so.
    pub(crate) async fn upgrade(&self) {
        loop {
            let check = self.keyring.check();
            let work = async move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(JOB).upgrade_trail(&check).await?);
            match self.db.write(self.env.ctx(), work).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    let cause = std::error::Error::source(&error);
                    return tracing::error!(error = %error, ?cause, "the audit trail cannot be brought up to date");
                }
            }
        }
    }

    /// Writes down in the log where the trail has come, for whoever compares with it later.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn note_root(&self) -> Result<()> {
        if let Some(root) = self.db.trail_root().await? {
            tracing::info!(root = %root, "the audit trail has come to this root");
        }
        Ok(())
    }

    /// Checks the trail of a tenant, or everything. `least` is a root that the trail is known to have had.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn verify(
        &self,
        tenant: Option<TenantId>,
        least: Option<TrailRoot>,
        why: SystemReason,
    ) -> Result<Verification> {
        Ok(self.db.verify_audit(why, tenant, least, self.env.now()).await?)
    }

    /// Accepts what was seen to be wrong: the trail goes on from what is there. Whoever writes meanwhile waits.
    ///
    /// # Errors
    /// [`Error::Stale`] when something else is wrong by now, [`Error::Internal`] when the trail cannot go on with it.
    pub async fn accept_damage(&self, seen: &Verification, by: &Name) -> Result<Acceptance> {
        let work = async |tx: &WriteTx<'_>| {
            Ok::<_, Error>(tx.system(SystemReason::Cli).accept_damage(seen, by.as_str()).await?)
        };
        self.db.write_alone(self.env.ctx(), work).await
    }

    /// Erases the personal data in events by or about a user, in short transactions, each of which records that: for
    /// the erasure of a user, in whose name the events say. What happened, when, and by whose id stays, and the trail verifies as before. Returns how
    /// many events; calling it again goes on where it was interrupted.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn redact_user(
        &self,
        grant: &Grant<DeleteUsers>,
        tenant: TenantRef,
        user: UserId,
        by: By,
        ctx: &ChangeContext,
    ) -> Result<usize> {
        let mut done = 0;
        loop {
            let grant = grant.clone();
            let work = async move |tx: &WriteTx<'_>| {
                Ok::<_, Error>(tx.scope(&grant).await?.redact_user_events(tenant, user, by).await?)
            };
            match self.db.write(ctx.clone(), work).await? {
                0 => return Ok(done),
                n => done += n,
            }
        }
    }
}
