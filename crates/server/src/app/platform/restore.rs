//! What holds after a restore: nothing that began before it is of use to anybody.

use gatehouse_domain::{authz::SystemReason, platform::Restored};
use gatehouse_persistence::WriteTx;

use crate::app::{Result, platform::Restores};

const CLI: SystemReason = SystemReason::Cli;
/// Issuers whose keys are inserted together.
const KEYS_AT_ONCE: usize = 100;

impl Restores<'_> {
    /// Ends whatever began before now, because the database is one that was put back: sessions and their refresh tokens,
    /// links, setup tokens, known devices, imports, mails that wait, signing keys. Nobody else may be at the database.
    ///
    /// # Errors
    /// [`crate::app::Error::Unavailable`] when the database does not answer.
    pub async fn finish(&self) -> Result<Restored> {
        let work = async |tx: &WriteTx<'_>| self.end_all_before(tx, Restored::default()).await;
        let restored = self.db.write_alone(self.env.ctx(), work).await?;
        self.mark_restored().await?;
        Ok(restored)
    }

    /// The part of a restore that is a transaction.
    pub(super) async fn end_all_before(&self, tx: &WriteTx<'_>, mut restored: Restored) -> Result<Restored> {
        let system = tx.system(CLI);
        let issuers = system.end_all_before(&mut restored).await?;
        for issuers in issuers.chunks(KEYS_AT_ONCE) {
            let keys = issuers.iter().map(|issuer| self.keys.new_keys(*issuer, &system.by()));
            system.insert_many(keys.collect::<Result<Vec<_>>>()?.concat()).await?;
        }
        system.record_restored(&restored).await?;
        Ok(restored)
    }

    /// From now on the database counts as one that goes on.
    pub(super) async fn mark_restored(&self) -> Result<()> {
        // Its newest root is later than what any replica knows then. A trail that was tampered with stays as it is.
        if let Err(error) = self.trail.seal().await {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(%error, cause, "the audit trail cannot be sealed");
        }
        self.accept_newest().await
    }
}
