//! The token endpoint (RFC 6749, sections 4.1.3 and 6): codes and refresh tokens are exchanged for tokens.
//!
//! An exchange of a code takes five statements: the code with its session, user and roles is read, judged by the domain,
//! and spent, and a family begins, with its audit event. A refresh takes three.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gatehouse_domain::{
    application::{Application, GrantType, ResourceUri},
    audit::Refused,
    authz::SystemReason,
    id::FamilyId,
    issue::Parse,
    oauth::{
        AuthorizationCode, Challenge, CodeVerdict, ErrorCode, FamilyEnd, NewFamily, Params, Redeemed, Scopes,
        TokenFamily, Verifier,
    },
    refresh::{ReuseRules, Verdict},
    session::{SessionStatus, Successor},
    settings::RefreshReuse,
    time::Timestamp,
    user::UserStatus,
    word::Word,
};
use gatehouse_persistence::{Error as Storage, SessionState, TenantFacts, WriteTx};

use crate::{
    app::{
        Error, Result,
        attempts::pass,
        oauth::{
            NotGiven, TokenEndpoint,
            issue::{Issued, Of},
        },
        request::client::RequestMeta,
    },
    measure,
    security::{
        keyring::{open_for_holder, seal_for_holder},
        opaque_token,
    },
};

const AUTH: SystemReason = SystemReason::Authentication;
/// How often a race is lost before giving up; each loss means that somebody else changed the family.
const ROUNDS: usize = 5;

impl TokenEndpoint<'_> {
    /// Exchanges what a request shows, of an application that has proved who it is.
    ///
    /// # Errors
    /// What the application is told (RFC 6749, section 5.2).
    pub async fn exchange(
        &self,
        facts: &TenantFacts,
        application: &Application,
        params: &Params,
        meta: &RequestMeta,
    ) -> Result<Issued, NotGiven> {
        let grant =
            params.get("grant_type").ok_or(NotGiven::fault(ErrorCode::InvalidRequest, "grant_type is missing"))?;
        let grant = GrantType::from_word(grant)
            .ok()
            .filter(|grant| matches!(grant, GrantType::AuthorizationCode | GrantType::RefreshToken))
            .ok_or(NotGiven::fault(ErrorCode::UnsupportedGrantType, "there is no such grant here"))?;
        if !application.metadata.grant_types.contains(&grant) {
            return Err(NotGiven::fault(ErrorCode::UnauthorizedClient, "the application does not use this grant"));
        }
        match grant {
            GrantType::AuthorizationCode => self.code(facts, application, params, meta).await,
            _ => self.refresh(facts, application, params, meta).await,
        }
    }

    async fn code(
        &self,
        facts: &TenantFacts,
        application: &Application,
        params: &Params,
        meta: &RequestMeta,
    ) -> Result<Issued, NotGiven> {
        let missing = NotGiven::fault(ErrorCode::InvalidRequest, "code is missing");
        let text = params.get("code").ok_or(missing)?;
        let unknown = || NotGiven::invalid_grant("the code is none of ours");
        let hash = opaque_token::read_code(self.keyring, text).ok_or_else(unknown)?;
        let challenge = match params.get("code_verifier") {
            Some(text) => Some(challenge(text).ok_or(NotGiven::invalid_grant("code_verifier has a wrong form"))?),
            None => None,
        };
        let now = self.env.now();
        let (code, state) = self.db.system(AUTH).code_state(hash, now).await?.ok_or_else(unknown)?;
        let shown = Redeemed { application, redirect_uri: params.get("redirect_uri"), challenge: challenge.as_ref() };
        match code.judge(&shown, now) {
            CodeVerdict::Exchange => {}
            CodeVerdict::Invalid(why) => return Err(NotGiven::invalid_grant(why)),
            CodeVerdict::Replayed => return Err(self.replayed(&code, meta).await),
        }
        same_resource(params, &code.audience)?;
        self.lasts(facts, &state, now)?;
        let scopes = self.clients.still_allowed(facts, application, &code.audience, &code.scopes).await?;
        let policy = facts.layers().policy(self.defaults);
        let refresh = opaque_token::mint_of_family(self.keyring, self.env, code.family_id, 0);
        let new = NewFamily { code: &code, session: &state.session, application, refresh_hash: refresh.hash };
        let family = TokenFamily::start(&new, &policy, now);
        let of = Of {
            facts,
            application,
            state: &state,
            policy: &policy,
            family: code.family_id,
            audience: &code.audience,
            auth_time: code.auth_time,
            scopes,
            nonce: code.nonce.as_deref(),
            refresh_token: Some(&refresh.text),
        };
        let issued = self.issue(of, meta, now).await?;
        let work = async move |tx: &WriteTx<'_>| {
            let system = tx.system(AUTH);
            if !system.spend_code(hash).await? {
                return Ok(false);
            }
            system.make_room_for_family(family.value()).await?;
            system.insert(family.clone()).await?;
            Ok::<_, Error>(true)
        };
        match self.db.write(meta.ctx.clone(), work).await? {
            true => Ok(issued),
            false => Err(self.replayed(&code, meta).await),
        }
    }

    /// Ends what a code was exchanged for that is shown again.
    async fn replayed(&self, code: &AuthorizationCode, meta: &RequestMeta) -> NotGiven {
        let id = code.family_id;
        let request_id = meta.ctx.request_id.as_deref();
        tracing::warn!(request_id, tenant_id = %code.tenant.id, family_id = %id, "an authorization code was used twice: its tokens end");
        match self.end(id, FamilyEnd::CodeReplayed, meta).await {
            Ok(()) => NotGiven::invalid_grant("the code has been used"),
            Err(error) => error.into(),
        }
    }

    /// Ends a family. That another end came first makes no difference.
    async fn end(&self, id: FamilyId, how: FamilyEnd, meta: &RequestMeta) -> Result<()> {
        let work = async move |tx: &WriteTx<'_>| {
            let system = tx.system(AUTH);
            let Some(family) = system.read().token_family(id).await? else { return Ok(()) };
            let Some(ended) = family.end(how, &system.by(), tx.now()) else { return Ok(()) };
            match system.end_family(ended).await {
                Ok(_) | Err(Storage::Stale) => Ok(()),
                Err(error) => Err(Error::from(error)),
            }
        };
        self.db.write(meta.ctx.clone(), work).await
    }

    async fn refresh(
        &self,
        facts: &TenantFacts,
        application: &Application,
        params: &Params,
        meta: &RequestMeta,
    ) -> Result<Issued, NotGiven> {
        let missing = NotGiven::fault(ErrorCode::InvalidRequest, "refresh_token is missing");
        let text = params.get("refresh_token").ok_or(missing)?;
        let unknown = || NotGiven::invalid_grant("the refresh token is none of yours");
        let (id, presented) = opaque_token::read_of_family(self.keyring, text).ok_or_else(unknown)?;
        let policy = facts.layers().policy(self.defaults);
        for _ in 0..ROUNDS {
            let now = self.env.now();
            let (family, state) = self.db.system(AUTH).family_state(id, now).await?.ok_or_else(unknown)?;
            if family.application_id != application.id {
                return Err(unknown());
            }
            if let Err(error) = self.lasts(facts, &state, now) {
                return Err(self.refuse(&family, "session_ended", error, meta).await);
            }
            if !family.stands() || family.expires_at <= now {
                let error = NotGiven::invalid_grant("the refresh token has ended");
                return Err(self.refuse(&family, "family_ended", error, meta).await);
            }
            same_resource(params, &family.audience)?;
            let asked = narrowed(params, &family)?;
            let scopes = self.clients.still_allowed(facts, application, &family.audience, &asked).await?;
            match family.chain.judge(&presented, ReuseRules::from(&policy), now) {
                Verdict::Rotate => {
                    if let Some(rule) = self.limits.refreshes {
                        pass(rule.gate(&family.refreshes.counter(), now))?;
                    }
                    let (hash, session) = (presented.hash, &state.session);
                    let next = opaque_token::mint_of_family(self.keyring, self.env, id, family.chain.generation + 1);
                    let of = Of {
                        facts,
                        application,
                        state: &state,
                        policy: &policy,
                        family: id,
                        audience: &family.audience,
                        auth_time: family.auth_time,
                        scopes,
                        nonce: None,
                        refresh_token: Some(&next.text),
                    };
                    let issued = self.issue(of, meta, now).await?;
                    let replay = match policy.refresh_reuse {
                        RefreshReuse::Replay => Some(seal_for_holder(text, &to_json(&issued)?)),
                        RefreshReuse::Reject => None,
                    };
                    let successor = Successor { hash: next.hash, replay };
                    let rotated = family.clone().rotate(successor, session, application, &policy, now);
                    let work = async move |tx: &WriteTx<'_>| match tx
                        .system(AUTH)
                        .rotate_family(hash, rotated.clone())
                        .await
                    {
                        Ok(_) => Ok(true),
                        Err(Storage::Stale) => Ok(false),
                        Err(error) => Err(Error::from(error)),
                    };
                    if self.db.write(meta.ctx.clone(), work).await? {
                        self.cache.note(session.id, now);
                        return Ok(issued);
                    }
                }
                Verdict::Replay(sealed) => {
                    let spent = |_| NotGiven::invalid_grant("the refresh token has just been used");
                    let issued = open_for_holder(text, &sealed).map_err(spent)?;
                    return Ok(serde_json::from_slice(&issued).map_err(|error| Error::Internal(Box::new(error)))?);
                }
                Verdict::Spent => {
                    let error = NotGiven::invalid_grant("the refresh token has just been used");
                    return Err(self.refuse(&family, "refresh_token_spent", error, meta).await);
                }
                Verdict::Unknown => return Err(unknown()),
                Verdict::Reused => {
                    measure::token_reuse();
                    let request_id = meta.ctx.request_id.as_deref();
                    tracing::warn!(request_id, tenant_id = %facts.tenant.id, family_id = %id, "a refresh token of an application was used twice: its family ends");
                    self.end(id, FamilyEnd::ReuseDetected, meta).await?;
                    return Err(NotGiven::invalid_grant("the refresh token was used before"));
                }
            }
        }
        Err(NotGiven::invalid_grant("the refresh token has just been used"))
    }

    /// Whether the session of a code or a family can be used in this tenant.
    fn lasts(&self, facts: &TenantFacts, state: &SessionState, now: Timestamp) -> Result<(), NotGiven> {
        let lasts = state.session.tenant_id == facts.tenant.id
            && state.session.status(now) == SessionStatus::Active
            && state.user.status == UserStatus::Active
            && facts.is_active();
        if lasts { Ok(()) } else { Err(NotGiven::invalid_grant("the session has ended")) }
    }

    async fn refuse(&self, family: &TokenFamily, why: &'static str, answer: NotGiven, meta: &RequestMeta) -> NotGiven {
        match self.refusals.record(Refused::family(family, why), meta).await {
            Ok(()) => answer,
            Err(error) => error.into(),
        }
    }
}

/// The challenge that a verifier gives (RFC 7636, section 4.6).
fn challenge(verifier: &str) -> Option<Challenge> {
    let verifier = Verifier::new(verifier)?;
    Challenge::new(&URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.expose().as_bytes())))
}

/// A resource may only be the one that the tokens are for.
fn same_resource(params: &Params, audience: &str) -> Result<(), NotGiven> {
    let Some(asked) = params.get("resource") else { return Ok(()) };
    let key = |text: &str| ResourceUri::parse(text).map(|uri| uri.key()).ok();
    if key(asked).is_some_and(|asked| Some(asked) == key(audience)) {
        return Ok(());
    }
    Err(NotGiven::fault(ErrorCode::InvalidTarget, "the tokens are for another resource"))
}

/// The scopes that a refresh asks for: fewer than those of the family, or these.
fn narrowed(params: &Params, family: &TokenFamily) -> Result<Scopes, NotGiven> {
    let Some(asked) = params.get("scope").map(Scopes::read) else { return Ok(family.scopes.clone()) };
    if asked.is_within(&family.scopes) && !asked.is_empty() {
        return Ok(asked);
    }
    Err(NotGiven::fault(ErrorCode::InvalidScope, "a refresh cannot ask for more scopes than were granted"))
}

fn to_json(issued: &Issued) -> Result<Vec<u8>> {
    serde_json::to_vec(issued).map_err(|error| Error::Internal(Box::new(error)))
}
