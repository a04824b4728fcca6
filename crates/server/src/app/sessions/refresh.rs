//! Exchanging a refresh token.
//!
//! Four statements: the session with its user and roles is read, judged by the domain, and replaced by a
//! compare-and-set with its audit event. Whoever loses the race reads again and is judged by what is there then.

use gatehouse_domain::{
    audit::Refused,
    authz::{By, SystemReason},
    refresh::{ReuseRules, Verdict},
    session::{EndReason, Session, SessionStatus, Successor},
    throttle::Gate,
    time::Timestamp,
};
use gatehouse_persistence::{Error as Storage, TenantFacts, WriteTx};

use crate::{
    app::{
        App, Error, Result,
        request::client::Origin,
        sign_in::{
            attempts::{Limited, Quota},
            password::TokenPair,
        },
    },
    security::{
        keyring::{open_for_holder, seal_for_holder},
        opaque_token,
    },
};
use gatehouse_domain::settings::RefreshReuse;

/// How often a race is lost before giving up; each loss means that somebody else changed the session.
const ROUNDS: usize = 5;

impl App {
    /// Exchanges a refresh token for the next pair.
    ///
    /// # Errors
    /// [`Error::RefreshInvalid`], [`Error::RefreshSpent`], [`Error::SessionRevoked`].
    /// [`Error::RateLimited`] when the session was refreshed too often of late; the token stays good.
    pub async fn refresh(&self, facts: &TenantFacts, token: &str, origin: &Origin) -> Limited<TokenPair> {
        let mut quota = None;
        let result = self.try_refresh(facts, token, origin, &mut quota).await;
        Limited { quota, result }
    }

    async fn try_refresh(
        &self,
        facts: &TenantFacts,
        token: &str,
        origin: &Origin,
        quota: &mut Option<Quota>,
    ) -> Result<TokenPair> {
        let (id, presented) = opaque_token::read(&self.keyring, token).ok_or(Error::RefreshInvalid)?;
        let policy = self.policy(facts);
        let now = origin.ctx.now;
        for _ in 0..ROUNDS {
            let state = self.reading().session_state(id, now).await?.ok_or(Error::RefreshInvalid)?;
            let session = state.session;
            if session.tenant_id != facts.tenant.id {
                return Err(Error::RefreshInvalid);
            }
            let refuse = async |why, answer| {
                let refused = Refused::refresh(&session, why);
                Err(self.record_refusal(refused, answer, origin).await)
            };
            match session.status(now) {
                SessionStatus::Active if facts.is_active() => {}
                SessionStatus::Active => return refuse("tenant_suspended", Error::SessionRevoked).await,
                SessionStatus::Revoked => return refuse("session_revoked", Error::SessionRevoked).await,
                SessionStatus::Expired => return refuse("session_expired", Error::RefreshInvalid).await,
            }
            match session.chain.judge(&presented, ReuseRules::from(&policy), now) {
                Verdict::Rotate => {
                    self.refresh_fits(&session, now, quota)?;
                    let next = opaque_token::mint(&self.keyring, &self.env, id, session.chain.generation + 1);
                    let pair = TokenPair {
                        access_token: self.access_token(facts, &session, &state.roles, &policy, origin)?,
                        refresh_token: next.text.expose().clone(),
                        expires_in: policy.access_token_lifetime.as_secs(),
                    };
                    let replay = match policy.refresh_reuse {
                        RefreshReuse::Replay => Some(seal_for_holder(token, &to_json(&pair)?)),
                        RefreshReuse::Reject => None,
                    };
                    let rotated =
                        session.rotate(Successor { hash: next.hash, replay }, &policy, !state.roles.is_empty(), now);
                    // What was allowed less of meanwhile may have been all there was left.
                    if rotated.value().status(now) != SessionStatus::Active {
                        return Err(Error::RefreshInvalid);
                    }
                    let work = async move |tx: &WriteTx<'_>| match tx
                        .system(SystemReason::Authentication)
                        .rotate(presented.hash, rotated.clone())
                        .await
                    {
                        Ok(_) => Ok(true),
                        Err(Storage::Stale) => Ok(false),
                        Err(error) => Err(Error::from(error)),
                    };
                    if self.db.write(origin.ctx.clone(), work).await? {
                        return Ok(pair);
                    }
                }
                Verdict::Replay(sealed) => {
                    let pair = open_for_holder(token, &sealed).map_err(|_| Error::RefreshSpent)?;
                    return serde_json::from_slice(&pair).map_err(|error| Error::Internal(Box::new(error)));
                }
                Verdict::Spent => return refuse("refresh_token_spent", Error::RefreshSpent).await,
                Verdict::Unknown => return Err(Error::RefreshInvalid),
                Verdict::Reused => {
                    self.end_stolen(session, origin).await?;
                    return Err(Error::SessionRevoked);
                }
            }
        }
        Err(Error::RefreshSpent)
    }

    /// Whether a session may be refreshed once more. Only who would get the next token is asked to wait: who lost a race
    /// is told so.
    fn refresh_fits(&self, session: &Session, now: Timestamp, quota: &mut Option<Quota>) -> Result<()> {
        let Some(rule) = self.limits.refreshes else { return Ok(()) };
        let counter = session.refreshes.counter();
        let gate = rule.gate(&counter, now);
        *quota = Some(Quota::of("refresh", rule, &rule.counted(&counter, now), now));
        match gate {
            Gate::Wait(delay) => Err(Error::RateLimited(delay)),
            Gate::Open | Gate::Locked => Ok(()),
        }
    }

    /// Ends a session whose token was used twice. That another end came first makes no difference.
    async fn end_stolen(&self, session: Session, origin: &Origin) -> Result<()> {
        let Ok(ended) =
            session.revoke(EndReason::ReuseDetected, &By::system(SystemReason::Authentication), origin.ctx.now)
        else {
            return Ok(());
        };
        let work = async move |tx: &WriteTx<'_>| match tx.system(SystemReason::Authentication).end(ended.clone()).await
        {
            Ok(_) | Err(Storage::Stale) => Ok(()),
            Err(error) => Err(Error::from(error)),
        };
        self.db.write(origin.ctx.clone(), work).await
    }
}

fn to_json(pair: &TokenPair) -> Result<Vec<u8>> {
    serde_json::to_vec(pair).map_err(|error| Error::Internal(Box::new(error)))
}
