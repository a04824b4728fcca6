//! Exchanging a refresh token, and signing out with one.
//!
//! An exchange takes four statements: the session with its user and roles is read, judged by the domain, and replaced by
//! a compare-and-set with its audit event. Whoever loses the race reads again and is judged by what is there then.

use gatehouse_domain::{
    audit::Refused,
    authz::{By, SystemReason},
    refresh::{Presented, ReuseRules, Verdict},
    session::{EndReason, Session, SessionStatus, Successor},
    settings::{Policy, RefreshReuse},
    time::Timestamp,
};
use gatehouse_persistence::{Error as Storage, SessionState, TenantFacts, WriteTx};

use crate::{
    app::{
        Error, Result,
        attempts::{Limited, RateLimit, pass},
        request::client::RequestMeta,
        sessions::{RefreshTokens, revocation::end, tokens::TokenPair},
    },
    measure,
    security::{
        keyring::{open_for_holder, seal_for_holder},
        opaque_token,
    },
};

const AUTH: SystemReason = SystemReason::Authentication;
/// How often a race is lost before giving up; each loss means that somebody else changed the session.
const ROUNDS: usize = 5;

impl RefreshTokens<'_> {
    /// Exchanges a refresh token for the next pair.
    ///
    /// # Errors
    /// [`Error::RefreshInvalid`], [`Error::RefreshSpent`], [`Error::SessionRevoked`].
    /// [`Error::RateLimited`] when the session was refreshed too often of late; the token stays good.
    pub async fn exchange(&self, facts: &TenantFacts, token: &str, meta: &RequestMeta) -> Limited<TokenPair> {
        let mut quota = None;
        let result = self.try_exchange(facts, token, meta, &mut quota).await;
        measure::refresh(&result);
        Limited { quota, result }
    }

    async fn try_exchange(
        &self,
        facts: &TenantFacts,
        token: &str,
        meta: &RequestMeta,
        quota: &mut Option<RateLimit>,
    ) -> Result<TokenPair> {
        let (id, presented) = opaque_token::read(self.keyring, token).ok_or(Error::RefreshInvalid)?;
        let policy = facts.layers().policy(self.defaults);
        let now = meta.ctx.now;
        for _ in 0..ROUNDS {
            let state = self.db.system(AUTH).session_state(id, now).await?.ok_or(Error::RefreshInvalid)?;
            self.must_be_active(facts, &state.session, meta).await?;
            match state.session.chain.judge(&presented, ReuseRules::from(&policy), now) {
                Verdict::Rotate => {
                    self.fits(&state.session, now, quota)?;
                    if let Some(pair) = self.rotate(facts, state, token, &presented, &policy, meta).await? {
                        return Ok(pair);
                    }
                }
                Verdict::Replay(sealed) => {
                    let pair = open_for_holder(token, &sealed).map_err(|_| Error::RefreshSpent)?;
                    return serde_json::from_slice(&pair).map_err(|error| Error::Internal(Box::new(error)));
                }
                Verdict::Spent => {
                    return Err(self.refuse(&state.session, "refresh_token_spent", Error::RefreshSpent, meta).await);
                }
                Verdict::Unknown => return Err(Error::RefreshInvalid),
                Verdict::Reused => {
                    self.end_stolen(state.session, meta).await?;
                    return Err(Error::SessionRevoked);
                }
            }
        }
        Err(Error::RefreshSpent)
    }

    async fn must_be_active(&self, facts: &TenantFacts, session: &Session, meta: &RequestMeta) -> Result<()> {
        if session.tenant_id != facts.tenant.id {
            return Err(Error::RefreshInvalid);
        }
        let (why, answer) = match session.status(meta.ctx.now) {
            SessionStatus::Active if facts.is_active() => return Ok(()),
            SessionStatus::Active => ("tenant_suspended", Error::SessionRevoked),
            SessionStatus::Revoked => ("session_revoked", Error::SessionRevoked),
            SessionStatus::Expired => ("session_expired", Error::RefreshInvalid),
        };
        Err(self.refuse(session, why, answer, meta).await)
    }

    async fn refuse(&self, session: &Session, why: &'static str, answer: Error, meta: &RequestMeta) -> Error {
        self.attempts.record_refusal(Refused::refresh(session, why), answer, meta).await
    }

    /// Replaces the current refresh token; none if somebody else changed the session meanwhile.
    async fn rotate(
        &self,
        facts: &TenantFacts,
        SessionState { session, roles, .. }: SessionState,
        token: &str,
        presented: &Presented,
        policy: &Policy,
        meta: &RequestMeta,
    ) -> Result<Option<TokenPair>> {
        let (now, hash) = (meta.ctx.now, presented.hash);
        let next = opaque_token::mint(self.keyring, self.env, session.id, session.chain.generation + 1);
        let pair = self.access_tokens.pair(facts, &session, &roles, policy, &next.text, meta)?;
        let replay = match policy.refresh_reuse {
            RefreshReuse::Replay => Some(seal_for_holder(token, &to_json(&pair)?)),
            RefreshReuse::Reject => None,
        };
        let rotated = session.rotate(Successor { hash: next.hash, replay }, policy, !roles.is_empty(), now);
        // What was allowed less of meanwhile may have been all there was left.
        if rotated.value().status(now) != SessionStatus::Active {
            return Err(Error::RefreshInvalid);
        }
        let work = async move |tx: &WriteTx<'_>| match tx.system(AUTH).rotate(hash, rotated.clone()).await {
            Ok(_) => Ok(true),
            Err(Storage::Stale) => Ok(false),
            Err(error) => Err(Error::from(error)),
        };
        Ok(self.db.write(meta.ctx.clone(), work).await?.then_some(pair))
    }

    /// Whether a session may be refreshed once more. Only who would get the next token is asked to wait: who lost a race
    /// is told so.
    fn fits(&self, session: &Session, now: Timestamp, quota: &mut Option<RateLimit>) -> Result<()> {
        let Some(rule) = self.limits.refreshes else { return Ok(()) };
        let counter = session.refreshes.counter();
        *quota = Some(RateLimit::of("refresh", rule, &rule.counted(&counter, now), now));
        pass(rule.gate(&counter, now))
    }

    /// Ends a session whose token was used twice. That another end came first makes no difference.
    async fn end_stolen(&self, session: Session, meta: &RequestMeta) -> Result<()> {
        measure::token_reuse();
        let (tenant, user, id) = (session.tenant_id, session.user_id, session.id);
        let request_id = meta.ctx.request_id.as_deref();
        tracing::warn!(request_id, tenant_id = %tenant, user_id = %user, session_id = %id, "a refresh token was used twice: its session ends");
        let work = async move |tx: &WriteTx<'_>| {
            let system = tx.system(AUTH);
            end(&system, session.clone(), EndReason::ReuseDetected, &system.by(), tx.now()).await.map(drop)
        };
        self.db.write(meta.ctx.clone(), work).await
    }

    /// Signs out: ends the session of a refresh token, spent or not. Unknown tokens are no error, so that signing out
    /// twice is none.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer: never a success that did not happen.
    pub async fn sign_out(&self, facts: &TenantFacts, token: &str, meta: &RequestMeta) -> Result<()> {
        let Some((id, _)) = opaque_token::read(self.keyring, token) else { return Ok(()) };
        let tenant = facts.tenant.id;
        let work = async move |tx: &WriteTx<'_>| {
            let system = tx.system(AUTH);
            let session = system.session(id).await?.filter(|session| session.tenant_id == tenant);
            let Some(session) = session else { return Ok(()) };
            let by = By::oneself(session.user_id, Some(session.id));
            end(&system, session, EndReason::Logout, &by, tx.now()).await.map(drop)
        };
        self.db.write::<_, Error, _>(meta.ctx.clone(), work).await
    }
}

fn to_json(pair: &TokenPair) -> Result<Vec<u8>> {
    serde_json::to_vec(pair).map_err(|error| Error::Internal(Box::new(error)))
}
