//! The authorization endpoint (RFC 6749, section 3.1), and the forms of the pages that it shows.

use actix_web::{HttpRequest, HttpResponse, web::Data};
use gatehouse_domain::{
    id::SessionId,
    issue::Parse,
    oauth::{Answered, ErrorCode, Params, RequestFault},
    password::Password,
    text::LoginName,
};
use url::form_urlencoded;

use crate::{
    app::{
        self, App,
        directory::issuers::IssuerFacts,
        oauth::{
            authorization::{Page, Waiting},
            browser::{BrowserSessions, SessionState},
        },
        sign_in::complete::Opens,
    },
    http::{
        extract::access::AtIssuer,
        hosted::{Notice, SignInFault, texts::LANGUAGES},
        oauth::{
            interaction::Interaction,
            params::{Form, QUERY_MAX, Query},
            platform,
            respond::see_other,
            visit::Visit,
        },
        problem::{Failure, wait_seconds},
        request::ChangeRequest,
    },
};

/// Takes a request, asks what there is to be asked, and answers.
pub async fn authorize(
    at: AtIssuer,
    query: Query,
    visit: Visit,
    call: ChangeRequest,
    app: Data<App>,
) -> Result<HttpResponse, Failure> {
    let it = Interaction::new(&at.0, &app, &visit, &call.meta, &query.0);
    if !at.0.is_active() {
        return it.suspended();
    }
    let Some(params) = app.authorization().brought(&at.0, &query.0).await? else { return it.lost() };
    let it = Interaction::new(&at.0, &app, &visit, &call.meta, &params);
    let asked = match app.authorization().read(&at.0, &params, &call.meta).await {
        Ok(asked) => asked,
        Err(why) => return it.not_asked(why).await,
    };
    let browser = visit.signed_in(&app, &at.0).await?;
    it.go_on(&asked, &browser, &Answered::default(), None).await
}

/// The same by POST: as a GET it brings the cookies along, which browsers hold back from a form of another site.
pub async fn as_get(_: AtIssuer, form: Form, request: HttpRequest) -> Result<HttpResponse, Failure> {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(form.0.pairs()).finish();
    if query.len() > QUERY_MAX {
        return Err(Failure::PayloadTooLarge);
    }
    Ok(see_other(&format!("{}?{query}", request.path())))
}

/// The language that somebody chooses below a page, instead of answering it.
pub(in crate::http) fn language(form: &Params) -> Option<&'static str> {
    let wanted = form.get("language")?;
    LANGUAGES.into_iter().map(|(tag, _)| tag).find(|tag| *tag == wanted)
}

/// Somebody opened the address of a page that is reached by its form alone.
pub async fn by_address(
    at: AtIssuer,
    visit: Visit,
    call: ChangeRequest,
    app: Data<App>,
) -> Result<HttpResponse, Failure> {
    let nothing = Params::default();
    Interaction::new(&at.0, &app, &visit, &call.meta, &nothing).not_by_address()
}

/// The request that a form answers; and what is to be said, if it is none that counts.
pub(super) fn waiting(app: &App, at: &IssuerFacts, visit: &Visit, form: &Params) -> Option<(Waiting, Option<Notice>)> {
    if form.repeated().is_some() {
        return None;
    }
    let waiting = app.authorization().open(at, form.get("request")?)?.in_language(language(form));
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

pub(super) fn fault(error: app::Error) -> Result<SignInFault, Failure> {
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
    at: AtIssuer,
    form: Form,
    visit: Visit,
    call: ChangeRequest,
    app: Data<App>,
) -> Result<HttpResponse, Failure> {
    let (at, nothing) = (&at.0, Params::default());
    let Some((waiting, notice)) = waiting(&app, at, &visit, &form.0) else {
        return Interaction::new(at, &app, &visit, &call.meta, &nothing).lost();
    };
    let params = waiting.params();
    let it = Interaction::new(at, &app, &visit, &call.meta, &params);
    let asked = match app.authorization().read(at, &params, &call.meta).await {
        Ok(asked) => asked,
        Err(why) => return it.not_asked(why).await,
    };
    let browser = visit.signed_in(&app, at).await?;
    if notice.is_some() {
        return it.go_on(&asked, &browser, &Answered::default(), notice).await;
    }
    let answered = waiting.answered();
    let Some(facts) = at.tenant() else {
        return platform::sign_in(&it, &asked, &answered, &browser, &form.0, &call).await;
    };
    let (former, username) = (browser.usual(), form.0.get("username").unwrap_or_default());
    let is_expected = |user: &&SessionState| asked.expected.is_none_or(|expected| expected == user.user.id);
    let shown = former.filter(is_expected);
    let again = |fault| it.sign_in(&asked, &answered, (&browser, shown), (username, Some(fault)), None);
    if form.0.get("language").is_some() {
        return it.sign_in(&asked, &answered, (&browser, shown), ("", None), None);
    }
    let (name, password) = match typed(&form.0) {
        Ok(typed) => typed,
        Err(fault) => return again(fault),
    };
    let opens = Opens::Cookie(former.map(|former| Box::new(former.session.clone())));
    let step = call.judged(app.sign_in().password(facts, &name, password, None, &opens, &call.meta).await);
    let signed_in = match step.and_then(app::sign_in::complete::Step::signed_in) {
        Ok(signed_in) => signed_in,
        Err(error) => return again(fault(error)?),
    };
    it.enter(&asked, &answered, signed_in, &call).await
}

/// Somebody who is signed in says which account it is to be.
pub async fn select_account(
    at: AtIssuer,
    form: Form,
    visit: Visit,
    call: ChangeRequest,
    app: Data<App>,
) -> Result<HttpResponse, Failure> {
    answered(&at, &form.0, &visit, &call, &app).await
}

/// Somebody who is signed in says whether the application may have what it asks for.
pub async fn consent(
    at: AtIssuer,
    form: Form,
    visit: Visit,
    call: ChangeRequest,
    app: Data<App>,
) -> Result<HttpResponse, Failure> {
    answered(&at, &form.0, &visit, &call, &app).await
}

/// Goes on with what somebody answered. It counts for the session that the page was about and no other.
async fn answered(
    at: &AtIssuer,
    form: &Params,
    visit: &Visit,
    call: &ChangeRequest,
    app: &App,
) -> Result<HttpResponse, Failure> {
    let (at, nothing) = (&at.0, Params::default());
    let Some((waiting, notice)) = waiting(app, at, visit, form) else {
        return Interaction::new(at, app, visit, &call.meta, &nothing).lost();
    };
    let params = waiting.params();
    let it = Interaction::new(at, app, visit, &call.meta, &params);
    let asked = match app.authorization().read(at, &params, &call.meta).await {
        Ok(asked) => asked,
        Err(why) => return it.not_asked(why).await,
    };
    let browser = visit.signed_in(app, at).await?;
    if notice.is_some() {
        return it.go_on(&asked, &browser, &Answered::default(), notice).await;
    }
    let mut answered = waiting.answered();
    if let Some(user) = form.get("answer").and_then(|id| chosen(&browser, id)) {
        answered.selected = Some(user.session.id);
        return it.go_on(&asked, &browser, &answered, None).await;
    }
    let shown = waiting.shown().and_then(|id| browser.named(id));
    match (form.get("answer"), shown) {
        (Some("allow"), Some(user)) if waiting.says(&asked) => {
            (answered.selected, answered.consented) = (Some(user.session.id), Some(user.session.id));
        }
        (Some("refuse"), Some(user)) => {
            app.authorization().refuse(&asked, &user.session, &call.meta).await?;
            let refused = RequestFault::new(ErrorCode::AccessDenied, "the user refused");
            return it.refuse(&asked.request.destination, refused).await;
        }
        (Some("another"), _) => return it.sign_in(&asked, &answered, (&browser, None), ("", None), None),
        // Somebody else is signed in by now than the page was about: what was answered counts for nothing.
        (_, None) if form.get("language").is_none() => answered = Answered::default(),
        _ => {}
    }
    it.go_on(&asked, &browser, &answered, None).await
}

/// The session that somebody chose by its id.
fn chosen<'b>(browser: &'b BrowserSessions, id: &str) -> Option<&'b SessionState> {
    SessionId::parse(id).ok().and_then(|id| browser.named(id))
}
