//! Use cases: everything the product does, whoever asks for it. HTTP, the command line and periodic tasks call these
//! and have no rules of their own.
//!
//! A use case that acts for somebody takes that somebody's `Grant` first; no grant, no effect. Slow cryptography
//! happens before a transaction, never inside.
//!
//! Filters and the like that storage defines and callers need are passed on from here: HTTP knows the use cases, not what
//! is below them.

pub mod account;
pub mod applications;
pub mod attempts;
pub mod audit;
pub mod authority;
pub mod back_channel;
pub mod directory;
pub mod effects;
pub mod error;
pub mod jobs;
pub mod mail;
pub mod oauth;
pub mod platform;
pub mod request;
pub mod sessions;
pub mod settings;
pub mod sign_in;
pub mod transfer;
pub mod ttl_cache;
pub mod worker;

use std::sync::{Arc, OnceLock};

use gatehouse_domain::{authz::SystemReason, settings::Defaults, time::Timestamp};
use gatehouse_persistence::{Change, Db, Options, Target};

use crate::{
    config::{Config, Database, Limits},
    env::Env,
    mail::Mailer,
    outbound::Outbound,
    security::{
        keyring::{Keyring, trail_mac},
        master_key::MasterKey,
        password::Hasher,
        private::private_folder,
        token::Tokens,
    },
};

pub use error::{Error, Result};
/// How long parts of an answer wait for the database.
pub use gatehouse_persistence::deadline;

/// Everything that use cases work with.
#[derive(Debug)]
pub struct App {
    db: Db,
    env: Env,
    keyring: Arc<Keyring>,
    master_key_file: Option<std::path::PathBuf>,
    tokens: Tokens,
    key_making: tokio::sync::Mutex<()>,
    hasher: Hasher,
    defaults: Defaults,
    limits: Limits,
    session_cache: Arc<sessions::cache::SessionCache>,
    clients: request::client::Clients,
    mailer: Mailer,
    outbound: Outbound,
    published_keys: oauth::published_keys::PublishedKeys,
    documents: oauth::documents::Documents,
    lanes: back_channel::Lanes,
    base_url: Arc<str>,
    outbox: jobs::Outbox,
    in_flight_keys: request::idempotency::InFlightKeys,
    admission: request::buckets::Admission,
    repeats: audit::repeats::Repeats,
    newest: platform::newest::Newest,
}

/// Why an instance cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder or a file in it.
    #[error("cannot use {0}")]
    File(std::path::PathBuf, #[source] std::io::Error),
    /// The database.
    #[error(transparent)]
    Database(#[from] gatehouse_persistence::Error),
    /// The schema is old and `migrate` is off.
    #[error("the schema is not up to date and GATEHOUSE_MIGRATE is false: run `gatehouse migrate up`")]
    NotMigrated,
    /// The database was made with another master key.
    #[error(
        "the database has another master key: give this server the one that the others have, or the one of before if it was replaced here"
    )]
    WrongMasterKey,
    /// The master key of the database is not where it should be.
    #[error(
        "the database has a master key, and {0} is not there: copy it from the first instance or from the backup, or set GATEHOUSE_MASTER_KEY_FILE"
    )]
    NoMasterKey(std::path::PathBuf),
    /// The database is at an earlier state than it was.
    #[error(
        "the database is as it was at {found} and had come to {known}: it was put back. `gatehouse restored` ends what began before then, so that it can be served"
    )]
    PutBack {
        /// How far it had come.
        known: Timestamp,
        /// How far it has come now.
        found: Timestamp,
    },
    /// A thread could not be started.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
    /// Anything a use case reports.
    #[error(transparent)]
    App(#[from] Error),
}

/// The way to the caches, for the database to report commits to.
fn on_change(session_cache: &Arc<sessions::cache::SessionCache>) -> Arc<dyn Fn(Change) + Send + Sync> {
    let session_cache = Arc::clone(session_cache);
    Arc::new(move |change| session_cache.forget(change))
}

/// Where the database of a configuration is.
#[must_use]
pub fn target(config: &Config) -> Target {
    match &config.database {
        Database::Sqlite(path) => Target::Sqlite(path.clone()),
        Database::Postgres(url) => Target::Postgres(url.clone()),
    }
}

/// Makes the folders of a configuration, for their owner only.
///
/// # Errors
/// When one cannot be made.
pub fn prepare_folders(config: &Config) -> Result<(), StartError> {
    let folder =
        |path: &std::path::Path| private_folder(path).map_err(|error| StartError::File(path.to_owned(), error));
    folder(&config.data_dir)?;
    match &config.database {
        Database::Sqlite(path) => path.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), folder),
        Database::Postgres(_) => Ok(()),
    }
}

/// The file that has the master key; none where the setting itself has it.
#[must_use]
pub fn key_file(config: &Config) -> Option<std::path::PathBuf> {
    let own = config.master_key.is_none().then(|| config.data_dir.join("master.key"));
    config.master_key_file.clone().or(own)
}

/// The configured master key, or that of the data folder, if there is one.
///
/// # Errors
/// [`StartError::File`] when the file cannot be read.
pub fn existing_master_key(config: &Config) -> Result<Option<MasterKey>, StartError> {
    match key_file(config) {
        None => Ok(config.master_key.clone()),
        Some(path) if path.exists() => MasterKey::load(&path).map(Some).map_err(|error| StartError::File(path, error)),
        Some(_) => Ok(None),
    }
}

/// The master key that there is. One is made only for a database that has none yet: a new file would look like the one that
/// is missing, and fit nothing.
async fn master_key(config: &Config, db: &Db, env: &Env) -> Result<MasterKey, StartError> {
    if let Some(key) = existing_master_key(config)? {
        return Ok(key);
    }
    let path = key_file(config).unwrap_or_default();
    if db.system(SystemReason::Setup).installation().await?.is_some() {
        return Err(StartError::NoMasterKey(path));
    }
    MasterKey::load_or_create(&path, env).map_err(|error| StartError::File(path, error))
}

impl App {
    /// Opens the database, brings it up to date, and makes the installation if this is the first start.
    ///
    /// # Errors
    /// [`StartError`] says what to mend.
    pub async fn open(config: &Config, env: Env) -> Result<Self, StartError> {
        prepare_folders(config)?;
        let session_cache = Arc::new(sessions::cache::SessionCache::default());
        let options = Options {
            target: target(config),
            connections: config.database_connections,
            on_change: on_change(&session_cache),
        };
        let db = Db::connect(options).await?;
        if config.migrate {
            db.migrate().await?;
        } else if !db.migration_status().await?.pending.is_empty() {
            return Err(StartError::NotMigrated);
        }
        let keyring = Arc::new(Keyring::new(&master_key(config, &db, &env).await?));
        db.authenticate_with(trail_mac(Arc::clone(&keyring)), env.event_ids());
        let outbox = config.data_dir.join("outbox");
        let mailer = Mailer::new(&config.mail, &config.data_dir).map_err(|error| StartError::File(outbox, error))?;
        let app = Self {
            outbox: jobs::Outbox::new(Arc::clone(&keyring), env.clone(), Some(config.links())),
            mailer,
            outbound: Outbound::new(&config.outbound)
                .map_err(|error| StartError::App(Error::Internal(error.into())))?,
            published_keys: oauth::published_keys::PublishedKeys::default(),
            documents: oauth::documents::Documents::default(),
            lanes: back_channel::Lanes::default(),
            base_url: config.links(),
            db,
            newest: platform::newest::Newest::new(config, Arc::clone(&keyring)),
            keyring: Arc::clone(&keyring),
            master_key_file: key_file(config),
            tokens: Tokens::new(keyring),
            key_making: tokio::sync::Mutex::default(),
            hasher: Hasher::start(config.hasher.clone(), &env).map_err(StartError::Thread)?,
            defaults: config.defaults,
            limits: config.limits,
            admission: request::buckets::Admission::new(&config.limits),
            repeats: audit::repeats::Repeats::default(),
            session_cache,
            clients: request::client::Clients::open(config)?,
            in_flight_keys: request::idempotency::InFlightKeys::default(),
            env,
        };
        app.setup().install().await?;
        Ok(app)
    }

    /// Has links lead to the server that ran last: what is configured here is not what was configured there.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn use_links_of_server(&mut self) -> Result<()> {
        self.outbox.set_links(self.db.system(SystemReason::Cli).public_url().await?);
        Ok(())
    }

    /// The database, for what measures and checks it.
    pub const fn db(&self) -> &Db {
        &self.db
    }

    /// The clock and the randomness.
    pub const fn env(&self) -> &Env {
        &self.env
    }

    /// How many password hashes have been computed, and how many wait.
    pub fn hashing(&self) -> (u64, usize) {
        (self.hasher.hashes(), self.hasher.waiting())
    }
}

/// When this process began; instants of caches count from here.
pub(crate) fn process_start() -> std::time::Instant {
    static START: OnceLock<std::time::Instant> = OnceLock::new();
    *START.get_or_init(std::time::Instant::now)
}
