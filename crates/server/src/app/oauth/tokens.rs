//! The token endpoint (RFC 6749, section 3.2): codes are exchanged for tokens here, refresh tokens in `refresh.rs`, and what
//! applications get in their own name in `client_credentials.rs`.
//!
//! An exchange of a code takes five statements: the code with its session, user and roles is read, judged by the domain,
//! and spent, and a family begins, with its audit event; six with a session of its own. A refresh takes three, a token of an application of its own at
//! most two, once a minute.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gatehouse_domain::{
    application::{Application, GrantType},
    authz::{By, SystemReason},
    change::Changed,
    oauth::{
        AuthorizationCode, Challenge, CodeVerdict, ErrorCode, FamilyEnd, NewFamily, OFFLINE_ACCESS, Params, Redeemed,
        TokenFamily, Verifier,
    },
    session::{Session, SessionKind, SessionStatus},
    settings::Policy,
    time::Timestamp,
    user::UserStatus,
    word::Word,
};
use gatehouse_persistence::{Error as Storage, Exchanged, SessionState, TenantFacts, WriteTx};

use crate::{
    app::{
        Error, Result,
        directory::issuers::IssuerFacts,
        oauth::{
            NotGiven, TokenEndpoint,
            issue::{Issued, Of, OfUser},
            key_proof::{self, KeyProof},
            own_session::Beginning,
        },
        request::client::RequestMeta,
    },
    security::{dpop::Sent, opaque_token},
};

pub(super) const AUTH: SystemReason = SystemReason::Authentication;
/// How often a race is lost before giving up; each loss means that somebody else changed what is exchanged.
pub(super) const ROUNDS: usize = 5;

/// A request of an application that has proved who it is.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) at: &'a IssuerFacts,
    pub(super) application: &'a Arc<Application>,
    pub(super) params: &'a Params,
    /// The proof of the key that the tokens are to be bound to.
    pub(super) proof: Option<&'a KeyProof>,
    pub(super) meta: &'a RequestMeta,
}

impl TokenEndpoint<'_> {
    /// Exchanges what a request shows, of an application that has proved who it is; `sent` is the proof of a key, if it has
    /// one.
    ///
    /// # Errors
    /// What the application is told (RFC 6749, section 5.2).
    pub async fn exchange(
        &self,
        at: &IssuerFacts,
        application: &Arc<Application>,
        params: &Params,
        sent: Option<&Sent<'_>>,
        meta: &RequestMeta,
    ) -> Result<Issued, NotGiven> {
        let grant =
            params.get("grant_type").ok_or(NotGiven::fault(ErrorCode::InvalidRequest, "grant_type is missing"))?;
        let unsupported = NotGiven::fault(ErrorCode::UnsupportedGrantType, "there is no such grant here");
        let grant = GrantType::from_word(grant).map_err(|_| unsupported)?;
        if !application.metadata.grant_types.contains(&grant) {
            return Err(NotGiven::fault(ErrorCode::UnauthorizedClient, "the application does not use this grant"));
        }
        let proof = KeyProof::read(application, sent, self.env.now())?;
        if proof.is_none() && application.metadata.dpop_bound_access_tokens {
            return Err(key_proof::MISSING);
        }
        let asking = &Asking { at, application, params, proof: proof.as_ref(), meta };
        match grant {
            GrantType::AuthorizationCode => self.code(asking).await,
            GrantType::ClientCredentials => self.client_credentials(asking).await,
            GrantType::DeviceCode => self.device(asking).await,
            GrantType::TokenExchange => self.exchange_token(asking).await,
            GrantType::RefreshToken => self.refresh(asking).await,
        }
    }

    async fn code(&self, asking: &Asking<'_>) -> Result<Issued, NotGiven> {
        let &Asking { at, application, params, proof, meta } = asking;
        let missing = NotGiven::fault(ErrorCode::InvalidRequest, "code is missing");
        let text = params.get("code").ok_or(missing)?;
        let unknown = || NotGiven::invalid_grant("the code is none of ours");
        let hash = opaque_token::read_code(self.keyring, text).ok_or_else(unknown)?;
        let challenge = match params.get("code_verifier") {
            Some(text) => Some(challenge(text).ok_or(NotGiven::invalid_grant("code_verifier has a wrong form"))?),
            None => None,
        };
        let (redirect_uri, challenge) = (params.get("redirect_uri"), challenge.as_ref());
        let key = proof.map(KeyProof::key);
        let shown = Redeemed { application, redirect_uri, challenge, key };
        for _ in 0..ROUNDS {
            let now = self.env.now();
            let found = self.db.system(AUTH).code_state(hash, now).await?;
            let (code, state) = found.filter(|(code, _)| code.is_at(at.issuer())).ok_or_else(unknown)?;
            match code.judge(&shown, now) {
                CodeVerdict::Exchange => {}
                CodeVerdict::Invalid(why) => return Err(NotGiven::invalid_grant(why)),
                CodeVerdict::Replayed => return Err(self.replayed(&code, meta).await),
            }
            code.audience.agrees(params).map_err(NotGiven::Fault)?;
            let home = self.home(at, &state, now).await?;
            let policy = home.layers().policy(self.defaults);
            if let Some(issued) = Box::pin(self.redeem(asking, &policy, &code, &state, now)).await? {
                return Ok(issued);
            }
        }
        Err(NotGiven::invalid_grant("the code is being used"))
    }

    /// The first tokens for a code; none if it has been spent meanwhile, or its session or user have changed.
    async fn redeem(
        &self,
        asking: &Asking<'_>,
        policy: &Policy,
        code: &AuthorizationCode,
        state: &SessionState,
        now: Timestamp,
    ) -> Result<Option<Issued>, NotGiven> {
        let &Asking { at, application, proof, meta, .. } = asking;
        let scopes = self.clients.still_allowed(at, application, &code.audience, &code.scopes).await?;
        let own = scopes
            .has(OFFLINE_ACCESS)
            .then(|| self.own_session(SessionKind::Offline, application, state, policy, meta, now));
        let under = own.as_ref().map_or(&state.session, Changed::value);
        let refresh = opaque_token::mint_of_family(self.keyring, self.env, code.family_id, 0);
        let new = NewFamily {
            id: code.family_id,
            sid: code.session_id,
            scopes: &code.scopes,
            claims: &code.claims,
            audience: &code.audience,
            session: under,
            application,
            auth_time: code.auth_time,
            dpop_jkt: proof.map(KeyProof::key),
            refresh_hash: refresh.hash,
        };
        let family = TokenFamily::start(&new, policy, now);
        let of = Of { at, application, policy, audience: &code.audience, scopes, proof };
        let user = OfUser {
            state,
            session: under,
            family: family.value(),
            nonce: code.nonce.as_deref(),
            refresh_token: Some(&refresh.text),
        };
        let issued = self.issue(&of, &user, meta, now).await?;
        let hash = code.hash;
        let is_stored = match own {
            None => {
                let session = state.session.clone();
                let work = async move |tx: &WriteTx<'_>| {
                    Ok::<_, Error>(tx.system(AUTH).exchange_code(hash, &session, family.clone()).await?)
                };
                self.db.write(meta.ctx.clone(), work).await?
            }
            Some(session) => {
                self.begin_own(
                    Beginning { session, family, application, state, policy, exchanged: Exchanged::Code(hash) },
                    meta,
                )
                .await?
            }
        };
        Ok(is_stored.then_some(issued))
    }

    /// Ends what a code was exchanged for that is shown again.
    async fn replayed(&self, code: &AuthorizationCode, meta: &RequestMeta) -> NotGiven {
        let id = code.family_id;
        let request_id = meta.ctx.request_id.as_deref();
        tracing::warn!(request_id, tenant_id = %code.tenant.id, family_id = %id, "an authorization code was used twice: its tokens end");
        let end = async || {
            let Some((family, state)) = self.db.system(AUTH).family_state(id, self.env.now()).await? else {
                return Ok(());
            };
            self.end(family, state.session, FamilyEnd::CodeReplayed, None, meta).await
        };
        match end().await {
            Ok(()) => NotGiven::invalid_grant("the code has been used"),
            Err(error) => error.into(),
        }
    }

    /// Ends a family, for whoever asks, else for Gatehouse itself, and its session if that is for it alone. That another end
    /// came first makes no difference.
    pub(super) async fn end(
        &self,
        family: TokenFamily,
        session: Session,
        how: FamilyEnd,
        by: Option<By>,
        meta: &RequestMeta,
    ) -> Result<()> {
        let work = async move |tx: &WriteTx<'_>| {
            let (system, now) = (tx.system(AUTH), tx.now());
            let by = by.unwrap_or_else(|| system.by());
            let Some(ended) = family.clone().end(how, &by, now) else { return Ok(()) };
            let stored = if session.kind.is_own() {
                let Ok(session) = session.clone().revoke(how.of_own_session(), &by, now) else { return Ok(()) };
                system.end_own(session, ended).await
            } else {
                system.end_family(ended).await.map(drop)
            };
            match stored {
                Ok(()) | Err(Storage::Stale) => Ok(()),
                Err(error) => Err(Error::from(error)),
            }
        };
        self.db.write(meta.ctx.clone(), work).await
    }

    /// The tenant of the session of a code or a family, if that can be used at this issuer.
    pub(super) async fn home(
        &self,
        at: &IssuerFacts,
        state: &SessionState,
        now: Timestamp,
    ) -> Result<Arc<TenantFacts>, NotGiven> {
        let home = self.states.home(at, state.session.tenant_id).await?;
        let lasts = state.session.status(now) == SessionStatus::Active && state.user.status == UserStatus::Active;
        home.filter(|home| lasts && home.is_active()).ok_or(NotGiven::invalid_grant("the session has ended"))
    }
}

/// The challenge that a verifier gives (RFC 7636, section 4.6).
fn challenge(verifier: &str) -> Option<Challenge> {
    let verifier = Verifier::new(verifier)?;
    Challenge::new(&URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.expose().as_bytes())))
}
