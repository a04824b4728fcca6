//! The UserInfo endpoint (OpenID Connect Core 1.0, section 5.3): what an application may know of its user.

use std::sync::Arc;

use gatehouse_domain::{
    authz::SystemReason,
    id::FamilyId,
    oauth::{ErrorCode, TokenFamily, claims},
    partner::Status,
    text::Slug,
};
use serde_json::{Map, Value};

use crate::app::{
    Error, Result,
    oauth::{NotGiven, UserInfo},
};

const AUTH: SystemReason = SystemReason::Authentication;

const fn invalid_token() -> NotGiven {
    NotGiven::fault(ErrorCode::InvalidToken, "the access token is not valid")
}

impl UserInfo<'_> {
    /// The claims that an access token opens. `ours` says whether an issuer is one that this instance uses for a tenant.
    ///
    /// # Errors
    /// `invalid_token`, `insufficient_scope` without the scope `openid`.
    pub async fn claims(
        &self,
        token: &[u8],
        slug: &Slug,
        ours: impl Fn(&str, &Slug) -> bool,
    ) -> Result<Map<String, Value>, NotGiven> {
        let now = self.env.now();
        let refused = |error| match error {
            Error::InvalidToken | Error::SessionRevoked => invalid_token(),
            other => NotGiven::App(other),
        };
        let (verified, facts) = self.states.verify(token, ours, now).await.map_err(refused)?;
        let of = verified.application.as_ref().filter(|_| facts.tenant.slug == *slug).ok_or(invalid_token())?;
        let id = of.id.to_string();
        if of.audience != id && of.audience != verified.iss {
            return Err(invalid_token());
        }
        let application = self.clients.application(&facts, &id).await?.ok_or(invalid_token())?;
        let caller = self.states.standing(&verified, &facts, now).await.map_err(refused)?;
        self.admission.admit(&caller.actor, now).result?;
        let family = self.family(of.family_id).await?.ok_or(invalid_token())?;
        if application.status != Status::Active || !family.stands() || family.session_id != verified.session_id {
            return Err(invalid_token());
        }
        let scopes = of.scopes.still_allowed(&application);
        if !scopes.has("openid") {
            return Err(NotGiven::fault(ErrorCode::InsufficientScope, "the scope openid is needed"));
        }
        let mut about = claims(&scopes, &caller.view);
        about.insert("sub".to_owned(), verified.user_id.to_string().into());
        Ok(about)
    }

    /// A family, at most a second old.
    async fn family(&self, id: FamilyId) -> Result<Option<Arc<TokenFamily>>> {
        if let Some(family) = self.cache.families.get(&id) {
            return Ok(Some(family));
        }
        let load = async || self.db.system(AUTH).token_family(id).await;
        Ok(self.cache.families.load(id, load).await?)
    }
}
