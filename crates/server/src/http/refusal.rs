//! Changes that are refused for want of a permission are remembered. Reading that is refused is only in the log of requests:
//! anybody could fill the trail with it, without being noticed by what it changes.

use actix_web::{HttpRequest, dev::ServiceResponse};
use gatehouse_domain::{audit::Refused, authz::Denied};

use crate::{
    app::{self, App},
    http::{
        context::{Auth, RequestContext},
        problem::Failure,
        request::meta,
    },
};

/// Records a refusal, if the answer is one.
pub async fn record<B>(app: &App, response: &ServiceResponse<B>) {
    let failure = response.response().error().and_then(|error| error.as_error::<Failure>());
    let denied = failure.and_then(|failure| match failure {
        Failure::App(app::Error::Denied(Denied::Forbidden(permission) | Denied::Scope(permission))) => {
            Some(*permission)
        }
        _ => None,
    });
    let Some(permission) = denied else { return };
    let request = response.request();
    let (false, Some(refused)) = (request.method().is_safe(), refused(request, permission)) else { return };
    if let Err(error) = app.refusals().record(refused, &meta(request)).await {
        tracing::warn!(error = %error, "a refusal could not be recorded");
    }
}

/// What is recorded: in the tenant that was asked for, else in that of whoever asked, if there is one.
fn refused(request: &HttpRequest, permission: &'static str) -> Option<Refused> {
    let operation = format!("{} {}", request.method(), request.match_pattern().unwrap_or_default());
    RequestContext::with(request, |state| {
        let actor = match &state.auth {
            Auth::Caller(caller) => &caller.actor,
            Auth::Application(actor) => actor,
            _ => return None,
        };
        let (_, own) = actor.id()?;
        let tenant = state.tenant.as_ref().map(|facts| facts.reference()).or(own);
        Some(Refused::access(tenant, actor.by()?, permission, &operation))
    })
}
