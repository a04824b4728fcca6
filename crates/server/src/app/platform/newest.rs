//! How far the database has come, kept beside the master key. Every change has an event, and every seal of events makes a
//! root of the audit trail that is later than the one before: a database whose root is earlier than what is kept here was
//! put back to what it was before.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use gatehouse_domain::{authz::SystemReason, time::Timestamp};

use crate::{
    app::{Error, Result, StartError, platform::Restores},
    security::{
        keyring::{Keyring, equal},
        private::write_private,
    },
};

/// The file of the data folder that has the instant.
pub(crate) struct Newest {
    path: PathBuf,
    keyring: Arc<Keyring>,
}

impl std::fmt::Debug for Newest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Newest")
    }
}

impl Newest {
    pub(crate) fn new(config: &crate::config::Config, keyring: Arc<Keyring>) -> Self {
        Self { path: config.data_dir.join("newest-instant"), keyring }
    }

    /// The data folder.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// What is kept; none where nothing is yet.
    fn read(&self) -> io::Result<Option<Timestamp>> {
        let text = match fs::read_to_string(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text?,
        };
        let micros = text.split_once(' ').and_then(|(micros, _)| micros.parse().ok());
        let at = micros.map(Timestamp::from_micros).filter(|at| equal(self.line(*at).as_bytes(), text.as_bytes()));
        let foreign = "it was not written with this master key: remove it if you know why";
        at.map(Some).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, foreign))
    }

    fn write(&self, at: Timestamp) -> io::Result<()> {
        write_private(&self.path, self.line(at).as_bytes())
    }

    fn line(&self, at: Timestamp) -> String {
        format!("{} {:032x}\n", at.micros(), u128::from_be_bytes(self.keyring.instant_tag(at.micros())))
    }
}

impl Restores<'_> {
    async fn newest_instant(&self) -> Result<Timestamp> {
        Ok(self.db.system(SystemReason::Job).newest_instant().await?)
    }

    /// Refuses a database that was put back to an earlier state, until `gatehouse restored` has ended what began before.
    ///
    /// # Errors
    /// [`StartError::PutBack`], [`StartError::File`] when the file cannot be read.
    pub async fn must_not_be_put_back(&self) -> Result<(), StartError> {
        let file = |error| StartError::File(self.newest.path.clone(), error);
        // First what is known: another process may write down what it finds meanwhile.
        let known = self.newest.read().map_err(file)?;
        let found = self.newest_instant().await?;
        match known {
            Some(known) if known > found => Err(StartError::PutBack { known, found }),
            _ => Ok(()),
        }
    }

    /// Writes down how far the database has come. Asked before anything is sealed: a seal makes a root that is later than
    /// whatever was known, and hides that the database was put back.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it was put back, [`Error::Unavailable`] when it does not answer, [`Error::Internal`] when the
    /// file cannot be written.
    pub async fn note_newest(&self) -> Result<()> {
        let internal = |error| Error::Internal(Box::new(error));
        let known = self.newest.read().map_err(internal)?;
        let found = self.newest_instant().await?;
        match known {
            Some(known) if known > found => {
                tracing::error!(%known, %found, "the database was put back to an earlier state: stop, and run `gatehouse restored`");
                Err(Error::Conflict("The database was put back to an earlier state.".into()))
            }
            Some(known) if known == found => Ok(()),
            _ => self.newest.write(found).map_err(internal),
        }
    }

    /// Writes it down whatever was known before.
    pub(crate) async fn accept_newest(&self) -> Result<()> {
        let found = self.newest_instant().await?;
        self.newest.write(found).map_err(|error| Error::Internal(Box::new(error)))
    }
}
