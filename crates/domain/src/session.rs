//! Sessions: one sign-in of one user on one device.

mod own;
mod refreshes;
mod revocation;
mod tighten;
mod view;

use std::{net::IpAddr, time::Duration};

use crate::{
    audit::{Action, Fields, Resource, ResourceKind, UNRECORDED},
    authz::{By, TenantRef},
    change::Changed,
    id::{ApplicationId, PartnerId, SessionId, TenantId, UserId},
    refresh::Chain,
    secret::TokenHash,
    settings::Policy,
    sign_in::Authentication,
    time::Timestamp,
    word::words,
};

pub use own::NewOwnSession;
pub use refreshes::Refreshes;
pub use revocation::{Effects, EndedSession, RevokeMany, RevokeTarget, Revoked, expired, purged};
pub use tighten::{Cap, Caps, Tighten, Within};
pub use view::{SessionApp, SessionStats, SessionView};

words! {
    /// What kind of device a session began on, as far as its User-Agent tells.
    DeviceKind {
        /// A desktop or laptop browser.
        Desktop = "desktop",
        /// A telephone's browser.
        Mobile = "mobile",
        /// A tablet's browser.
        Tablet = "tablet",
        /// A native client that declared itself.
        App = "app",
        /// A crawler or script.
        Bot = "bot",
        /// Nothing recognisable.
        Unknown = "unknown",
    }

    /// What opens a session.
    SessionKind {
        /// A refresh token of the API.
        Api = "api",
        /// The cookie of a browser.
        Browser = "browser",
        /// A refresh token of an application that may stay connected without the browser (`offline_access`).
        Offline = "offline",
        /// A refresh token of an application on a device that has no browser (RFC 8628).
        Device = "device",
    }

    /// How a session ended.
    EndReason {
        /// Its own user signed out.
        Logout = "logout",
        /// Its user ended it from another session.
        User = "user",
        /// An administrator ended it.
        Admin = "admin",
        /// It was among all of a user or tenant.
        RevokeAll = "revoke_all",
        /// Its user changed the password elsewhere.
        PasswordChange = "password_change",
        /// One of its refresh tokens was used twice.
        ReuseDetected = "reuse_detected",
        /// Its user, tenant or partner was suspended.
        Suspended = "suspended",
        /// Its user, tenant or partner was deleted.
        Deleted = "deleted",
        /// A newer session took its place.
        SessionLimit = "session_limit",
        /// It reached its end by itself.
        Expired = "expired",
    }

    /// How a user proved who they are (RFC 8176).
    AuthMethod {
        /// With a password.
        Password = "pwd",
    }

    /// Where a session stands.
    SessionStatus {
        /// It can be used.
        Active = "active",
        /// It reached its end by itself.
        Expired = "expired",
        /// It was ended.
        Revoked = "revoked",
    }
}

/// The device as its User-Agent tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The kind.
    pub kind: DeviceKind,
    /// For people: `Firefox on Linux`.
    pub name: Option<String>,
}

/// Where a session began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The client's address.
    pub ip: Option<IpAddr>,
    /// The User-Agent header, cut at [`Client::USER_AGENT_MAX`] characters.
    pub user_agent: Option<String>,
    /// What that header says about the device.
    pub device: Device,
    /// The place of the address, for people: `Buenos Aires, AR`.
    pub location: Option<String>,
}

impl Client {
    /// How much of a User-Agent is kept, in characters.
    pub const USER_AGENT_MAX: usize = 512;
}

/// The end of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// How.
    pub reason: EndReason,
    /// By which user; `None` is Gatehouse.
    pub by: Option<UserId>,
}

impl EndReason {
    /// Whether nobody had a reason to distrust it.
    #[must_use]
    pub const fn is_harmless(self) -> bool {
        matches!(self, Self::Logout | Self::Expired | Self::SessionLimit)
    }
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id; not a credential.
    pub id: SessionId,
    /// The tenant of its user.
    pub tenant_id: TenantId,
    /// The partner of that tenant.
    pub partner_id: PartnerId,
    /// Its user.
    pub user_id: UserId,
    /// What opens it.
    pub kind: SessionKind,
    /// The application whose own it is, if it is one's.
    pub application_id: Option<ApplicationId>,
    /// The digest of the cookie that opens it, if one does.
    pub cookie: Option<TokenHash>,
    /// Where it began.
    pub client: Client,
    /// How the user signed in.
    pub auth_methods: Vec<AuthMethod>,
    /// When the user last proved to be who they are.
    pub authenticated_at: Timestamp,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used; lags by up to [`ACTIVITY_LAG`].
    pub last_activity_at: Timestamp,
    /// When it expires unless it is refreshed.
    pub expires_at: Timestamp,
    /// When it expires even if it is refreshed.
    pub max_expires_at: Timestamp,
    /// How long each of its refresh tokens lives. Like the longest life and the idle time, it only ever gets shorter.
    pub refresh: Duration,
    /// The time without activity that ends it.
    pub idle: Option<Duration>,
    /// Its end, if it has come to one.
    pub ended: Option<Ended>,
    /// Its refresh tokens.
    pub chain: Chain,
    /// How often it was refreshed of late.
    pub refreshes: Refreshes,
}

/// How far the stored last activity may lag behind the real one. The idle timeout gives a session that much more, so
/// that none ends early.
pub const ACTIVITY_LAG: Duration = Duration::from_secs(10);

/// When a session ends by itself: the earlier of its expiry and its idle deadline.
#[must_use]
pub fn ends_at(expires_at: Timestamp, last_activity_at: Timestamp, idle: Option<Duration>) -> Timestamp {
    idle.map_or(expires_at, |idle| Ord::min(expires_at, last_activity_at.plus(idle + ACTIVITY_LAG)))
}

/// What is needed to begin a session.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// The id to be.
    pub id: SessionId,
    /// The tenant of the user.
    pub tenant_id: TenantId,
    /// The partner of that tenant.
    pub partner_id: PartnerId,
    /// The user.
    pub user_id: UserId,
    /// Whether the user holds any role, which makes the session shorter.
    pub administers: bool,
    /// Where it begins.
    pub client: Client,
    /// What the user proved.
    pub authentication: Authentication,
    /// The digest of its first refresh token.
    pub refresh_hash: TokenHash,
    /// The digest of the cookie that opens it, where one does. Then nobody has that refresh token.
    pub cookie: Option<TokenHash>,
}

/// What a refresh token is exchanged for.
#[derive(Debug, Clone)]
pub struct Successor {
    /// The digest of the next refresh token.
    pub hash: TokenHash,
    /// The sealed answer, where the tenant answers losers of a race.
    pub replay: Option<Vec<u8>>,
}

/// The session had ended already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session has ended already")]
pub struct AlreadyEnded;

impl Session {
    fn resource(&self) -> Resource {
        Resource::of(ResourceKind::Session, self.id.uuid()).in_tenant(self.partner_id, self.tenant_id)
    }

    /// Begins a session.
    pub fn start(new: NewSession, policy: &Policy, now: Timestamp) -> Changed<Self> {
        let max_expires_at = now.plus(policy.lifetime_for(new.administers));
        let (refresh, idle) = (policy.refresh_token_lifetime, policy.idle_for(new.administers));
        let refreshed_until = Ord::min(now.plus(refresh), max_expires_at);
        // A browser refreshes nothing: its session lasts as long as it is used at least that often.
        let (kind, expires_at, idle) = match new.cookie {
            Some(_) => (SessionKind::Browser, max_expires_at, idle.into_iter().chain([refresh]).min()),
            None => (SessionKind::Api, refreshed_until, idle),
        };
        let session = Self {
            id: new.id,
            tenant_id: new.tenant_id,
            partner_id: new.partner_id,
            user_id: new.user_id,
            kind,
            application_id: None,
            cookie: new.cookie,
            client: new.client,
            auth_methods: new.authentication.into_methods(),
            authenticated_at: now,
            created_at: now,
            last_activity_at: now,
            expires_at,
            max_expires_at,
            refresh,
            idle,
            ended: None,
            chain: Chain { generation: 0, current: new.refresh_hash, rotated_at: now, replay: None },
            refreshes: Refreshes::default(),
        };
        session.created(Fields::default())
    }

    fn created(self, mut fields: Fields) -> Changed<Self> {
        fields.set("device_type", self.client.device.kind).set("auth_methods", &self.auth_methods);
        let by = By::oneself(self.user_id, Some(self.id));
        let resource = self.resource();
        Changed::new(self, Action::SessionCreated, resource, &by).with(fields)
    }

    /// The user has proved once more to be who they are: it goes on, opened by another cookie, so that whoever knows the
    /// one before is out (OWASP: session fixation).
    pub fn reauthenticate(self, cookie: TokenHash, now: Timestamp) -> Changed<Self> {
        let by = By::oneself(self.user_id, Some(self.id));
        let resource = self.resource();
        let last_activity_at = Ord::max(now, self.last_activity_at);
        // Later than before, whatever clock the replica has that this happens at.
        let authenticated_at = Ord::max(now, self.authenticated_at.plus(Duration::from_micros(1)));
        let next = Self { cookie: Some(cookie), authenticated_at, last_activity_at, ..self };
        Changed::new(next, Action::SessionReauthenticated, resource, &by)
    }

    /// When it ends by itself.
    #[must_use]
    pub fn ends_at(&self) -> Timestamp {
        ends_at(self.expires_at, self.last_activity_at, self.idle)
    }

    /// The tenant it is in.
    #[must_use]
    pub const fn tenant(&self) -> TenantRef {
        TenantRef { id: self.tenant_id, partner_id: self.partner_id }
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> SessionStatus {
        match self.ended {
            Some(Ended { reason: EndReason::Expired, .. }) => SessionStatus::Expired,
            Some(_) => SessionStatus::Revoked,
            None if self.ends_at() <= now => SessionStatus::Expired,
            None => SessionStatus::Active,
        }
    }

    /// Exchanges its current refresh token. The caller has judged the presented one. What the policy allows less of
    /// than when the session began, it has less of from now on; what it allows more of, it does not get.
    /// The event is for the trail if the refresh is the first of a minute.
    pub fn rotate(self, successor: Successor, policy: &Policy, administers: bool, now: Timestamp) -> Changed<Self> {
        let by = By::oneself(self.user_id, Some(self.id));
        let resource = self.resource();
        let max_expires_at = Ord::min(self.max_expires_at, self.created_at.plus(policy.lifetime_for(administers)));
        let refresh = Ord::min(self.refresh, policy.refresh_token_lifetime);
        let next = Self {
            expires_at: Ord::min(now.plus(refresh), max_expires_at),
            max_expires_at,
            refresh,
            idle: self.idle.into_iter().chain(policy.idle_for(administers)).min(),
            last_activity_at: Ord::max(now, self.last_activity_at),
            chain: Chain {
                generation: self.chain.generation + 1,
                current: successor.hash,
                rotated_at: now,
                replay: successor.replay,
            },
            refreshes: self.refreshes.next(now),
            ..self
        };
        let mut fields = Fields::default();
        if self.refreshes.unrecorded() > 0 {
            fields.set(UNRECORDED, self.refreshes.unrecorded());
        }
        Changed::new(next, Action::SessionRefreshed, resource, &by).with(fields)
    }

    /// Ends it.
    ///
    /// # Errors
    /// [`AlreadyEnded`] if it is no longer active.
    pub fn revoke(self, reason: EndReason, by: &By, now: Timestamp) -> Result<Changed<Self>, AlreadyEnded> {
        if self.status(now) != SessionStatus::Active {
            return Err(AlreadyEnded);
        }
        let action = match reason {
            EndReason::ReuseDetected => Action::SessionRefreshReuseDetected,
            _ => Action::SessionRevoked,
        };
        let resource = self.resource();
        let next = Self { ended: Some(Ended { at: now, reason, by: by.user_id() }), ..self };
        Ok(Changed::new(next, action, resource, by).because(reason.as_str()))
    }
}

#[cfg(test)]
mod tests;
