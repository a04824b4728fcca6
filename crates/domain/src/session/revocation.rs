//! Ending many sessions at once.

use crate::{
    application::Owner,
    audit::{Action, Event, Fields, Resource, ResourceKind},
    authz::{By, TenantRef},
    id::{ApplicationId, PartnerId, SessionId, UserId},
};

use super::{EndReason, Session};

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
    /// Those that an application has of its own for a user.
    OwnFor(TenantRef, UserId, ApplicationId),
    /// Those that an application has of its own.
    OwnOf(Owner, ApplicationId),
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
    /// The end of every session below something that is no longer to be used.
    pub(crate) const fn below(target: RevokeTarget, reason: EndReason, by: &By) -> Self {
        Self { target, except: None, reason, by: *by }
    }

    /// The event, once it is known how many sessions ended.
    #[must_use]
    pub fn event(&self, ended: u64) -> Event {
        let resource = match &self.target {
            RevokeTarget::User(tenant, user)
            | RevokeTarget::Named(tenant, user, _)
            | RevokeTarget::OwnFor(tenant, user, _) => {
                Resource::of(ResourceKind::User, user.uuid()).in_tenant(tenant.partner_id, tenant.id)
            }
            RevokeTarget::Tenant(tenant) => {
                Resource::of(ResourceKind::Tenant, tenant.id.uuid()).in_tenant(tenant.partner_id, tenant.id)
            }
            RevokeTarget::Partner(partner) => Resource::of(ResourceKind::Partner, partner.uuid()).in_partner(*partner),
            RevokeTarget::OwnOf(owner, id) => owner.resource(*id),
        };
        bulk(Action::SessionRevokedAll, resource, self.by, Some(self.reason.as_str()), ended)
    }
}

pub(super) fn bulk(action: Action, resource: Resource, by: By, reason: Option<&'static str>, count: u64) -> Event {
    let mut fields = Fields::default();
    fields.set("session_count", count);
    Event { action, resource, by, failure: None, reason, fields }
}

const fn session_set(tenant: TenantRef) -> Resource {
    Resource::set(ResourceKind::Session).in_tenant(tenant.partner_id, tenant.id)
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

/// What ending sessions touches. Every session has one chain of refresh tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Effects {
    /// How many users are signed out somewhere.
    pub users: u64,
    /// How many sessions end.
    pub sessions: u64,
    /// How many applications these were used with.
    pub applications: u64,
}

/// A session that has ended, as those are told who have to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedSession {
    /// Its id.
    pub id: SessionId,
    /// The tenant of its user.
    pub tenant: TenantRef,
    /// Its user.
    pub user: UserId,
    /// How it ended.
    pub reason: EndReason,
}

impl EndedSession {
    /// The same of a session; none while it has not ended.
    #[must_use]
    pub fn of(session: &Session) -> Option<Self> {
        let reason = session.ended?.reason;
        Some(Self { id: session.id, tenant: session.tenant(), user: session.user_id, reason })
    }
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

    /// Adds more that ended.
    pub fn add(&mut self, ended: &[EndedSession]) {
        self.count += ended.len() as u64;
        let room = Self::NAMED_MAX.saturating_sub(self.ids.len());
        self.ids.extend(ended.iter().take(room).map(|session| session.id));
    }
}
