//! Who acts.

use crate::{
    authz::permission::PermissionSet,
    id::{PartnerId, SessionId, TenantId, UserId},
    role::Anchor,
    time::Timestamp,
};

/// Who acts in a request, a command or a job.
#[derive(Debug, Clone)]
pub enum Actor {
    /// A signed-in user.
    User(UserActor),
    /// Gatehouse itself; the reason lands in the audit trail.
    System(SystemReason),
}

/// A signed-in user with everything that decides what the user may do.
#[derive(Debug, Clone)]
pub struct UserActor {
    /// The user.
    pub user_id: UserId,
    /// The tenant the user belongs to.
    pub tenant_id: TenantId,
    /// The partner of that tenant.
    pub partner_id: PartnerId,
    /// The session whose token was presented.
    pub session_id: SessionId,
    /// Whether the user is there while this is done.
    pub presence: Presence,
    /// What the user's unexpired assignments give.
    pub rights: Vec<Right>,
}

/// Whether a user is there while something is done in the user's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// By a session, which must be active.
    SignedIn,
    /// What was asked for is done later. Signing out takes nothing away; a session that somebody had a reason to end does.
    Absent,
}

/// What one assignment gives, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    /// Where it holds.
    pub anchor: Anchor,
    /// What it allows there.
    pub permissions: PermissionSet,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
}

impl Right {
    /// Whether it lasts until an end; `None` is for ever.
    #[must_use]
    pub fn lasts(&self, until: Option<Timestamp>) -> bool {
        !ends_later(until, self.expires_at)
    }
}

/// Whether an end is later than another one; `None` is for ever.
#[must_use]
pub fn ends_later(end: Option<Timestamp>, than: Option<Timestamp>) -> bool {
    than.is_some_and(|than| end.is_none_or(|end| end > than))
}

/// Why Gatehouse acts without a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SystemReason {
    /// The part of sign-in, registration and refresh before anyone is known.
    Authentication,
    /// An operator at the command line.
    Cli,
    /// Reading what is decided above what the caller may see.
    Inheritance,
    /// A periodic task.
    Job,
    /// Comparing with limits that are not the caller's to see: how many there may be, and that the platform keeps an
    /// administrator.
    Quota,
    /// The first start and the first administrator.
    Setup,
}

impl SystemReason {
    /// The word in the audit trail.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authentication => "authentication",
            Self::Cli => "cli",
            Self::Inheritance => "inheritance",
            Self::Job => "job",
            Self::Quota => "quota",
            Self::Setup => "setup",
        }
    }
}

/// The identity that a change is attributed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByWhom {
    /// A user, with the session it acted through.
    User(UserId, Option<SessionId>),
    /// Gatehouse.
    System(SystemReason),
}

/// The identity that a change is attributed to, and the capacity it acted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct By {
    /// Who.
    pub whom: ByWhom,
    /// As what: `platform`, `partner`, `tenant`, `own`, `cli` or `system`.
    pub acting_as: &'static str,
}

impl By {
    /// Gatehouse itself.
    #[must_use]
    pub const fn system(reason: SystemReason) -> Self {
        // The event may have a reason of its own.
        let acting_as = if matches!(reason, SystemReason::Cli) { reason.as_str() } else { "system" };
        Self { whom: ByWhom::System(reason), acting_as }
    }

    /// A user who proves who it is in this very request, for example by signing in.
    #[must_use]
    pub const fn oneself(user: UserId, session: Option<SessionId>) -> Self {
        Self { whom: ByWhom::User(user, session), acting_as: "own" }
    }

    /// The user, if a user it is.
    #[must_use]
    pub const fn user_id(&self) -> Option<UserId> {
        match self.whom {
            ByWhom::User(id, _) => Some(id),
            ByWhom::System(_) => None,
        }
    }

    /// The session that was used, if there was one.
    #[must_use]
    pub const fn session_id(&self) -> Option<SessionId> {
        match self.whom {
            ByWhom::User(_, session) => session,
            ByWhom::System(_) => None,
        }
    }
}
