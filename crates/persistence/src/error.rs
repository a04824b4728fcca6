//! What can go wrong with storage.

use sea_orm::{DbErr, RuntimeErr};

/// A failure of storage.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A uniqueness rule was broken; the name is that of the index.
    #[error("a row breaks {0}")]
    Conflict(&'static str),
    /// The row is no longer what it was when it was loaded.
    #[error("the row was changed meanwhile")]
    Stale,
    /// What the request demands of the row does not hold.
    #[error("the row is not as the request demands")]
    Precondition,
    /// The session that a change is made by, its user, tenant or partner is not active any more.
    #[error("the caller is not active any more")]
    CallerInactive,
    /// Whoever makes a change may not do so any more.
    #[error("the caller may not any more")]
    Denied(gatehouse_domain::authz::Denied),
    /// The platform would be left without an administrator.
    #[error("the last administrator of the platform stays")]
    LastAdministrator,
    /// The same request has been answered meanwhile.
    #[error("the request has been answered")]
    AlreadyAnswered,
    /// The value lies outside the scope it is saved through: a programming error, refused.
    #[error("a value outside the scope was to be saved")]
    ScopeViolation,
    /// A stored value makes no sense.
    #[error("a stored {0} cannot be read")]
    Corrupt(&'static str),
    /// The audit trail is not as Gatehouse left it; going on would cover that up.
    #[error("somebody has changed the audit trail: {0}; `gatehouse audit verify` says more")]
    Tampered(String),
    /// The database cannot answer now; the same request may succeed later.
    #[error("the database is not available")]
    Unavailable(#[source] Option<DbErr>),
    /// The transaction lost against another and can be tried again.
    #[error("the transaction must be tried again")]
    Retry(#[source] Option<DbErr>),
    /// The audit trail is to be written before its key is known: a programming error, refused.
    #[error("the audit trail has no key yet")]
    NoKey,
    /// Another server process uses the SQLite file.
    #[error("another process serves this database: {0}")]
    InUse(std::path::PathBuf),
    /// The schema is newer than this program.
    #[error("the database was migrated by a newer release: {0}")]
    TooNew(String),
    /// A pooler gives every transaction another session of the server: what a session sets and prepares is lost.
    #[error("there is a pooler in transaction or statement mode before the database: use session mode")]
    TransactionPooler,
    /// The file system refuses.
    #[error("cannot use {0}")]
    File(std::path::PathBuf, #[source] std::io::Error),
    /// Anything else.
    #[error("the database refuses a statement")]
    Other(#[source] DbErr),
}

/// What SQLite calls a unique index: its columns. PostgreSQL gives the name itself.
const UNIQUE: &[(&str, &str)] = &[
    ("uq_partners_slug", "partners.slug"),
    ("uq_tenants_slug", "tenants.slug"),
    ("uq_users_username", "users.tenant_id, users.username_key"),
    ("uq_users_email", "users.tenant_id, users.email_key"),
    ("uq_roles_name", "roles.tenant_id, roles.name_key"),
    ("uq_role_assignments", "role_assignments.user_id, role_assignments.role_id, role_assignments.anchor_key"),
    // Either state: SQLite names the columns only.
    ("uq_signing_keys_current", "signing_keys.owner_id, signing_keys.algorithm"),
    ("uq_signing_keys_next", "signing_keys.owner_id, signing_keys.algorithm"),
    ("uq_user_imports_active", "user_imports.tenant_id"),
    ("uq_applications_document", "applications.owner_id, applications.document_url"),
    ("pk_application_resources", "application_resources.owner_id, application_resources.uri"),
    ("pk_applications", "applications.id"),
    ("pk_installation", "installation.id"),
    ("pk_partners", "partners.id"),
    ("pk_tenants", "tenants.id"),
    ("pk_users", "users.id"),
    ("pk_roles", "roles.id"),
    ("pk_role_assignments", "role_assignments.id"),
    ("pk_sessions", "sessions.id"),
    ("pk_signing_keys", "signing_keys.id"),
];

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        let sqlx = match &error {
            // No connection, whatever the reason: the server is down, full, or does not know the database.
            DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => return Self::Unavailable(Some(error)),
            DbErr::Exec(RuntimeErr::SqlxError(e)) | DbErr::Query(RuntimeErr::SqlxError(e)) => std::sync::Arc::clone(e),
            _ => return Self::Other(error),
        };
        let sqlx::Error::Database(database) = &*sqlx else {
            return match &*sqlx {
                sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) => {
                    Self::Other(error)
                }
                _ => Self::Unavailable(Some(error)),
            };
        };
        let code = database.code().unwrap_or_default();
        if database.is_unique_violation() {
            let (message, constraint) = (database.message(), database.constraint());
            return UNIQUE
                .iter()
                .find(|(name, columns)| constraint == Some(*name) || message.ends_with(&format!(": {columns}")))
                .map_or(Self::Other(error), |(name, _)| Self::Conflict(name));
        }
        // What it refers to has moved or gone since it was read: a tenant to another partner, for one.
        if database.is_foreign_key_violation() {
            return Self::Stale;
        }
        match Kind::of(&code) {
            Kind::Retry => Self::Retry(Some(error)),
            Kind::Unavailable => Self::Unavailable(Some(error)),
            Kind::Other => Self::Other(error),
        }
    }
}

/// Whether an error says that a transaction lost to another one: it has not happened, and can be tried again.
pub(crate) fn is_lost_to_another(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) = error else {
        return false;
    };
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| matches!(Kind::of(&code), Kind::Retry))
}

impl Error {
    /// Whether a database that does not answer may do so soon: it is not there yet, or is starting. Nobody has to wait for
    /// one that refuses whoever asks.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        let Self::Unavailable(Some(error)) = self else { return false };
        match error {
            DbErr::Conn(RuntimeErr::SqlxError(error))
            | DbErr::Exec(RuntimeErr::SqlxError(error))
            | DbErr::Query(RuntimeErr::SqlxError(error)) => match &**error {
                sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => true,
                sqlx::Error::Database(error) => error.code().is_some_and(|code| matches!(&*code, "57P03" | "53300")),
                _ => false,
            },
            DbErr::ConnectionAcquire(_) => true,
            _ => false,
        }
    }
}

enum Kind {
    Retry,
    Unavailable,
    Other,
}

impl Kind {
    fn of(code: &str) -> Self {
        // SQLite reports an (extended) result code in decimal, PostgreSQL a five-character SQLSTATE.
        if code.len() == 5 {
            return match code {
                "40001" | "40P01" => Self::Retry,
                // Connection lost, resources exhausted, shutting down, cancelled by a timeout, read-only, I/O error, a lock
                // that was not to be had in time.
                _ if ["08", "53", "57", "58"].contains(&&code[..2]) || ["25006", "55P03"].contains(&code) => {
                    Self::Unavailable
                }
                _ => Self::Other,
            };
        }
        // BUSY, LOCKED, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN: https://www.sqlite.org/rescode.html
        match code.parse::<u32>().map(|code| code & 0xff) {
            Ok(5 | 6 | 8 | 9 | 10 | 13 | 14) => Self::Unavailable,
            _ => Self::Other,
        }
    }
}

/// The result of a storage operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;
