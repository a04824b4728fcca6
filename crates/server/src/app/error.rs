//! What a use case may answer besides its result. How it looks to a caller is decided by each surface.

use std::{borrow::Cow, time::Duration};

use gatehouse_domain::{
    authz::Denied,
    issue::{Issue, Issues},
    role::NotGiven,
    text::{Email, Username},
    user::NotChanged,
};
use gatehouse_persistence::Error as Storage;

/// The result of a use case.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a use case has no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No credential was presented.
    #[error("no credential")]
    Unauthenticated,
    /// The access token is not valid, or no longer.
    #[error("invalid access token")]
    InvalidToken,
    /// The access token is bound to a key, and the request does not prove that its sender holds it. Why, for developers.
    #[error("{0}")]
    InvalidProof(&'static str),
    /// The session has ended.
    #[error("the session has ended")]
    SessionRevoked,
    /// Name and password do not belong together, or the account may not sign in.
    #[error("invalid credentials")]
    InvalidCredentials,
    /// The tenant wants a verified e-mail address first.
    #[error("the e-mail address is not verified")]
    EmailNotVerified,
    /// The setup token is unknown, expired or spent.
    #[error("invalid setup token")]
    InvalidSetupToken,
    /// The invitation is unknown, expired, cancelled or accepted.
    #[error("invalid invitation")]
    InvalidInvitation,
    /// The mailed link is unknown, expired or used.
    #[error("invalid link")]
    InvalidLink,
    /// The refresh token has just been used.
    #[error("the refresh token is spent")]
    RefreshSpent,
    /// The refresh token is none of ours, or its session is over.
    #[error("invalid refresh token")]
    RefreshInvalid,
    /// The policy refuses.
    #[error("denied")]
    Denied(Denied),
    /// There is nothing of that name that the caller may see.
    #[error("not found")]
    NotFound,
    /// Accounts cannot be opened.
    #[error("registration is closed")]
    RegistrationClosed,
    /// The tenant or its partner is suspended.
    #[error("the tenant is suspended")]
    TenantSuspended,
    /// The user name or the e-mail address is taken.
    #[error("already registered")]
    AlreadyRegistered,
    /// There is an administrator already.
    #[error("already set up")]
    AlreadySetUp,
    /// It would break a rule; the words say which.
    #[error("conflict: {0}")]
    Conflict(Cow<'static, str>),
    /// There may not be more of these.
    #[error("limit reached: {0}")]
    LimitReached(Cow<'static, str>),
    /// Somebody else changed it meanwhile.
    #[error("changed meanwhile")]
    Stale,
    /// It is not, or no longer, as the request demands.
    #[error("precondition failed")]
    Precondition,
    /// The same request has been answered by another process meanwhile.
    #[error("answered meanwhile")]
    AlreadyAnswered,
    /// The same request is being answered.
    #[error("in progress")]
    InProgress,
    /// Another request was sent under the same key.
    #[error("idempotency key reused")]
    KeyReused,
    /// The input breaks rules that only this use case knows.
    #[error("invalid input")]
    Invalid(Issues),
    /// Too many attempts.
    #[error("too many attempts")]
    RateLimited(Duration),
    /// Too much to do.
    #[error("overloaded")]
    Overloaded,
    /// The database cannot answer now.
    #[error("unavailable")]
    Unavailable(#[source] Storage),
    /// A bug, or damage.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<Storage> for Error {
    fn from(error: Storage) -> Self {
        match error {
            Storage::Stale => Self::Stale,
            Storage::CallerInactive => Self::SessionRevoked,
            Storage::Denied(denied) => Self::Denied(denied),
            Storage::LastAdministrator => Self::Conflict("The last administrator of the platform stays.".into()),
            Storage::AlreadyAnswered => Self::AlreadyAnswered,
            Storage::Precondition => Self::Precondition,
            Storage::Unavailable(_) | Storage::Retry(_) => Self::Unavailable(error),
            Storage::Conflict("uq_users_username" | "uq_users_email") => Self::AlreadyRegistered,
            Storage::Conflict("uq_partners_slug" | "uq_tenants_slug") => Self::Conflict("The slug is taken.".into()),
            Storage::Conflict("uq_roles_name") => Self::Conflict("The tenant has a role of that name.".into()),
            Storage::Conflict("pk_application_resources") => Self::Conflict("Another application is that API.".into()),
            Storage::Conflict("uq_applications_document") => {
                Self::Conflict("The application of that document is there already.".into())
            }
            Storage::Conflict("uq_role_assignments") => {
                Self::Conflict("The user holds that role there already.".into())
            }
            Storage::Conflict("uq_user_imports_active") => {
                Self::Conflict("Another import into the tenant has not come to its end.".into())
            }
            other => Self::Internal(Box::new(other)),
        }
    }
}

impl From<Denied> for Error {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

impl Error {
    /// A user name of the body is an address, which only the user's own may be.
    pub(crate) fn suits(username: &Username, email: &Email) -> Result<()> {
        if username.suits(email) {
            return Ok(());
        }
        let msg = "is an address, and not the user's own: only that may be a user name";
        Err(Self::Invalid(Issue::body("username", "username_address", msg).into()))
    }

    /// An id in the body names nothing that the caller may see.
    pub(crate) fn unknown(field: &'static str) -> Self {
        Self::Invalid(Issue::body(field, "not_found", "names nothing that you may see").into())
    }
}

impl From<NotGiven> for Error {
    fn from(error: NotGiven) -> Self {
        match error {
            NotGiven::Misfit => {
                Self::Invalid(Issue::body("anchor", "role_anchor", "is not where this role can be given").into())
            }
            NotGiven::Denied(denied) => Self::Denied(denied),
        }
    }
}

impl<E: Into<Self>> From<NotChanged<E>> for Error {
    fn from(error: NotChanged<E>) -> Self {
        match error {
            NotChanged::State(error) => error.into(),
            NotChanged::Denied(denied) => Self::Denied(denied),
        }
    }
}

impl From<crate::security::password::Overloaded> for Error {
    fn from(_: crate::security::password::Overloaded) -> Self {
        Self::Overloaded
    }
}

impl From<crate::security::token::BadKey> for Error {
    fn from(error: crate::security::token::BadKey) -> Self {
        Self::Internal(Box::new(error))
    }
}

impl From<Issues> for Error {
    fn from(issues: Issues) -> Self {
        Self::Invalid(issues)
    }
}
