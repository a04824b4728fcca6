//! Families: what a code was exchanged for, a chain of refresh tokens and the access tokens made with it.

use std::time::Duration;

use crate::{
    application::{Application, Owner},
    audit::{Action, Fields, Resource, ResourceKind, UNRECORDED},
    authz::{By, TenantRef},
    change::Changed,
    id::{ApplicationId, FamilyId, SessionId},
    oauth::{Audience, ClaimsRequest, Scopes, Thumbprint},
    refresh::Chain,
    secret::TokenHash,
    session::{EndReason, Refreshes, Session, Successor},
    settings::Policy,
    time::Timestamp,
    word::words,
};

/// How many families of one application live in one session; the oldest ends when there is one more.
pub const FAMILIES_MAX: u64 = 10;

words! {
    /// How a family ended.
    FamilyEnd {
        /// One of its refresh tokens was used twice.
        ReuseDetected = "reuse_detected",
        /// Its code was used twice.
        CodeReplayed = "code_replayed",
        /// Its user took back what the application was let have.
        ConsentWithdrawn = "consent_withdrawn",
        /// Every token of its application was ended.
        ApplicationRevoked = "application_revoked",
        /// Its application gave it back.
        Revoked = "revoked",
        /// There were more of its application in its session than may be.
        Limit = "limit",
    }
}

impl FamilyEnd {
    /// How the session ends that an application had for the family alone.
    #[must_use]
    pub const fn of_own_session(self) -> EndReason {
        match self {
            Self::ReuseDetected | Self::CodeReplayed => EndReason::ReuseDetected,
            Self::ConsentWithdrawn => EndReason::User,
            Self::ApplicationRevoked => EndReason::Admin,
            Self::Revoked => EndReason::Logout,
            Self::Limit => EndReason::SessionLimit,
        }
    }
}

/// What a code was exchanged for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFamily {
    /// Its id.
    pub id: FamilyId,
    /// The tenant.
    pub tenant: TenantRef,
    /// The session that it is under: it works for as long as that.
    pub session_id: SessionId,
    /// The session that somebody signed in to, which ID tokens name: another one where the application has a session of
    /// its own.
    pub sid: SessionId,
    /// The application that has its tokens.
    pub application_id: ApplicationId,
    /// Whose that application is.
    pub owner: Owner,
    /// What the user granted.
    pub scopes: Scopes,
    /// Single claims besides.
    pub claims: ClaimsRequest,
    /// Whom its access tokens are for.
    pub audience: Audience,
    /// When the user had last proved to be who they are.
    pub auth_time: Timestamp,
    /// The key that its first tokens were bound to (RFC 9449), if they were: all that follow are bound, too.
    pub dpop_jkt: Option<Thumbprint>,
    /// Its refresh tokens.
    pub chain: Chain,
    /// How often it was refreshed of late.
    pub refreshes: Refreshes,
    /// When its refresh token expires.
    pub expires_at: Timestamp,
    /// When it began.
    pub created_at: Timestamp,
    /// Its end, if it has come to one.
    pub ended: Option<(Timestamp, FamilyEnd)>,
}

/// What is needed to begin a family.
#[derive(Debug)]
pub struct NewFamily<'a> {
    /// The id to be.
    pub id: FamilyId,
    /// The session that somebody signed in to.
    pub sid: SessionId,
    /// What the user granted.
    pub scopes: &'a Scopes,
    /// Single claims besides.
    pub claims: &'a ClaimsRequest,
    /// Whom its access tokens are for.
    pub audience: &'a Audience,
    /// The session that it is to be under: that of the code, or one of the application's own.
    pub session: &'a Session,
    /// The application.
    pub application: &'a Application,
    /// When the user had last proved to be who they are.
    pub auth_time: Timestamp,
    /// The key that its first tokens are bound to.
    pub dpop_jkt: Option<&'a Thumbprint>,
    /// The digest of the first refresh token.
    pub refresh_hash: TokenHash,
}

impl TokenFamily {
    /// How long each of its refresh tokens lives: as its tenant decides, or as its application asks for less.
    #[must_use]
    pub fn lifetime(application: &Application, policy: &Policy) -> Duration {
        let asked = application.metadata.refresh_token_lifetime.map(|it| Duration::from_secs(u64::from(it.get())));
        asked.into_iter().chain([policy.refresh_token_lifetime]).min().unwrap_or_default()
    }

    pub(crate) fn resource(&self) -> Resource {
        let resource = Resource::of(ResourceKind::TokenFamily, self.id.uuid());
        resource.in_tenant(self.tenant.partner_id, self.tenant.id)
    }

    /// Begins a family.
    pub fn start(new: &NewFamily<'_>, policy: &Policy, now: Timestamp) -> Changed<Self> {
        let &NewFamily { id, sid, scopes, claims, audience, session, application, auth_time, dpop_jkt, refresh_hash } =
            new;
        let family = Self {
            id,
            tenant: session.tenant(),
            session_id: session.id,
            sid,
            application_id: application.id,
            owner: application.owner,
            scopes: scopes.clone(),
            claims: claims.clone(),
            audience: audience.clone(),
            auth_time,
            dpop_jkt: dpop_jkt.cloned(),
            chain: Chain { generation: 0, current: refresh_hash, rotated_at: now, replay: None },
            refreshes: Refreshes::default(),
            expires_at: Ord::min(now.plus(Self::lifetime(application, policy)), session.max_expires_at),
            created_at: now,
            ended: None,
        };
        let mut fields = Fields::default();
        fields.set("application_id", application.id).set("session_id", session.id);
        fields.set("scope", family.scopes.to_string()).set("audience", family.audience.to_string());
        let resource = family.resource();
        let by = By::oneself(session.user_id, Some(session.id));
        Changed::new(family, Action::TokenFamilyCreated, resource, &by).with(fields)
    }

    /// Whether its tokens may be used, as far as it decides itself: its session must last besides.
    #[must_use]
    pub const fn stands(&self) -> bool {
        self.ended.is_none()
    }

    /// Whether its refresh token may be used by who proves to hold a key, or none. Public applications show nothing else:
    /// theirs has to be the same. Others prove who they are besides, and may have a new one (RFC 9449, section 5).
    #[must_use]
    pub fn counts_with(&self, key: Option<&Thumbprint>, application: &Application) -> bool {
        self.dpop_jkt.is_none()
            || key.is_some() && (application.kind.is_confidential() || key == self.dpop_jkt.as_ref())
    }

    /// Binds it to the key that a refresh proves, if it has none yet: from then on it counts with a proof only.
    #[must_use]
    pub fn bound_to(self, key: Option<&Thumbprint>) -> Self {
        Self { dpop_jkt: self.dpop_jkt.or_else(|| key.cloned()), ..self }
    }

    /// Exchanges its current refresh token; without a successor that one stays. The caller has judged the presented one. The
    /// event is for the trail if the refresh is the first of a minute.
    pub fn rotate(
        self,
        successor: Option<Successor>,
        session: &Session,
        application: &Application,
        policy: &Policy,
        now: Timestamp,
    ) -> Changed<Self> {
        let resource = self.resource();
        let next = Self {
            expires_at: Ord::min(now.plus(Self::lifetime(application, policy)), session.max_expires_at),
            chain: match successor {
                Some(Successor { hash: current, replay }) => {
                    Chain { generation: self.chain.generation + 1, current, rotated_at: now, replay }
                }
                None => self.chain,
            },
            refreshes: self.refreshes.next(now),
            ..self
        };
        let mut fields = Fields::default();
        if self.refreshes.unrecorded() > 0 {
            fields.set(UNRECORDED, self.refreshes.unrecorded());
        }
        let by = By::oneself(session.user_id, Some(session.id));
        Changed::new(next, Action::TokenFamilyRefreshed, resource, &by).with(fields)
    }

    /// Ends it. Nothing is to be done where it has ended already.
    #[must_use]
    pub fn end(self, how: FamilyEnd, by: &By, now: Timestamp) -> Option<Changed<Self>> {
        if !self.stands() {
            return None;
        }
        let action = match how {
            FamilyEnd::ReuseDetected => Action::TokenFamilyReuseDetected,
            FamilyEnd::CodeReplayed => Action::TokenFamilyCodeReplayed,
            FamilyEnd::ApplicationRevoked | FamilyEnd::ConsentWithdrawn | FamilyEnd::Revoked | FamilyEnd::Limit => {
                Action::TokenFamilyRevoked
            }
        };
        let mut fields = Fields::default();
        fields.set("application_id", self.application_id).set("session_id", self.session_id);
        let resource = self.resource();
        let next = Self { ended: Some((now, how)), ..self };
        Some(Changed::new(next, action, resource, by).with(fields).because(how.as_str()))
    }
}
