//! The authorization endpoint (RFC 6749, section 3.1), and the forms of the pages that it shows.

use actix_web::{HttpRequest, HttpResponse, web::Data};
use gatehouse_domain::{
    issue::Parse,
    oauth::{Answered, ErrorCode, Params, RequestFault},
    password::Password,
    text::LoginName,
};
use url::form_urlencoded;

use crate::{
    app::{
        self, App,
        directory::tenants::TenantFacts,
        oauth::authorization::{Page, SessionState, Waiting},
        sign_in::complete::Opens,
    },
    http::{
        extract::access::PathTenant,
        hosted::{Notice, SignInFault},
        oauth::{
            interaction::{Interaction, SignedInUser},
            params::{Form, QUERY_MAX, Query},
            respond::see_other,
            visit::Visit,
        },
        problem::{Failure, wait_seconds},
        request::ChangeRequest,
    },
};

/// Takes a request, asks what there is to be asked, and answers.
pub async fn authorize(
    tenant: PathTenant,
    query: Query,
    visit: Visit,
    call: ChangeRequest,
    app: Data<App>,
) -> Result<HttpResponse, Failure> {
    let it = Interaction::new(&tenant.0, &app, &visit, &call.meta, &query.0);
    if !tenant.0.is_active() {
        return it.suspended();
    }
    let Some(params) = app.authorization().brought(&tenant.0, &query.0).await? else { return it.lost() };
    let it = Interaction::new(&tenant.0, &app, &visit, &call.meta, &params);
    let asked = match app.authorization().read(&tenant.0, &params, &call.meta).await {
        Ok(asked) => asked,
        Err(why) => return it.not_asked(why).await,
    };
    let user = signed_in(&app, &tenant.0, &visit).await?;
    it.go_on(&asked, user.as_ref(), &Answered::default(), None).await
}

/// The same by POST: as a GET it brings the cookies along, which browsers hold back from a form of another site.
pub async fn as_get(_: PathTenant, form: Form, request: HttpRequest) -> Result<HttpResponse, Failure> {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(form.0.pairs()).finish();
    if query.len() > QUERY_MAX {
        return Err(Failure::PayloadTooLarge);
    }
    Ok(see_other(&format!("{}?{query}", request.path())))
}

pub(in crate::http) async fn signed_in(
    app: &App,
    facts: &TenantFacts,
    visit: &Visit,
) -> Result<Option<SignedInUser>, Failure> {
    let state = app.authorization().session(facts, visit.session(facts)).await?;
    Ok(state.map(|SessionState { session, user, .. }| SignedInUser { session, user }))
}

/// The request that a form answers; and what is to be said, if it is none that counts.
pub(super) fn waiting(
    app: &App,
    facts: &TenantFacts,
    visit: &Visit,
    form: &Params,
) -> Option<(Waiting, Option<Notice>)> {
    if form.repeated().is_some() {
        return None;
    }
    let waiting = app.authorization().open(facts, form.get("request")?)?;
    let notice = match waiting.judge(visit.browser.id(), app.env().now()) {
        Page::Current => None,
        Page::TooOld => Some(Notice::TooOld),
        Page::OfAnother => Some(Notice::OtherBrowser),
    };
    Some((waiting, notice))
}

/// What somebody typed who signs in.
fn typed(form: &Params) -> Result<(LoginName, Password), SignInFault> {
    let username = form.get("username").filter(|name| !name.trim().is_empty()).ok_or(SignInFault::MissingUsername)?;
    let password = form.get("password").ok_or(SignInFault::MissingPassword)?;
    match (LoginName::parse(username), Password::parse(password)) {
        (Ok(name), Ok(password)) => Ok((name, password)),
        _ => Err(SignInFault::Wrong),
    }
}

fn fault(error: app::Error) -> Result<SignInFault, Failure> {
    Ok(match error {
        app::Error::InvalidCredentials => SignInFault::Wrong,
        app::Error::RateLimited(delay) => SignInFault::Wait(wait_seconds(delay)),
        app::Error::EmailNotVerified => SignInFault::EmailNotVerified,
        app::Error::TenantSuspended => SignInFault::Suspended,
        app::Error::LimitReached(_) => SignInFault::LimitReached,
        app::Error::Overloaded => SignInFault::Busy,
        other => return Err(other.into()),
    })
}

/// Somebody signs in.
pub async fn sign_in(
    tenant: PathTenant,
    form: Form,
    visit: Visit,
    call: ChangeRequest,
    app: Data<App>,
) -> Result<HttpResponse, Failure> {
    let (facts, nothing) = (&tenant.0, Params::default());
    let Some((waiting, notice)) = waiting(&app, facts, &visit, &form.0) else {
        return Interaction::new(facts, &app, &visit, &call.meta, &nothing).lost();
    };
    let params = waiting.params();
    let it = Interaction::new(facts, &app, &visit, &call.meta, &params);
    let asked = match app.authorization().read(facts, &params, &call.meta).await {
        Ok(asked) => asked,
        Err(why) => return it.not_asked(why).await,
    };
    let former = signed_in(&app, facts, &visit).await?;
    if notice.is_some() {
        return it.go_on(&asked, former.as_ref(), &Answered::default(), notice).await;
    }
    let (answered, username) = (waiting.answered(), form.0.get("username").unwrap_or_default());
    let is_expected = |user: &&SignedInUser| asked.expected.is_none_or(|expected| expected == user.user.id);
    let shown = former.as_ref().filter(is_expected);
    let again = |fault| it.sign_in(&asked, &answered, shown, username, Some(fault), None);
    let (name, password) = match typed(&form.0) {
        Ok(typed) => typed,
        Err(fault) => return again(fault),
    };
    let opens = Opens::Cookie(former.as_ref().map(|former| Box::new(former.session.clone())));
    let step = call.judged(app.sign_in().password(facts, &name, password, None, &opens, &call.meta).await);
    let signed_in = match step.and_then(app::sign_in::complete::Step::signed_in) {
        Ok(signed_in) => signed_in,
        Err(error) => return again(fault(error)?),
    };
    it.enter(&asked, &answered, signed_in, &call).await
}

/// Somebody who is signed in says which account it is to be.
pub async fn select_account(
    tenant: PathTenant,
    form: Form,
    visit: Visit,
    call: ChangeRequest,
    app: Data<App>,
) -> Result<HttpResponse, Failure> {
    answered(&tenant, &form.0, &visit, &call, &app).await
}

/// Somebody who is signed in says whether the application may have what it asks for.
pub async fn consent(
    tenant: PathTenant,
    form: Form,
    visit: Visit,
    call: ChangeRequest,
    app: Data<App>,
) -> Result<HttpResponse, Failure> {
    answered(&tenant, &form.0, &visit, &call, &app).await
}

/// Goes on with what somebody answered. It counts for the session that the page was about and no other.
async fn answered(
    tenant: &PathTenant,
    form: &Params,
    visit: &Visit,
    call: &ChangeRequest,
    app: &App,
) -> Result<HttpResponse, Failure> {
    let (facts, nothing) = (&tenant.0, Params::default());
    let Some((waiting, notice)) = waiting(app, facts, visit, form) else {
        return Interaction::new(facts, app, visit, &call.meta, &nothing).lost();
    };
    let params = waiting.params();
    let it = Interaction::new(facts, app, visit, &call.meta, &params);
    let asked = match app.authorization().read(facts, &params, &call.meta).await {
        Ok(asked) => asked,
        Err(why) => return it.not_asked(why).await,
    };
    let user = signed_in(app, facts, visit).await?;
    if notice.is_some() {
        return it.go_on(&asked, user.as_ref(), &Answered::default(), notice).await;
    }
    let mut answered = waiting.answered();
    let shown = user.as_ref().map(|user| user.session.id).filter(|id| waiting.is_about(*id));
    match (form.get("answer"), shown) {
        (Some("continue"), Some(_)) => answered.selected = shown,
        (Some("allow"), Some(_)) if waiting.says(&asked.request) => answered.consented = shown,
        (Some("refuse"), Some(_)) => {
            if let Some(user) = &user {
                app.authorization().refuse(&asked, &user.session, &call.meta).await?;
            }
            let refused = RequestFault::new(ErrorCode::AccessDenied, "the user refused");
            return it.refuse(&asked.request.destination, refused).await;
        }
        (Some("another"), _) => return it.sign_in(&asked, &answered, None, "", None, None),
        // Somebody else is signed in by now than the page was about: what was answered counts for nothing.
        (_, None) => answered = Answered::default(),
        _ => {}
    }
    it.go_on(&asked, user.as_ref(), &answered, None).await
}
