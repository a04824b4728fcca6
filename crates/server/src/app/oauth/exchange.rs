//! Access tokens that an application exchanges for others, to act for the same user at another API (RFC 8693).
//!
//! It takes what was meant for it and nothing else: or any application could trade any token that it ever saw.

use std::sync::Arc;

use gatehouse_domain::{
    application::Application,
    id::ApplicationId,
    issue::Parse,
    oauth::{ACR, Act, Audience, ErrorCode, Params, Scopes},
    text::Slug,
};
use gatehouse_persistence::WriteTx;

use crate::{
    app::{
        Error, Result,
        directory::issuers::IssuerFacts,
        oauth::{
            NotGiven, TokenEndpoint,
            issue::{ClaimsOfUser, Issued, Of, names},
            tokens::{AUTH, Asking},
        },
        sessions::access_token::Opened,
    },
    security::token::{FamilyClaims, Whose},
};

/// The kind of tokens that are exchanged, and got in exchange.
/// What kind of token is exchanged (RFC 8693, section 3).
pub(crate) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

const fn invalid(description: &'static str) -> NotGiven {
    NotGiven::fault(ErrorCode::InvalidRequest, description)
}

const fn no_target() -> NotGiven {
    NotGiven::fault(ErrorCode::InvalidTarget, "the application may not ask for tokens for that")
}

impl TokenEndpoint<'_> {
    /// An access token for another API, of the same user and no longer than the one that is shown.
    pub(super) async fn exchange_token(&self, asking: &Asking<'_>) -> Result<Issued, NotGiven> {
        let &Asking { at, application, params, proof, meta } = asking;
        if params.get("actor_token").is_some() || params.get("actor_token_type").is_some() {
            return Err(invalid("the application that asks is who acts: there is no actor_token"));
        }
        if params.get("requested_token_type").is_some_and(|kind| kind != ACCESS_TOKEN) {
            return Err(invalid("requested_token_type must be that of access tokens"));
        }
        if params.get("subject_token_type") != Some(ACCESS_TOKEN) {
            return Err(invalid("subject_token_type must be that of access tokens"));
        }
        let token = params.get("subject_token").ok_or(invalid("subject_token is missing"))?;
        let now = self.env.now();
        let refused = |_| invalid("subject_token is no access token of a user that is for this application");
        let ours = |issuer: &str, slug: Option<&Slug>| slug == at.slug() && issuer == at.url(meta);
        let verified = match self.states.verify(token.as_bytes(), ours, now).await {
            Ok((verified, _)) => verified,
            Err(error @ (Error::InvalidToken | Error::SessionRevoked)) => return Err(refused(error)),
            Err(error) => return Err(error.into()),
        };
        let Whose::UserThrough(user, _, of) = &verified.whose else { return Err(refused(Error::InvalidToken)) };
        let is_for_it = of.audience == application.id.to_string() || application.resource_uri(&of.audience).is_some();
        let opened = match self.states.opened(&verified, at, now).await {
            Ok(opened) if is_for_it => opened,
            Ok(_) => return Err(refused(Error::InvalidToken)),
            Err(error @ (Error::InvalidToken | Error::SessionRevoked)) => return Err(refused(error)),
            Err(error) => return Err(error.into()),
        };
        let Opened { user: Some((caller, family)), scopes: had, .. } = opened else {
            return Err(refused(Error::InvalidToken));
        };
        let act = Act::of(application.id, of.act.as_ref());
        let act = act.ok_or(invalid("too many applications act one behind the other"))?;
        let (audience, api) = self.exchange_target(at, application, params).await?;
        let both = had.and(&Scopes::allowed(application, Some(&api)));
        let scopes = match params.get("scope") {
            Some(text) => Scopes::read_all(text).filter(|asked| asked.is_within(&both)),
            None => Some(both),
        };
        let more = NotGiven::fault(ErrorCode::InvalidScope, "the token that is shown, or the application, has less");
        let scopes = scopes.ok_or(more)?;
        let home = self.states.home(at, caller.session.tenant_id).await?.ok_or(Error::InvalidToken);
        let policy = home.map_err(refused)?.layers().policy(self.defaults);
        let whose = ClaimsOfUser {
            user_id: user.user_id,
            session: &caller.session,
            roles: scopes.has("roles").then(|| names(&caller.view.roles)),
            family: FamilyClaims {
                family_id: family.id,
                auth_time: family.auth_time.unix_seconds(),
                acr: ACR,
                amr: &caller.session.auth_methods,
                act: Some(act),
            },
            until: Some(verified.expires_at),
        };
        let of = Of { at, application, policy: &policy, audience: &audience, scopes, proof };
        let mut issued = self.access_token(&of, Some(whose), meta, now).await?;
        issued.issued_token_type = Some(ACCESS_TOKEN.to_owned());
        let exchanged = family.as_ref().clone().exchange(application, &audience, &of.scopes);
        let work =
            async move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(AUTH).note_exchange(exchanged.clone()).await?);
        self.db.write(meta.ctx.clone(), work).await?;
        Ok(issued)
    }

    /// The API that the tokens are to be for, by one of its URIs or by its `client_id`.
    async fn exchange_target(
        &self,
        at: &IssuerFacts,
        application: &Application,
        params: &Params,
    ) -> Result<(Audience, Arc<Application>), NotGiven> {
        let by_id = match params.get("audience") {
            Some(id) => {
                let id = ApplicationId::parse(id).map_err(|_| no_target())?;
                Some(self.states.application(at.issuer(), id).await?.ok_or_else(no_target)?)
            }
            None => None,
        };
        let uri = match (params.get("resource"), &by_id) {
            (Some(uri), _) => uri.to_owned(),
            (None, Some(api)) => {
                let mut uris = api.metadata.resource_uris.iter().map(ToString::to_string);
                uris.find(|uri| application.may_ask_for(uri)).ok_or_else(no_target)?
            }
            (None, None) => return Err(invalid("resource or audience is missing")),
        };
        let api = self.clients.target(at, application, &uri).await?;
        if by_id.is_some_and(|named| named.id != api.id) {
            return Err(no_target());
        }
        let registered = api.resource_uri(&uri).ok_or_else(no_target)?.to_string();
        Ok((Audience::Resource(registered), api))
    }
}
