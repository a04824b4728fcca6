//! Sessions of an application's own: they outlive signing out of the browser (OpenID Connect Core 1.0, section 11).

use std::time::Duration;

use crate::{
    audit::Fields,
    change::Changed,
    id::{ApplicationId, SessionId},
    refresh::Chain,
    secret::TokenHash,
    settings::Policy,
    time::Timestamp,
};

use super::{Client, Refreshes, Session, SessionKind};

/// What is needed to begin a session of an application's own.
#[derive(Debug)]
pub struct NewOwnSession<'a> {
    /// The id to be.
    pub id: SessionId,
    /// Whether it is [`SessionKind::Offline`] or [`SessionKind::Device`].
    pub kind: SessionKind,
    /// The application.
    pub application_id: ApplicationId,
    /// The session in which its user agreed.
    pub from: &'a Session,
    /// Whether the user holds any role, which makes the session shorter.
    pub administers: bool,
    /// Where the application is.
    pub client: Client,
    /// How long it may do without its refresh tokens.
    pub idle: Duration,
    /// A digest of bits that nobody has: the refresh tokens of the application are those of its family.
    pub refresh_hash: TokenHash,
}

impl SessionKind {
    /// Whether it is an application's own.
    #[must_use]
    pub const fn is_own(self) -> bool {
        matches!(self, Self::Offline | Self::Device)
    }
}

impl Session {
    /// Begins a session of an application's own.
    pub fn start_own(new: NewOwnSession<'_>, policy: &Policy, now: Timestamp) -> Changed<Self> {
        let max_expires_at = now.plus(policy.offline_lifetime_for(new.administers));
        // For somebody with a role it idles no longer than any of theirs; the tenant's idle time is for people.
        let of_role = new.administers.then(|| policy.idle_for(true)).flatten();
        let session = Self {
            id: new.id,
            tenant_id: new.from.tenant_id,
            partner_id: new.from.partner_id,
            user_id: new.from.user_id,
            kind: new.kind,
            application_id: Some(new.application_id),
            cookie: None,
            client: new.client,
            auth_methods: new.from.auth_methods.clone(),
            authenticated_at: new.from.authenticated_at,
            created_at: now,
            last_activity_at: now,
            expires_at: max_expires_at,
            max_expires_at,
            refresh: new.idle,
            idle: of_role.into_iter().chain([new.idle]).min(),
            ended: None,
            chain: Chain { generation: 0, current: new.refresh_hash, rotated_at: now, replay: None },
            refreshes: Refreshes::default(),
        };
        let mut fields = Fields::default();
        fields.set("kind", session.kind).set("application_id", new.application_id);
        session.created(fields)
    }
}
