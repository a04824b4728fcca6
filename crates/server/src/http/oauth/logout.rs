//! The end session endpoint (OpenID Connect RP-Initiated Logout 1.0).

use actix_web::{HttpResponse, web::Data};
use gatehouse_domain::oauth::Params;
use url::form_urlencoded;

use crate::{
    app::{
        App,
        oauth::{authorization::Page, sign_out::AskedToSignOut},
        request::client::RequestMeta,
    },
    http::{
        extract::access::PathTenant,
        oauth::{
            authorize::{signed_in, waiting},
            interaction::{Interaction, SignedInUser},
            params::{Form, Query},
            respond::see_other,
            visit::Visit,
        },
        problem::Failure,
        request::ChangeRequest,
    },
};

/// Signs the browser out, or asks whether it shall: only an application that shows an ID token of its session is sure to
/// ask on behalf of its user.
pub async fn logout(
    tenant: PathTenant,
    query: Query,
    visit: Visit,
    call: ChangeRequest,
    app: Data<App>,
) -> Result<HttpResponse, Failure> {
    let (facts, params) = (&tenant.0, &query.0);
    let it = Interaction::new(facts, &app, &visit, &call.meta, params);
    let asked = app.authorization().read_sign_out(facts, params, &call.meta).await?;
    match signed_in(&app, facts, &visit).await? {
        Some(user) if asked.session == Some(user.session.id) => end(&it, &app, user, &asked, &call.meta).await,
        Some(user) => it.sign_out(&user, &asked),
        None => done(&it, &asked),
    }
}

/// Somebody says that they want to sign out.
pub async fn sign_out(
    tenant: PathTenant,
    form: Form,
    visit: Visit,
    call: ChangeRequest,
    app: Data<App>,
) -> Result<HttpResponse, Failure> {
    let (facts, nothing) = (&tenant.0, Params::default());
    let Some((waiting, _)) = waiting(&app, facts, &visit, &form.0) else {
        return Interaction::new(facts, &app, &visit, &call.meta, &nothing).lost();
    };
    let params = waiting.params();
    let it = Interaction::new(facts, &app, &visit, &call.meta, &params);
    let asked = app.authorization().read_sign_out(facts, &params, &call.meta).await?;
    match signed_in(&app, facts, &visit).await? {
        Some(user)
            if waiting.judge(visit.browser.id(), app.env().now()) == Page::Current
                && waiting.is_about(user.session.id) =>
        {
            end(&it, &app, user, &asked, &call.meta).await
        }
        Some(user) => it.sign_out(&user, &asked),
        None => done(&it, &asked),
    }
}

async fn end(
    it: &Interaction<'_>,
    app: &App,
    user: SignedInUser,
    asked: &AskedToSignOut,
    meta: &RequestMeta,
) -> Result<HttpResponse, Failure> {
    app.authorization().sign_out(user.session, meta).await?;
    let mut response = done(it, asked)?;
    it.forget(&mut response);
    Ok(response)
}

fn done(it: &Interaction<'_>, asked: &AskedToSignOut) -> Result<HttpResponse, Failure> {
    match &asked.to {
        Some((uri, state)) => {
            let mut location = uri.clone();
            if let Some(state) = state {
                let query = form_urlencoded::Serializer::new(String::new()).append_pair("state", state).finish();
                location.push(if location.contains('?') { '&' } else { '?' });
                location.push_str(&query);
            }
            Ok(see_other(&location))
        }
        None => it.signed_out(),
    }
}
