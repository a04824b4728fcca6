//! Settings: read once, checked completely, passed on as values.
//!
//! One table names every setting. From it come the environment variables, the flags, the keys of the TOML file, the
//! help, and the suggestions for misspelt names. Flags win over the environment, that over the file, that over the
//! defaults.

mod check;
mod sources;
mod table;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use gatehouse_domain::{
    application::Origin,
    bucket::BucketRule,
    secret::Secret,
    settings::Defaults,
    text::{Email, Username},
    throttle::{AttemptRules, NetworkRule, WindowRule},
};
use ipnet::IpNet;

use crate::{
    mail::MailOptions,
    outbound::OutboundOptions,
    security::{master_key::MasterKey, password::HasherOptions},
};

pub use sources::{Problem, Sources};
pub use table::{SETTINGS, Setting};

/// Everything the server is told.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it listens.
    pub bind: SocketAddr,
    /// Where it keeps its files.
    pub data_dir: PathBuf,
    /// Which database.
    pub database: Database,
    /// How many connections it opens.
    pub database_connections: u32,
    /// Whether `serve` migrates.
    pub migrate: bool,
    /// The address that clients use.
    pub public_url: Option<url::Url>,
    /// Where metrics are served.
    pub metrics_bind: Option<SocketAddr>,
    /// Whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<IpNet>,
    /// How long a start waits for a database that does not listen yet.
    pub database_wait: Duration,
    /// Whether other users of the machine may read what is secret.
    pub allow_open_files: bool,
    /// The header in which they name the client.
    pub forwarded_header: ForwardedHeader,
    /// Whether the OpenAPI document and its reference page are served.
    pub docs: bool,
    /// Whether the log has the addresses of clients.
    pub log_addresses: bool,
    /// How many connections an address may have.
    pub connections_per_address: usize,
    /// The secret that everything else derives from, if it is not in a file of the data directory.
    pub master_key: Option<MasterKey>,
    /// The file that the setting names for it.
    pub master_key_file: Option<PathBuf>,
    /// The first administrator, made unattended.
    pub admin: Option<FirstAdmin>,
    /// What tenants inherit.
    pub defaults: Defaults,
    /// How passwords are hashed.
    pub hasher: HasherOptions,
    /// How attempts are throttled.
    pub limits: Limits,
    /// How mail is sent.
    pub mail: MailOptions,
    /// The origins of pages that may call the API, besides those of applications.
    pub cors_origins: Vec<Origin>,
    /// Which addresses may be called that others chose.
    pub outbound: OutboundOptions,
    /// A MaxMind DB of places.
    pub geoip_file: Option<PathBuf>,
    /// Threads that answer requests.
    pub workers: usize,
    /// How long requests may go on after SIGTERM.
    pub shutdown_grace: Duration,
    /// How logs look.
    pub log_format: LogFormat,
    /// Which logs are written.
    pub log_level: String,
}

/// Which database.
#[derive(Debug, Clone)]
pub enum Database {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL URL.
    Postgres(Secret<String>),
}

/// The first administrator.
#[derive(Debug, Clone)]
pub struct FirstAdmin {
    /// The e-mail address.
    pub email: Email,
    /// The user name.
    pub username: Username,
    /// The password.
    pub password: gatehouse_domain::password::Password,
}

/// How attempts are throttled, and how much somebody who is signed in may ask for.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests of a user who is signed in.
    pub user_requests: Option<BucketRule>,
    /// Requests of all users of a tenant.
    pub tenant_requests: Option<BucketRule>,
    /// Refreshes of a session.
    pub refreshes: Option<WindowRule>,
    /// Sign-ins of a user with the right password.
    pub sign_ins: Option<BucketRule>,
    /// Requests to OAuth endpoints from an address that nobody has to prove anything for.
    pub oauth_starts: Option<BucketRule>,
    /// Wrong codes of devices from an address.
    pub user_codes: Option<WindowRule>,
    /// Failures to prove a password.
    pub attempts: AttemptRules,
    /// Registrations from an address.
    pub registrations: NetworkRule,
    /// Mails that are asked for from an address.
    pub mail_requests: NetworkRule,
    /// Mails that are asked for to one mailbox.
    pub mailbox: WindowRule,
}

/// The header in which proxies name the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// A list of addresses, the nearest last.
    XForwardedFor,
    /// The same with more to it (RFC 7239).
    Forwarded,
    /// One address.
    XRealIp,
}

impl ForwardedHeader {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
            Self::XRealIp => "x-real-ip",
        }
    }
}

/// How logs look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// The settings of an instance with nothing set, in this data directory.
    ///
    /// # Errors
    /// Never with the defaults as they are; their own checks are the same as anyone's.
    pub fn defaults(data_dir: PathBuf) -> Result<Self, Problem> {
        let mut sources = Sources::default();
        sources.set("data_dir", data_dir.display().to_string());
        check::check(&sources)
    }

    /// The address in the links of mails. Never taken from a request, so that nobody can have a link mailed to somebody
    /// else that leads astray.
    #[must_use]
    pub fn links(&self) -> Arc<str> {
        match &self.public_url {
            Some(url) => url.as_str().trim_end_matches('/').into(),
            None => format!("http://{}", self.bind).into(),
        }
    }

    /// Reads flags, environment and file.
    ///
    /// # Errors
    /// [`Problem`] names the setting, where it was set, and what is wrong with it.
    pub fn load(
        flags: Vec<(&'static str, String)>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Problem> {
        check::check(&Sources::read(flags, environment)?)
    }
}
