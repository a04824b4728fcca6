//! Tokens that applications get in their own name (RFC 6749, section 4.4).

use gatehouse_domain::{
    application::Application,
    oauth::{Audience, ErrorCode, Params, Scopes},
};
use gatehouse_persistence::WriteTx;

use crate::app::{
    Error, Result,
    oauth::{
        NotGiven, TokenEndpoint,
        issue::{Issued, Of},
        tokens::{AUTH, Asking},
    },
};

impl TokenEndpoint<'_> {
    /// An access token, without a refresh token. That it was issued is recorded once a minute.
    pub(super) async fn client_credentials(&self, asking: &Asking<'_>) -> Result<Issued, NotGiven> {
        let &Asking { at, application, params, proof, meta } = asking;
        if !at.is_active() {
            return Err(NotGiven::invalid_grant("the tenant is suspended"));
        }
        let (asked, now) = (params.get("resource"), self.env.now());
        let api = match asked {
            Some(uri) => Some(self.clients.target(at, application, uri).await?),
            None => None,
        };
        let scopes = asked_for(params, Scopes::allowed_by_itself(application, api.as_deref()), api.is_some())?;
        let resource =
            api.as_ref().zip(asked).and_then(|(api, asked)| api.resource_uri(asked)).map(ToString::to_string);
        let audience = Audience::of(application, resource.as_deref(), &scopes);
        let policy = at.layers().policy(self.defaults);
        let of = Of { at, application, policy: &policy, audience: &audience, scopes, proof };
        let issued = self.access_token(&of, None, meta, now).await?;
        if let Some(used) = Application::clone(application).use_itself(at.issuer(), &issued.scope, now) {
            let before = application.noted_at;
            let work = async move |tx: &WriteTx<'_>| {
                Ok::<_, Error>(tx.system(AUTH).use_application(before, used.clone()).await?)
            };
            self.db.write(meta.ctx.clone(), work).await?;
        }
        Ok(issued)
    }
}

/// The scopes that are asked for, or all that are allowed. For an API of others there may be none.
fn asked_for(params: &Params, allowed: Scopes, is_for_others: bool) -> Result<Scopes, NotGiven> {
    let invalid = |description| NotGiven::fault(ErrorCode::InvalidScope, description);
    let scopes = match params.get("scope") {
        Some(text) => Scopes::read_all(text).filter(|asked| asked.is_within(&allowed)),
        None => Some(allowed),
    };
    let scopes = scopes.ok_or(invalid("the application may not ask for one of these scopes in its own name"))?;
    if scopes.is_empty() && !is_for_others {
        return Err(invalid("the application has no scope that it could use in its own name"));
    }
    Ok(scopes)
}
