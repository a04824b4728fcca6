//! The end session endpoint (OpenID Connect RP-Initiated Logout 1.0).

use actix_web::{HttpResponse, web::Data};
use gatehouse_domain::oauth::Params;
use url::form_urlencoded;

use crate::{
    app::{
        App,
        oauth::{
            authorization::Page,
            browser::{BrowserSessions, SessionState},
            sign_out::AskedToSignOut,
        },
        request::client::RequestMeta,
    },
    http::{
        extract::access::AtIssuer,
        oauth::{
            authorize::waiting,
            interaction::Interaction,
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
    at: AtIssuer,
    query: Query,
    visit: Visit,
    call: ChangeRequest,
    app: Data<App>,
) -> Result<HttpResponse, Failure> {
    let (at, params) = (&at.0, &query.0);
    let it = Interaction::new(at, &app, &visit, &call.meta, params);
    let asked = app.authorization().read_sign_out(at, params, &call.meta).await?;
    let browser = visit.signed_in(&app, at).await?;
    match (asked.session.and_then(|id| browser.named(id)), browser.likeliest()) {
        (Some(user), _) => end(&it, (&browser, user), &asked, &call.meta).await,
        (None, Some(user)) => it.sign_out(user, &asked).await,
        (None, None) => done(&it, &asked, &browser, None).await,
    }
}

/// Somebody says that they want to sign out.
pub async fn sign_out(
    at: AtIssuer,
    form: Form,
    visit: Visit,
    call: ChangeRequest,
    app: Data<App>,
) -> Result<HttpResponse, Failure> {
    let (at, nothing) = (&at.0, Params::default());
    let Some((waiting, _)) = waiting(&app, at, &visit, &form.0) else {
        return Interaction::new(at, &app, &visit, &call.meta, &nothing).lost();
    };
    let params = waiting.params();
    let it = Interaction::new(at, &app, &visit, &call.meta, &params);
    let asked = app.authorization().read_sign_out(at, &params, &call.meta).await?;
    let browser = visit.signed_in(&app, at).await?;
    let is_current = waiting.judge(visit.browser.id(), app.env().now()) == Page::Current;
    let shown = waiting.shown().filter(|_| is_current).and_then(|id| browser.named(id));
    match (shown, browser.likeliest()) {
        (Some(user), _) => end(&it, (&browser, user), &asked, &call.meta).await,
        (None, Some(user)) => it.sign_out(user, &asked).await,
        (None, None) => done(&it, &asked, &browser, None).await,
    }
}

async fn end(
    it: &Interaction<'_>,
    (browser, user): (&BrowserSessions, &SessionState),
    asked: &AskedToSignOut,
    meta: &RequestMeta,
) -> Result<HttpResponse, Failure> {
    it.app.authorization().sign_out(user.session.clone(), meta).await?;
    let mut response = done(it, asked, browser, Some(user)).await?;
    it.forget(&mut response, browser, &user.session);
    Ok(response)
}

/// Where the browser goes then, or what it shows: who is still signed in, too.
async fn done(
    it: &Interaction<'_>,
    asked: &AskedToSignOut,
    browser: &BrowserSessions,
    ended: Option<&SessionState>,
) -> Result<HttpResponse, Failure> {
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
        None => {
            let rest = browser.all().iter().filter(|it| ended.is_none_or(|ended| ended.session.id != it.session.id));
            it.signed_out(asked.application.as_deref(), rest).await
        }
    }
}
