//! Refresh tokens of applications (RFC 6749, section 6): each is good for one use.

use std::sync::Arc;

use gatehouse_domain::{
    audit::Refused,
    oauth::{ErrorCode, FamilyEnd, Params, Scopes, TokenFamily},
    refresh::{Presented, ReuseRules, Verdict},
    session::Successor,
    settings::{Policy, RefreshReuse},
    time::Timestamp,
};
use gatehouse_persistence::{Error as Storage, SessionState, WriteTx};

use crate::{
    app::{
        Error, Result,
        attempts::pass,
        oauth::{
            NotGiven, TokenEndpoint,
            issue::{Issued, Of, OfUser},
            key_proof::{self, KeyProof},
            tokens::{AUTH, Asking, ROUNDS},
        },
        request::client::RequestMeta,
    },
    measure,
    security::{
        keyring::{open_for_holder, seal_for_holder},
        opaque_token,
    },
};

/// A refresh token, as it came and as it was read.
#[derive(Clone, Copy)]
struct Shown<'a> {
    text: &'a str,
    presented: &'a Presented,
}

fn just_used() -> NotGiven {
    NotGiven::invalid_grant("the refresh token has just been used")
}

impl TokenEndpoint<'_> {
    pub(super) async fn refresh(&self, asking: &Asking<'_>) -> Result<Issued, NotGiven> {
        let &Asking { application, params, proof, meta, .. } = asking;
        let missing = NotGiven::fault(ErrorCode::InvalidRequest, "refresh_token is missing");
        let text = params.get("refresh_token").ok_or(missing)?;
        let unknown = || NotGiven::invalid_grant("the refresh token is none of yours");
        let (id, presented) = opaque_token::read_of_family(self.keyring, text).ok_or_else(unknown)?;
        let shown = Shown { text, presented: &presented };
        for _ in 0..ROUNDS {
            let now = self.env.now();
            let (family, state) = self.db.system(AUTH).family_state(id, now).await?.ok_or_else(unknown)?;
            if family.application_id != application.id {
                return Err(unknown());
            }
            // Before anything is said of the token: whoever stole it has no key, and ends nothing by showing it.
            if !family.counts_with(proof.map(KeyProof::key), application) {
                return Err(self.refuse(&family, "key_not_proved", key_proof::NOT_HELD, meta).await);
            }
            let (scopes, policy) = self.refreshable(asking, &family, &state, now).await?;
            match family.chain.judge(&presented, ReuseRules::from(&policy), now) {
                Verdict::Rotate => {
                    if let Some(issued) = self.rotate((asking, shown), &family, &state, (scopes, &policy), now).await? {
                        return Ok(issued);
                    }
                }
                Verdict::Replay(sealed) => {
                    let issued = open_for_holder(text, &sealed).map_err(|_| just_used())?;
                    self.use_up(proof, meta).await?;
                    return Ok(serde_json::from_slice(&issued).map_err(|error| Error::Internal(Box::new(error)))?);
                }
                Verdict::Spent => return Err(self.refuse(&family, "refresh_token_spent", just_used(), meta).await),
                Verdict::Unknown => return Err(unknown()),
                Verdict::Reused => {
                    measure::token_reuse();
                    let request_id = meta.ctx.request_id.as_deref();
                    tracing::warn!(request_id, tenant_id = %family.tenant.id, family_id = %id, "a refresh token of an application was used twice: its family ends");
                    self.end(family, state.session, FamilyEnd::ReuseDetected, None, meta).await?;
                    return Err(NotGiven::invalid_grant("the refresh token was used before"));
                }
            }
        }
        Err(just_used())
    }

    /// The scopes that a family may still have, if it lasts and the request asks for no more than it has, and what holds in
    /// the tenant of its user.
    async fn refreshable(
        &self,
        asking: &Asking<'_>,
        family: &TokenFamily,
        state: &SessionState,
        now: Timestamp,
    ) -> Result<(Scopes, Policy), NotGiven> {
        let &Asking { at, application, params, meta, .. } = asking;
        let home = match self.home(at, state, now).await {
            Ok(home) => home,
            Err(error @ NotGiven::App(_)) => return Err(error),
            Err(error) => return Err(self.refuse(family, "session_ended", error, meta).await),
        };
        if !family.stands() || family.expires_at <= now {
            let error = NotGiven::invalid_grant("the refresh token has ended");
            return Err(self.refuse(family, "family_ended", error, meta).await);
        }
        family.audience.agrees(params).map_err(NotGiven::Fault)?;
        let scopes = narrowed(params, family)?;
        let scopes = self.clients.still_allowed(at, application, &family.audience, &scopes).await?;
        Ok((scopes, home.layers().policy(self.defaults)))
    }

    /// The next tokens; none if somebody else was faster.
    async fn rotate(
        &self,
        (asking, Shown { text, presented }): (&Asking<'_>, Shown<'_>),
        family: &TokenFamily,
        state: &SessionState,
        (scopes, policy): (Scopes, &Policy),
        now: Timestamp,
    ) -> Result<Option<Issued>, NotGiven> {
        let &Asking { at, application, proof, meta, .. } = asking;
        if let Some(rule) = self.limits.refreshes {
            pass(rule.gate(&family.refreshes.counter(), now))?;
        }
        let mint = || opaque_token::mint_of_family(self.keyring, self.env, family.id, family.chain.generation + 1);
        let next = application.metadata.profile.rotates_refresh_tokens().then(mint);
        let of = Of { at, application, policy, audience: &family.audience, scopes, proof };
        let refresh_token = next.as_ref().map(|next| &next.text);
        let user = OfUser { state, session: &state.session, family, nonce: None, refresh_token };
        let issued = self.issue(&of, &user, meta, now).await?;
        let replay = match policy.refresh_reuse {
            RefreshReuse::Replay => Some(seal_for_holder(text, &to_json(&issued)?)),
            RefreshReuse::Reject => None,
        };
        let successor = next.map(|next| Successor { hash: next.hash, replay });
        let (presented, session) = (*presented, &state.session);
        let family = family.clone().bound_to(proof.map(KeyProof::key));
        let rotated = family.rotate(successor, session, application, policy, now);
        let is_to_be_noted = application.document.is_some() && application.is_use_to_be_noted(now);
        let used = is_to_be_noted.then(|| Arc::clone(application));
        let work = async move |tx: &WriteTx<'_>| match tx.system(AUTH).rotate_family(presented, rotated.clone()).await {
            Ok(_) => {
                if let Some(used) = &used {
                    tx.system(AUTH).note_use_of_described(used).await?;
                }
                Ok(true)
            }
            Err(Storage::Stale) => Ok(false),
            Err(error) => Err(Error::from(error)),
        };
        if !self.db.write(meta.ctx.clone(), work).await? {
            return Ok(None);
        }
        self.cache.note(session.id, now);
        Ok(Some(issued))
    }

    async fn refuse(&self, family: &TokenFamily, why: &'static str, answer: NotGiven, meta: &RequestMeta) -> NotGiven {
        match self.refusals.record(Refused::family(family, why), meta).await {
            Ok(()) => answer,
            Err(error) => error.into(),
        }
    }
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
