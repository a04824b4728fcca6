//! Sessions: one sign-in of one user on one device.

use std::{net::IpAddr, time::Duration};

use crate::{
    audit::{Action, Event, Fields, Resource},
    authz::{By, TenantRef},
    change::Changed,
    id::{ApplicationId, PartnerId, SessionId, TenantId, UserId},
    refresh::Chain,
    secret::TokenHash,
    settings::{Policy, words},
    time::Timestamp,
};

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
    /// Where it began.
    pub client: Client,
    /// How the user signed in.
    pub auth_methods: Vec<AuthMethod>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used; lags by up to [`ACTIVITY_LAG`].
    pub last_activity_at: Timestamp,
    /// When it expires unless it is refreshed.
    pub expires_at: Timestamp,
    /// When it expires even if it is refreshed.
    pub max_expires_at: Timestamp,
    /// The time without activity that ends it.
    pub idle: Option<Duration>,
    /// Its end, if it has come to one.
    pub ended: Option<Ended>,
    /// Its refresh tokens.
    pub chain: Chain,
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
    /// How the user signed in.
    pub auth_methods: Vec<AuthMethod>,
    /// The digest of its first refresh token.
    pub refresh_hash: TokenHash,
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
        Resource::of("session", self.id.uuid()).in_tenant(self.partner_id, self.tenant_id)
    }

    /// Begins a session.
    pub fn start(new: NewSession, policy: &Policy, now: Timestamp) -> Changed<Self> {
        let max_expires_at = now.plus(policy.lifetime_for(new.administers));
        let session = Self {
            id: new.id,
            tenant_id: new.tenant_id,
            partner_id: new.partner_id,
            user_id: new.user_id,
            client: new.client,
            auth_methods: new.auth_methods,
            created_at: now,
            last_activity_at: now,
            expires_at: Ord::min(now.plus(policy.refresh_token_lifetime), max_expires_at),
            max_expires_at,
            idle: policy.idle_for(new.administers),
            ended: None,
            chain: Chain { generation: 0, current: new.refresh_hash, rotated_at: now, replay: None },
        };
        let mut fields = Fields::default();
        fields.set("device_type", session.client.device.kind).set("auth_methods", &session.auth_methods);
        let by = By::oneself(session.user_id, Some(session.id));
        let resource = session.resource();
        Changed::new(session, Action::SessionCreated, resource, &by).with(fields)
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

    /// Exchanges its current refresh token. The caller has judged the presented one.
    pub fn rotate(self, successor: Successor, policy: &Policy, now: Timestamp) -> Changed<Self> {
        let by = By::oneself(self.user_id, Some(self.id));
        let resource = self.resource();
        let next = Self {
            expires_at: Ord::min(now.plus(policy.refresh_token_lifetime), self.max_expires_at),
            last_activity_at: Ord::max(now, self.last_activity_at),
            chain: Chain {
                generation: self.chain.generation + 1,
                current: successor.hash,
                rotated_at: now,
                replay: successor.replay,
            },
            ..self
        };
        Changed::new(next, Action::SessionRefreshed, resource, &by)
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

/// Whose sessions a bulk revocation ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevokeTarget {
    /// All of one user.
    User(TenantRef, UserId),
    /// These, of one user.
    Named(TenantRef, UserId, Vec<SessionId>),
    /// All of one tenant.
    Tenant(TenantRef),
    /// All of one partner's tenants.
    Partner(PartnerId),
}

/// Ends many sessions at once: one statement, one event.
#[derive(Debug, Clone)]
#[must_use = "a revocation takes effect only when it is saved"]
pub struct RevokeMany {
    /// Whose.
    pub target: RevokeTarget,
    /// All but this one.
    pub except: Option<SessionId>,
    /// How they end.
    pub reason: EndReason,
    /// Who ends them.
    pub by: By,
}

impl RevokeMany {
    /// The event, once it is known how many sessions ended.
    #[must_use]
    pub fn event(&self, ended: u64) -> Event {
        let resource = match &self.target {
            RevokeTarget::User(tenant, user) | RevokeTarget::Named(tenant, user, _) => {
                Resource::of("user", user.uuid()).in_tenant(tenant.partner_id, tenant.id)
            }
            RevokeTarget::Tenant(tenant) => {
                Resource::of("tenant", tenant.id.uuid()).in_tenant(tenant.partner_id, tenant.id)
            }
            RevokeTarget::Partner(partner) => Resource::of("partner", partner.uuid()).in_partner(*partner),
        };
        bulk(Action::SessionRevokedAll, resource, self.by, Some(self.reason.as_str()), ended)
    }
}

fn bulk(action: Action, resource: Resource, by: By, reason: Option<&'static str>, count: u64) -> Event {
    let mut fields = Fields::default();
    fields.set("session_count", count);
    Event { action, resource, by, failure: None, reason, fields }
}

const fn session_set(tenant: TenantRef) -> Resource {
    Resource::set("session").in_tenant(tenant.partner_id, tenant.id)
}

/// The event of `count` sessions of a tenant reaching their end.
#[must_use]
pub fn expired(tenant: TenantRef, by: By, count: u64) -> Event {
    bulk(Action::SessionExpired, session_set(tenant), by, None, count)
}

/// The event of `count` ended sessions of a tenant being removed.
#[must_use]
pub fn purged(tenant: TenantRef, by: By, count: u64) -> Event {
    bulk(Action::SessionPurged, session_set(tenant), by, None, count)
}

/// What a bulk revocation did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Revoked {
    /// How many sessions ended.
    pub count: u64,
    /// Which; at most [`Revoked::NAMED_MAX`] of them.
    pub ids: Vec<SessionId>,
}

impl Revoked {
    /// How many ids an answer names.
    pub const NAMED_MAX: usize = 1_000;
}

/// A session with what a list shows beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    /// The session.
    pub session: Session,
    /// The user's e-mail address.
    pub user_email: String,
    /// How the user is addressed.
    pub user_display_name: Option<String>,
    /// How many applications it was used with.
    pub app_count: u32,
}

/// An application that a session was used with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionApp {
    /// Which.
    pub application_id: ApplicationId,
    /// Its name.
    pub application_name: String,
    /// When it was last used in the session.
    pub accessed_at: Timestamp,
}

/// Figures about a tenant's sessions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionStats {
    /// Active sessions now.
    pub active_sessions: u64,
    /// Users with at least one of them.
    pub active_users: u64,
    /// Sessions begun in the last 24 hours.
    pub created_last_24h: u64,
    /// Sessions ended in the last 24 hours, by how.
    pub ended_last_24h: Vec<(EndReason, u64)>,
    /// Active sessions by device.
    pub by_device: Vec<(DeviceKind, u64)>,
    /// Active sessions by application.
    pub by_application: Vec<(ApplicationId, String, u64)>,
    /// Sessions begun in each of the last 168 hours, oldest first.
    pub logins: Vec<(Timestamp, u64)>,
    /// Sessions active at the end of each of these hours; the last one is now.
    pub active: Vec<(Timestamp, u64)>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        authz::SystemReason,
        settings::{Bounded, Defaults, TenantSettings},
        time::{DAY, HOUR},
    };

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000_000);

    fn policy(idle_minutes: Option<u64>) -> Policy {
        TenantSettings {
            session_idle_minutes: idle_minutes.map(|n| Bounded::new(n).unwrap()),
            ..TenantSettings::default()
        }
        .policy(&Defaults {
            access_token_minutes: Bounded::new(15).unwrap(),
            refresh_token_days: Bounded::new(7).unwrap(),
        })
    }

    fn session(policy: &Policy, administers: bool) -> Session {
        let new = NewSession {
            id: SessionId::from_parts(1, [0; 10]),
            tenant_id: TenantId::from_parts(1, [0; 10]),
            partner_id: PartnerId::from_parts(1, [0; 10]),
            user_id: UserId::from_parts(1, [0; 10]),
            administers,
            client: Client {
                ip: None,
                user_agent: None,
                device: Device { kind: DeviceKind::Unknown, name: None },
                location: None,
            },
            auth_methods: vec![AuthMethod::Password],
            refresh_hash: TokenHash::new([0; 32]),
        };
        Session::start(new, policy, NOW).into_parts().0
    }

    fn rotate(session: Session, policy: &Policy, at: Timestamp) -> Session {
        session.rotate(Successor { hash: TokenHash::new([1; 32]), replay: None }, policy, at).into_parts().0
    }

    #[test]
    fn expiry_slides_with_each_rotation_up_to_the_absolute_limit() {
        let policy = policy(None);
        let mut session = session(&policy, false);
        assert_eq!(session.expires_at, NOW.plus(DAY * 7));
        for day in [5, 10, 15, 20, 24, 29] {
            session = rotate(session, &policy, NOW.plus(DAY * day));
            assert_eq!(session.expires_at, NOW.plus(DAY * Ord::min(day + 7, 30)));
        }
    }

    #[test]
    fn session_that_may_administer_lasts_a_day_and_an_idle_hour() {
        let policy = policy(None);
        let session = session(&policy, true);
        assert_eq!(session.expires_at, NOW.plus(DAY));
        assert_eq!(session.ends_at(), NOW.plus(HOUR + ACTIVITY_LAG));
    }

    #[test]
    fn idle_timeout_ends_a_session_before_its_expiry_but_never_early() {
        let session = session(&policy(Some(5)), false);
        let deadline = NOW.plus(Duration::from_secs(300) + ACTIVITY_LAG);
        assert_eq!(session.status(deadline.minus(Duration::from_micros(1))), SessionStatus::Active);
        assert_eq!(session.status(deadline), SessionStatus::Expired);
    }

    #[test]
    fn rotation_counts_as_activity_and_keeps_the_id() {
        let policy = policy(Some(5));
        let before = session(&policy, false);
        let after = rotate(before.clone(), &policy, NOW.plus(HOUR));
        assert_eq!((after.id, after.last_activity_at, after.chain.generation), (before.id, NOW.plus(HOUR), 1));
    }

    #[test]
    fn ended_session_cannot_be_ended_again() {
        let by = By::system(SystemReason::Job);
        let policy = policy(None);
        let ended = session(&policy, false).revoke(EndReason::Admin, &by, NOW).unwrap().into_parts().0;
        assert_eq!(ended.status(NOW), SessionStatus::Revoked);
        assert_eq!(ended.revoke(EndReason::Admin, &by, NOW).unwrap_err(), AlreadyEnded);
        assert_eq!(session(&policy, false).revoke(EndReason::Admin, &by, NOW.plus(DAY * 8)).unwrap_err(), AlreadyEnded);
    }

    #[test]
    fn reuse_is_named_in_the_event() {
        let by = By::system(SystemReason::Authentication);
        let changed = session(&policy(None), false).revoke(EndReason::ReuseDetected, &by, NOW).unwrap();
        let (_, event) = changed.into_parts();
        assert_eq!((event.action, event.reason), (Action::SessionRefreshReuseDetected, Some("reuse_detected")));
    }
}
