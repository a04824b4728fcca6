//! Authorization codes (RFC 6749, section 4.1.2): what a browser carries from us to the application.

use std::time::Duration;

use crate::{
    application::{Application, Owner, Profile},
    authz::TenantRef,
    id::{ApplicationId, FamilyId, SessionId},
    key::Issuer,
    oauth::{Audience, AuthorizationRequest, Challenge, ClaimsRequest, Scopes, Thumbprint},
    secret::TokenHash,
    session::Session,
    time::{HOUR, MINUTE, Timestamp},
};

/// How long a code can be exchanged.
pub const CODE_LIFETIME: Duration = MINUTE;
/// How long a code is remembered, so that a second use is noticed.
pub const CODE_REMEMBERED: Duration = HOUR;

/// A code that was issued, and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationCode {
    /// What is kept of it.
    pub hash: TokenHash,
    /// The tenant.
    pub tenant: TenantRef,
    /// The session that it was issued in.
    pub session_id: SessionId,
    /// The application that it was issued to.
    pub application_id: ApplicationId,
    /// Whose that application is.
    pub owner: Owner,
    /// The family that it is exchanged for.
    pub family_id: FamilyId,
    /// Where it was sent.
    pub redirect_uri: String,
    /// What the verifier is held against, if the request had a challenge.
    pub challenge: Option<Challenge>,
    /// The key that whoever exchanges it has to hold, if the request named one (RFC 9449, section 10).
    pub dpop_jkt: Option<Thumbprint>,
    /// What the ID token repeats.
    pub nonce: Option<String>,
    /// What the user grants.
    pub scopes: Scopes,
    /// Single claims besides.
    pub claims: ClaimsRequest,
    /// Whom the access tokens are for.
    pub audience: Audience,
    /// When the user last proved to be who they are.
    pub auth_time: Timestamp,
    /// When it was issued.
    pub created_at: Timestamp,
    /// When it was exchanged.
    pub spent_at: Option<Timestamp>,
}

/// What is needed to issue a code.
#[derive(Debug)]
pub struct NewCode<'a> {
    /// What is kept of it.
    pub hash: TokenHash,
    /// The family that it will be exchanged for.
    pub family_id: FamilyId,
    /// The session in which it is issued.
    pub session: &'a Session,
    /// The application that asks.
    pub application: &'a Application,
    /// What it asks for.
    pub request: &'a AuthorizationRequest,
}

/// What an application shows with a code. The application has proved who it is.
#[derive(Debug, Clone, Copy)]
pub struct Redeemed<'a> {
    /// The application.
    pub application: &'a Application,
    /// Where it says that it was sent.
    pub redirect_uri: Option<&'a str>,
    /// The challenge that its verifier gives.
    pub challenge: Option<&'a Challenge>,
    /// The key that it proves to hold.
    pub key: Option<&'a Thumbprint>,
}

/// What becomes of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeVerdict {
    /// It is exchanged.
    Exchange,
    /// It was exchanged before, and whoever shows it now could have done so: it was stolen (RFC 6749, section 10.5).
    Replayed,
    /// It is not for this use; why, in words.
    Invalid(&'static str),
}

impl AuthorizationCode {
    /// Issues a code.
    #[must_use]
    pub fn issue(new: &NewCode<'_>, now: Timestamp) -> Self {
        let NewCode { hash, family_id, session, application, request } = *new;
        Self {
            hash,
            tenant: session.tenant(),
            session_id: session.id,
            application_id: application.id,
            owner: application.owner,
            family_id,
            redirect_uri: request.destination.redirect_uri.clone(),
            challenge: request.challenge.clone(),
            dpop_jkt: request.dpop_jkt.clone(),
            nonce: request.nonce.clone(),
            scopes: request.scopes.clone(),
            claims: request.claims.clone(),
            audience: Audience::of(application, request.resource.as_deref(), &request.scopes),
            auth_time: session.authenticated_at,
            created_at: now,
            spent_at: None,
        }
    }

    /// Whether an issuer issued it.
    #[must_use]
    pub fn is_at(&self, issuer: Issuer) -> bool {
        match issuer {
            Issuer::Platform => self.owner == Owner::Platform,
            Issuer::Tenant(tenant) => self.owner != Owner::Platform && self.tenant.id == tenant.id,
        }
    }

    /// Judges a use. Nothing that is wrong about it ends anything: only who shows all that is right may have stolen it.
    #[must_use]
    pub fn judge(&self, shown: &Redeemed<'_>, now: Timestamp) -> CodeVerdict {
        if shown.application.id != self.application_id {
            return CodeVerdict::Invalid("the code was issued to another application");
        }
        match (&self.challenge, shown.challenge) {
            (Some(asked), Some(shown)) if asked == shown => {}
            (None, None) => {}
            (Some(_), None) => return CodeVerdict::Invalid("code_verifier is missing"),
            (None, Some(_)) => return CodeVerdict::Invalid("the authorization request had no code_challenge"),
            (Some(_), Some(_)) => return CodeVerdict::Invalid("code_verifier does not match the code_challenge"),
        }
        if self.dpop_jkt.is_some() && shown.key != self.dpop_jkt.as_ref() {
            return CodeVerdict::Invalid("the request named another key than the DPoP proof is signed with");
        }
        // It has not been asked for by the rules of the profile, or may not have been.
        let Application { metadata, updated_at, .. } = shown.application;
        if metadata.profile == Profile::Fapi2 && *updated_at > self.created_at {
            return CodeVerdict::Invalid("the application was changed after the code was issued");
        }
        match shown.redirect_uri {
            Some(uri) if uri == self.redirect_uri => {}
            None if self.challenge.is_some() => {}
            Some(_) => return CodeVerdict::Invalid("redirect_uri is not that of the authorization request"),
            None => return CodeVerdict::Invalid("redirect_uri is missing"),
        }
        match self.spent_at {
            Some(_) => CodeVerdict::Replayed,
            None if now >= self.created_at.plus(CODE_LIFETIME) => CodeVerdict::Invalid("the code has expired"),
            None => CodeVerdict::Exchange,
        }
    }
}
