//! Replacing the master key while servers run. Every server holds both parts of it first, then the installation is told
//! to know the key by the new one, and what is sealed is sealed anew, some rows at a time. Each step can be done again.

use gatehouse_domain::authz::SystemReason;
use gatehouse_persistence::{SealedKind, SealedOf, SealedRow, WriteTx};

use crate::{
    app::{Error, Result, platform::MasterKeys},
    security::{keyring::Unopenable, master_key::MasterKey, token::Tokens},
};

const CLI: SystemReason = SystemReason::Cli;

/// What came of sealing anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Rows that were sealed anew.
    pub rows: u64,
    /// Rows that this master key does not open.
    pub unopenable: u64,
}

impl MasterKeys<'_> {
    /// Takes up what has become of the master key: a new part in its file, and which part the installation knows it by.
    /// False where that is none that is known here.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn follow(&self) -> Result<bool> {
        if let Some(file) = self.file {
            match MasterKey::load(file) {
                Ok(key) if self.keyring.adopt(&key) => {}
                Ok(_) => {
                    tracing::error!(file = %file.display(), "this file has another master key than the one in use")
                }
                Err(error) => {
                    tracing::error!(file = %file.display(), %error, "the file of the master key cannot be read");
                }
            }
        }
        let installation = self.db.system(SystemReason::Job).installation().await?;
        Ok(installation.is_none_or(|found| self.keyring.turn_to(&found.key_check)))
    }

    /// Has the installation know the master key by its newest part, which seals from now on. `newest` is what
    /// it will know it by. Nothing happens where it does.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer, [`Error::Internal`] when the audit trail was tampered with,
    /// [`Error::Conflict`] when somebody else replaces the key with another one.
    pub async fn rotate(&self, newest: &[u8]) -> Result<()> {
        let (from, to) = (self.keyring.check(), newest.to_vec());
        if from != to && self.keyring.newest_check() == to {
            let work =
                async move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(CLI).rotate_master_key(&from, &to).await?);
            self.db.write(self.env.ctx(), work).await?;
        }
        self.must_know_the_newest(newest).await
    }

    /// Makes sure that the installation knows the master key by its newest part, which is this one.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it does not: then no other key may be given up.
    pub async fn must_know_the_newest(&self, newest: &[u8]) -> Result<()> {
        let known = self.follow().await? && self.keyring.check() == newest && self.keyring.newest_check() == newest;
        let other = "Somebody else replaces the master key at the same time: the one in use now was not touched.";
        if known { Ok(()) } else { Err(Error::Conflict(other.into())) }
    }

    /// Seals everything anew that was sealed with another part of the master key than the one that seals now, some rows at
    /// a time. What changes meanwhile is left to whoever changes it.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn reseal(&self) -> Result<Resealed> {
        let mut done = Resealed::default();
        for kind in SealedKind::ALL {
            let mut last = None;
            loop {
                let rows = self.db.system(CLI).sealed_rows(kind, last.as_ref()).await?;
                let Some(end) = rows.last() else { break };
                last = Some(end.of.clone());
                let mut renewed = Vec::new();
                for row in rows {
                    match self.renewed(&row) {
                        Ok(Some(sealed)) => renewed.push((row, sealed)),
                        Ok(None) => {}
                        Err(Unopenable) => done.unopenable += 1,
                    }
                }
                if !renewed.is_empty() {
                    done.rows += self.store(renewed).await?;
                }
            }
        }
        Ok(done)
    }

    fn renewed(&self, row: &SealedRow) -> Result<Option<Vec<u8>>, Unopenable> {
        match &row.of {
            SealedOf::SigningKey(tenant, id) => self.keyring.renew(&Tokens::owner(*tenant, *id), &row.sealed),
            SealedOf::Answer(key) => self.keyring.renew(key, &row.sealed),
            SealedOf::Job(kind, id) => self.keyring.renew_job(*kind, *id, &row.sealed),
            SealedOf::Piece(_, import, number) => self.keyring.renew_piece(*import, *number, &row.sealed),
        }
    }

    async fn store(&self, renewed: Vec<(SealedRow, Vec<u8>)>) -> Result<u64> {
        let work = async move |tx: &WriteTx<'_>| {
            let mut stored = 0;
            for (row, sealed) in &renewed {
                stored += u64::from(tx.system(CLI).reseal(row, sealed.clone()).await?);
            }
            Ok::<_, Error>(stored)
        };
        self.db.write(self.env.ctx(), work).await
    }
}
