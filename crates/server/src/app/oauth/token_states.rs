//! What a token counts for, said to applications that ask (RFC 7662), and tokens that applications take back (RFC 7009).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gatehouse_domain::{
    application::Application,
    oauth::{Audience, ErrorCode, FamilyEnd, Params, RevokedToken, TokenFamily},
    refresh::{Presented, ReuseRules, Verdict},
    text::Slug,
};
use gatehouse_persistence::{SessionState, WriteTx};
use serde_json::{Map, Value, json};

use crate::{
    app::{
        Error, Result,
        directory::issuers::IssuerFacts,
        oauth::{
            NotGiven, TokenEndpoint,
            issue::{BEARER, DPOP},
            tokens::AUTH,
        },
        request::client::RequestMeta,
        sessions::access_token::Opened,
    },
    security::{
        opaque_token,
        token::{Verified, Whose},
    },
};

/// The claims of an access token that are told as they are.
const TOLD: [&str; 14] = [
    "client_id",
    "exp",
    "iat",
    "sub",
    "aud",
    "iss",
    "jti",
    "sid",
    "tenant_id",
    "auth_time",
    "acr",
    "amr",
    "act",
    "cnf",
];

fn token(params: &Params) -> Result<&str, NotGiven> {
    params.get("token").ok_or(NotGiven::fault(ErrorCode::InvalidRequest, "token is missing"))
}

/// What the payload of an access token says that was verified.
fn claims(token: &str) -> Option<Map<String, Value>> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}

/// `None` for what is not valid; other failures stay what they are.
fn valid<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(Error::InvalidToken | Error::SessionRevoked) => Ok(None),
        Err(error) => Err(error),
    }
}

impl TokenEndpoint<'_> {
    /// What a token counts for, as far as that is the caller's business. `ours` is that of [`SessionStates::verify`].
    /// What is not, whatever the reason, is told in the same words.
    ///
    /// # Errors
    /// `invalid_client` for who has no secret, `invalid_request`, [`Error::Unavailable`].
    pub async fn introspect(
        &self,
        at: &IssuerFacts,
        caller: &Application,
        params: &Params,
        ours: impl Fn(&str, Option<&Slug>) -> bool,
        meta: &RequestMeta,
    ) -> Result<Value, NotGiven> {
        if !caller.kind.is_confidential() {
            return Err(NotGiven::fault(ErrorCode::InvalidClient, "an application without a secret may not ask"));
        }
        let token = token(params)?;
        let told = match opaque_token::read_of_family(self.keyring, token) {
            Some((id, presented)) => {
                let found = self.db.system(AUTH).family_state(id, self.env.now()).await?;
                let found = found.filter(|(family, _)| family.application_id == caller.id);
                match found {
                    Some((family, state)) => {
                        self.refresh_token_told((at, caller), &family, &state, &presented, meta).await?
                    }
                    None => None,
                }
            }
            None => self.access_token_told(at, caller, token, ours).await?,
        };
        Ok(told.map_or_else(|| json!({"active": false}), Value::Object))
    }

    async fn access_token_told(
        &self,
        at: &IssuerFacts,
        caller: &Application,
        token: &str,
        ours: impl Fn(&str, Option<&Slug>) -> bool,
    ) -> Result<Option<Map<String, Value>>> {
        let now = self.env.now();
        let Some((verified, issuer)) = valid(self.states.verify(token.as_bytes(), ours, now).await)? else {
            return Ok(None);
        };
        let is_of_this = issuer.issuer().uuid() == at.issuer().uuid();
        let Some(claims) = claims(token).filter(|_| is_of_this) else { return Ok(None) };
        if !concerns(&verified, caller) {
            return Ok(None);
        }
        let (scope, username) = match verified.whose {
            Whose::User(user) => {
                let Some(facts) = at.tenant() else { return Ok(None) };
                let Some(_) = valid(self.states.standing(user, facts, false, now).await)? else { return Ok(None) };
                (claims.get("scope").cloned(), None)
            }
            _ => {
                let opened = valid(self.states.opened(&verified, at, now).await)?;
                let Some(Opened { user, scopes, .. }) = opened else { return Ok(None) };
                let user = user.filter(|_| scopes.has("profile"));
                (Some(json!(scopes.to_string())), user.map(|(caller, _)| caller.view.user.username.to_string()))
            }
        };
        let mut told: Map<_, _> = claims.into_iter().filter(|(name, _)| TOLD.contains(&name.as_str())).collect();
        let token_type = if told.contains_key("cnf") { DPOP } else { BEARER };
        told.extend([("active".to_owned(), json!(true)), ("token_type".to_owned(), json!(token_type))]);
        told.extend(scope.map(|scope| ("scope".to_owned(), scope)));
        told.extend(username.map(|name| ("username".to_owned(), json!(name))));
        Ok(Some(told))
    }

    /// What is told of a refresh token that can be used.
    async fn refresh_token_told(
        &self,
        (at, caller): (&IssuerFacts, &Application),
        family: &TokenFamily,
        state: &SessionState,
        presented: &Presented,
        meta: &RequestMeta,
    ) -> Result<Option<Map<String, Value>>> {
        let now = self.env.now();
        let home = match self.home(at, state, now).await {
            Ok(home) => home,
            Err(NotGiven::App(error)) => return Err(error),
            Err(NotGiven::Fault(_)) => return Ok(None),
        };
        let policy = home.layers().policy(self.defaults);
        let is_current = matches!(family.chain.judge(presented, ReuseRules::from(&policy), now), Verdict::Rotate);
        if !is_current || !family.stands() || family.expires_at <= now {
            return Ok(None);
        }
        let (issuer, client_id) = (at.url(meta), caller.client_id());
        let aud = match &family.audience {
            Audience::Application(_) => client_id.clone(),
            other => other.claim(&issuer),
        };
        let told = json!({
            "active": true,
            "scope": family.scopes.to_string(),
            "client_id": client_id,
            "exp": family.expires_at.unix_seconds(),
            "iat": family.chain.rotated_at.unix_seconds(),
            "aud": aud,
            "iss": issuer,
            "sid": family.session_id,
            "tenant_id": family.tenant.id,
            "auth_time": family.auth_time.unix_seconds(),
            "sub": state.session.user_id,
        });
        Ok(match told {
            Value::Object(told) => Some(told),
            _ => None,
        })
    }

    /// Takes back a token of the caller: a refresh token with its whole family, or one access token. Any other is left
    /// alone, and the caller is not told.
    ///
    /// # Errors
    /// `invalid_request`, [`Error::Unavailable`] when it could not be stored.
    pub async fn revoke(
        &self,
        at: &IssuerFacts,
        caller: &Application,
        params: &Params,
        ours: impl Fn(&str, Option<&Slug>) -> bool,
        meta: &RequestMeta,
    ) -> Result<(), NotGiven> {
        let token = token(params)?;
        if let Some((id, _)) = opaque_token::read_of_family(self.keyring, token) {
            let found = self.db.system(AUTH).family_state(id, self.env.now()).await?;
            let theirs = found
                .filter(|(it, _)| it.application_id == caller.id && at.tenant_id().is_none_or(|id| id == it.tenant.id));
            if let Some((family, state)) = theirs {
                self.end(family, state.session, FamilyEnd::Revoked, Some(caller.by()), meta).await?;
            }
            return Ok(());
        }
        let verified = valid(self.states.verify(token.as_bytes(), ours, self.env.now()).await)?;
        let is_of_this = |issuer: &IssuerFacts| issuer.issuer().uuid() == at.issuer().uuid();
        let Some((verified, _)) = verified.filter(|(_, issuer)| is_of_this(issuer)) else { return Ok(()) };
        let (family, of) = match &verified.whose {
            Whose::UserThrough(_, family, of) if of.client_id == caller.client_id() => (Some(*family), of),
            Whose::Application(of) if of.client_id == caller.client_id() => (None, of),
            _ => return Ok(()),
        };
        let revoked = RevokedToken { id: of.token_id, expires_at: verified.expires_at };
        let home = match verified.tenant_id {
            Some(id) => self.states.home(at, id).await?.map(|home| home.reference()),
            None => None,
        };
        let revoked = revoked.revoke(caller, home, family);
        let work = async move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(AUTH).revoke_token(revoked.clone()).await?);
        Ok(self.db.write(meta.ctx.clone(), work).await?)
    }
}

/// Whether an access token is the business of an application: it is for it or for our API, or was issued to it.
fn concerns(verified: &Verified, caller: &Application) -> bool {
    match &verified.whose {
        Whose::User(_) => true,
        Whose::UserThrough(_, _, of) | Whose::Application(of) => {
            of.client_id == caller.client_id()
                || of.audience == verified.iss
                || of.audience == caller.client_id()
                || caller.resource_uri(&of.audience).is_some()
        }
    }
}
