//! The UserInfo endpoint (OpenID Connect Core 1.0, section 5.3): what an application may know of its user.

use gatehouse_domain::{
    oauth::{ErrorCode, claims},
    text::Slug,
};
use serde_json::{Map, Value};

use crate::{
    app::{
        Error,
        directory::issuers::IssuerFacts,
        oauth::{NotGiven, UserInfo},
        sessions::access_token::{Opened, Presented},
    },
    security::token::Whose,
};

const fn invalid_token() -> NotGiven {
    NotGiven::fault(ErrorCode::InvalidToken, "the access token is not valid")
}

impl UserInfo<'_> {
    /// The claims that an access token of an issuer opens. `ours` is that of [`SessionStates::verify`].
    ///
    /// [`SessionStates::verify`]: crate::app::sessions::SessionStates::verify
    ///
    /// # Errors
    /// `invalid_token`, `invalid_dpop_proof`, `insufficient_scope` without the scope `openid`.
    pub async fn claims(
        &self,
        presented: &Presented<'_>,
        at: &IssuerFacts,
        ours: impl Fn(&str, Option<&Slug>) -> bool,
    ) -> Result<Map<String, Value>, NotGiven> {
        let now = self.env.now();
        let refused = |error| match error {
            Error::InvalidToken | Error::SessionRevoked => invalid_token(),
            Error::InvalidProof(why) => NotGiven::fault(ErrorCode::InvalidDpopProof, why),
            other => NotGiven::App(other),
        };
        let (verified, issuer) = self.states.verify(presented.token, ours, now).await.map_err(refused)?;
        self.states.is_held(&verified, presented, now).map_err(refused)?;
        let of = match &verified.whose {
            Whose::UserThrough(_, _, of) if issuer.issuer().uuid() == at.issuer().uuid() => of,
            _ => return Err(invalid_token()),
        };
        if of.audience != of.client_id && of.audience != verified.iss {
            return Err(invalid_token());
        }
        let Opened { application, user, scopes } = self.states.opened(&verified, at, now).await.map_err(refused)?;
        let (caller, family) = user.ok_or(invalid_token())?;
        self.admission.admit(&caller.actor, now).result?;
        if !scopes.has("openid") {
            return Err(NotGiven::fault(ErrorCode::InsufficientScope, "the scope openid is needed"));
        }
        let mut about = claims(&scopes, &family.claims.still_allowed(&application).user_info, &caller.view);
        about.insert("sub".to_owned(), caller.view.user.id.to_string().into());
        Ok(about)
    }
}
