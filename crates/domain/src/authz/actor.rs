//! Who acts.

use crate::{
    authz::{ActorId, permission::PermissionSet, policy::TenantRef},
    id::{ApplicationId, PartnerId, SessionId, TenantId, UserId},
    role::Anchor,
    time::Timestamp,
};

/// Who acts in a request, a command or a job.
#[derive(Debug, Clone)]
pub enum Actor {
    /// A signed-in user.
    User(UserActor),
    /// An application in its own name (RFC 6749, section 4.4).
    Application(ApplicationActor),
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
    /// What the user's unexpired assignments give, as far as the token opens it.
    pub rights: Vec<Right>,
    /// What the token opens, if an application got it; all of it in first-party sign-in.
    pub scope: Option<TokenScope>,
}

/// An application that acts in its own name: without a user, a session, and anything of its own.
#[derive(Debug, Clone)]
pub struct ApplicationActor {
    /// The application.
    pub application_id: ApplicationId,
    /// The level that it is registered at, as events name it: `platform`, `partner` or `tenant`.
    pub level: &'static str,
    /// The tenant whose issuer gave the token: it acts there and nowhere else. None with a token of the platform's issuer.
    pub tenant: Option<TenantRef>,
    /// What the scopes of the token allow there.
    pub rights: Vec<Right>,
}

impl ApplicationActor {
    /// The application, as what changes that it makes are attributed to.
    #[must_use]
    pub const fn by(&self) -> By {
        By { whom: ByWhom::Application(self.application_id), acting_as: self.level }
    }
}

/// What a token that an application got opens of what its user may do. It only ever narrows: to what the scopes say, and to
/// where the application belongs. Who registers one in a tenant would else act with the rights that its users have above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenScope {
    /// The application.
    pub application_id: ApplicationId,
    /// Where that belongs.
    pub within: Anchor,
    /// The tenant whose issuer gave the token.
    pub tenant: TenantRef,
    /// The permissions of its user that it opens.
    pub permissions: PermissionSet,
    /// Whether its user's own account can be seen with it.
    pub reads_account: bool,
    /// Whether its user's own account can be changed with it.
    pub changes_account: bool,
}

impl TokenScope {
    /// What is left of rights.
    #[must_use]
    pub fn narrow(&self, rights: Vec<Right>) -> Vec<Right> {
        let narrow = |right: Right| {
            let anchor = self.anchor(right.anchor)?;
            Some(Right { anchor, permissions: right.permissions.and(&self.permissions), ..right })
        };
        rights.into_iter().filter_map(narrow).collect()
    }

    /// Where a right holds that is held at an anchor; `None` where the application does not belong.
    fn anchor(&self, held: Anchor) -> Option<Anchor> {
        match (self.within, held) {
            (Anchor::Platform, held) => Some(held),
            (Anchor::Partner(_), Anchor::Platform) => Some(self.within),
            (Anchor::Partner(_), Anchor::Partner(_)) => (held == self.within).then_some(held),
            // Of other tenants it is not known whose they are.
            (Anchor::Partner(_), Anchor::Tenant(id)) => (id == self.tenant.id).then_some(held),
            (Anchor::Tenant(id), held) => (id == self.tenant.id && held.includes(self.tenant)).then_some(self.within),
        }
    }

    /// Whether it opens a permission, or something of one's own account.
    pub(super) fn opens(&self, name: &str) -> bool {
        match name {
            ACCOUNT_READ => self.reads_account,
            ACCOUNT_WRITE => self.changes_account,
            _ => self.permissions.covers(name),
        }
    }
}

/// The scope that opens one's own account to be seen.
pub(crate) const ACCOUNT_READ: &str = "account:read";
/// The scope that opens one's own account to be changed.
pub(crate) const ACCOUNT_WRITE: &str = "account:write";

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

impl Actor {
    /// Who it is and the tenant that it belongs to, if it belongs to one; none for Gatehouse itself.
    #[must_use]
    pub const fn id(&self) -> Option<(ActorId, Option<TenantRef>)> {
        match self {
            Self::User(user) => {
                let home = TenantRef { id: user.tenant_id, partner_id: user.partner_id };
                Some((ActorId::User(user.user_id), Some(home)))
            }
            Self::Application(it) => Some((ActorId::Application(it.application_id), it.tenant)),
            Self::System(_) => None,
        }
    }

    /// What its token opens, as text: two tokens of one actor that open different things do not get each other's answers.
    #[must_use]
    pub fn opens(&self) -> String {
        match self {
            Self::User(UserActor { scope: Some(it), .. }) => {
                format!("{} {} {} {}", it.application_id, it.permissions, it.reads_account, it.changes_account)
            }
            Self::Application(it) => PermissionSet::union(it.rights.iter().map(|right| &right.permissions)).to_string(),
            Self::User(_) | Self::System(_) => String::new(),
        }
    }

    /// Whom a refusal is attributed to: nothing was granted, so it is the actor's own doing.
    #[must_use]
    pub const fn by(&self) -> Option<By> {
        match self {
            Self::User(user) => Some(By::oneself(user.user_id, Some(user.session_id))),
            Self::Application(it) => Some(it.by()),
            Self::System(_) => None,
        }
    }
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
    /// An application in its own name.
    Application(ApplicationId),
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

    /// The user or application, if it is one.
    #[must_use]
    pub const fn actor_id(&self) -> Option<ActorId> {
        match self.whom {
            ByWhom::User(id, _) => Some(ActorId::User(id)),
            ByWhom::Application(id) => Some(ActorId::Application(id)),
            ByWhom::System(_) => None,
        }
    }

    /// The user, if a user it is.
    #[must_use]
    pub const fn user_id(&self) -> Option<UserId> {
        match self.whom {
            ByWhom::User(id, _) => Some(id),
            ByWhom::Application(_) | ByWhom::System(_) => None,
        }
    }

    /// The session that was used, if there was one.
    #[must_use]
    pub const fn session_id(&self) -> Option<SessionId> {
        match self.whom {
            ByWhom::User(_, session) => session,
            ByWhom::Application(_) | ByWhom::System(_) => None,
        }
    }
}
