//! Backups: made beside a running server, of either database, and restored into either.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use gatehouse_domain::{
    platform::Restored,
    time::{MINUTE, Timestamp},
};
use gatehouse_persistence::{ChangeContext, Db, Error as Storage, Options, Target, WriteTx};

use crate::{
    app::{Error, StartError, platform::Restores},
    security::{
        archive::{Archive, ArchiveWriter, Unusable},
        keyring::Keyring,
        private::private_folder,
    },
};

/// Why there is no backup, or it is not restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// The installation or its key.
    #[error(transparent)]
    Start(#[from] StartError),
    /// There is nothing to back up.
    #[error("there is no installation in the database")]
    NoInstallation,
}

impl From<Storage> for BackupError {
    fn from(error: Storage) -> Self {
        Self::Start(error.into())
    }
}

impl From<Error> for BackupError {
    fn from(error: Error) -> Self {
        Self::Start(error.into())
    }
}

/// Writes everything that is in a database into a file, as it is at one instant; returns how long the file is.
///
/// # Errors
/// [`BackupError`] says why there is no file.
pub async fn back_up(db: &Db, keyring: &Keyring, path: &Path, now: Timestamp) -> Result<u64, BackupError> {
    let found = db.readable().await?.ok_or(BackupError::NoInstallation)?;
    if !keyring.turn_to(&found.key_check) && keyring.check_before() != found.key_check {
        return Err(StartError::WrongMasterKey.into());
    }
    let mut file = ArchiveWriter::create(path, found.schema.clone(), now, keyring)?;
    db.read_out(&found.schema, |line| file.line(line)).await?;
    Ok(file.finish()?)
}

impl Restores<'_> {
    /// Puts a backup in the place of everything that is in the database, in one transaction, and ends what began before. What
    /// was revoked here after the backup was made stays so.
    ///
    /// # Errors
    /// [`BackupError`]; then nothing has changed.
    pub async fn restore(&self, archive: Archive) -> Result<Restored, BackupError> {
        let schema = self.db.migration_status().await?.applied.pop().unwrap_or_default();
        let scratch = Scratch(self.newest.folder().join("restore"));
        let archive = if archive.head.schema == schema { archive } else { self.upgraded(archive, &scratch).await? };
        let (since, lines) = (archive.head.made_at().minus(MINUTE), archive.lines()?);
        let work = async |tx: &WriteTx<'_>| {
            tx.keep_changed_since(since).await?;
            tx.take_in(&schema, lines).await?;
            let kept = tx.revoke_what_was_kept().await?;
            self.end_all_before(tx, Restored { kept, ..Restored::default() }).await
        };
        let restored = self.db.write_alone(self.env.ctx(), work).await?;
        self.setup.install().await?;
        self.mark_restored().await?;
        Ok(restored)
    }

    /// A backup of an earlier release as one of this release: a database of that release takes it in and is migrated.
    async fn upgraded(&self, archive: Archive, scratch: &Scratch) -> Result<Archive, BackupError> {
        let (folder, schema) = (&scratch.0, &archive.head.schema);
        // What a process left that was stopped.
        drop(std::fs::remove_dir_all(folder));
        private_folder(folder).map_err(|error| StartError::File(folder.clone(), error))?;
        let target = Target::Sqlite(folder.join("scratch.db"));
        let db = Db::connect(Options { target, connections: 1, on_change: Arc::new(|_| {}) }).await?;
        db.migrate_until(schema).await?;
        let lines = archive.lines()?;
        db.write_alone(ChangeContext::at(self.env.now()), async |tx: &WriteTx<'_>| tx.take_in(schema, lines).await)
            .await?;
        db.migrate().await?;
        let path = folder.join("backup");
        back_up(&db, self.keyring, &path, archive.head.made_at()).await?;
        db.close().await;
        Ok(Archive::open(&path, self.keyring)?)
    }
}

/// A folder that goes away with this value.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}
