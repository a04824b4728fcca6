//! The pages on which somebody signs in a device that shows a code (RFC 8628, section 3.3). The same page stands for every
//! issuer, as people type its address, and below each.

use actix_web::{
    HttpResponse,
    http::{StatusCode, header::RETRY_AFTER},
    web::Data,
};
use askama::Template;
use gatehouse_domain::{
    oauth::{Answered, DeviceAnswer, DeviceRequest, OFFLINE_ACCESS, Params, Scopes, UserCode},
    time::Timestamp,
};

use crate::{
    app::{
        self, App,
        directory::issuers::IssuerFacts,
        oauth::{authorization::Asked, browser::SessionState},
    },
    http::{
        extract::access::{Anybody, AtIssuer},
        hosted::{AccountLine, Frame, Look, ScopeLine, initial, texts::Texts},
        oauth::{
            authorize::waiting,
            interaction::Interaction,
            params::{Form, Query},
            respond::{self, Policy},
            visit::Visit,
        },
        problem::{Failure, wait_seconds},
        request::ChangeRequest,
    },
};

/// The path of the page for every issuer.
pub const PAGE: &str = "/device";

/// Asks for the code.
#[derive(Template)]
#[template(path = "hosted/device_code.html")]
struct CodePage<'a> {
    frame: Frame<'a>,
    /// Where the form goes.
    action: &'a str,
    form_token: &'a str,
    /// What was typed, or is in the address.
    code: &'a str,
    fault: Option<Fault>,
    /// Whether the form came from another browser.
    is_again: bool,
}

/// Why no device is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Missing,
    Unknown,
    /// Too many were wrong: the next one is taken after so many seconds.
    Wait(u64),
}

impl Fault {
    fn words(self, t: &Texts) -> String {
        match self {
            Self::Missing => t.device.missing.to_owned(),
            Self::Unknown => t.device.unknown.to_owned(),
            Self::Wait(seconds) => format!("{} {}", t.too_many_attempts, t.wait(seconds)),
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::Missing | Self::Unknown => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Wait(_) => StatusCode::TOO_MANY_REQUESTS,
        }
    }
}

/// Asks whether the device is signed in: `answer` is `allow`, `refuse`, or `another` for somebody who is not who is signed
/// in.
#[derive(Template)]
#[template(path = "hosted/device.html")]
struct DevicePage<'a> {
    frame: Frame<'a>,
    application: &'a str,
    code: &'a str,
    asked_at: &'a str,
    /// Where the device is, for people.
    place: Option<&'a str>,
    address: Option<&'a str>,
    account: AccountLine<'a>,
    scopes: Vec<ScopeLine<'a>>,
    resource: Option<&'a str>,
    action: &'a str,
    /// The request that waits, sealed.
    request: &'a str,
}

/// Says what became of it.
#[derive(Template)]
#[template(path = "hosted/device_done.html")]
struct DonePage<'a> {
    frame: Frame<'a>,
    is_approved: bool,
}

/// A browser at the page that asks for a code, of an issuer or of all.
struct Visitor<'a> {
    at: Option<&'a IssuerFacts>,
    visit: &'a Visit,
    app: &'a App,
}

impl Visitor<'_> {
    fn shown(&self, code: &str, fault: Option<Fault>, is_again: bool) -> Result<HttpResponse, Failure> {
        let facts = self.at.and_then(IssuerFacts::tenant).map(|facts| &**facts);
        let look = Look::of(facts, self.visit.texts(None));
        let page = CodePage {
            frame: look.frame(),
            action: self.visit.browser.path(),
            form_token: &self.visit.browser.form_token(self.app),
            code,
            fault,
            is_again,
        };
        let policy = Policy { logo: look.logo(), ..Policy::default() };
        let mut response = respond::page(&page, fault.map_or(StatusCode::OK, Fault::status), &policy)?;
        self.visit.browser.introduce(response.headers_mut());
        if let Some(Fault::Wait(seconds)) = fault {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        Ok(response)
    }

    /// Goes on with the device whose code was typed.
    async fn typed(&self, form: &Params, call: &ChangeRequest) -> Result<HttpResponse, Failure> {
        let typed = form.get("user_code").unwrap_or_default().trim();
        let token = form.get("form_token").filter(|_| form.repeated().is_none());
        if !token.is_some_and(|token| self.visit.browser.got(self.app, token)) {
            return self.shown(typed, None, true);
        }
        if typed.is_empty() {
            return self.shown("", Some(Fault::Missing), false);
        }
        let (code, issuer) = (UserCode::read(typed), self.at.map(IssuerFacts::issuer));
        let found = self.app.authorization().device(code.as_ref(), issuer, self.visit.browser.id(), &call.meta).await;
        let device = match found {
            Ok(Some(device)) => device,
            Ok(None) => return self.shown(typed, Some(Fault::Unknown), false),
            Err(app::Error::RateLimited(delay)) => {
                return self.shown(typed, Some(Fault::Wait(wait_seconds(delay))), false);
            }
            Err(error) => return Err(error.into()),
        };
        let at = self.app.session_states().issuer_of_device(&device).await?.ok_or(app::Error::NotFound)?;
        let params = Params::of_device(device.user_code);
        let it = Interaction::new(&at, self.app, self.visit, &call.meta, &params);
        if !at.is_active() {
            return it.suspended();
        }
        let asked = match self.app.authorization().read(&at, &params, &call.meta).await {
            Ok(asked) => asked,
            Err(why) => return it.not_asked(why).await,
        };
        let browser = self.visit.signed_in(self.app, &at).await?;
        it.go_on(&asked, &browser, &Answered::default(), None).await
    }
}

/// Asks for the code of a device, of whatever tenant.
pub async fn ask(_: Anybody, query: Query, visit: Visit, app: Data<App>) -> Result<HttpResponse, Failure> {
    let code = query.0.get("user_code").unwrap_or_default();
    Visitor { at: None, visit: &visit, app: &app }.shown(code, None, false)
}

/// The same at an issuer.
pub async fn ask_at_issuer(at: AtIssuer, query: Query, visit: Visit, app: Data<App>) -> Result<HttpResponse, Failure> {
    let code = query.0.get("user_code").unwrap_or_default();
    Visitor { at: Some(&at.0), visit: &visit, app: &app }.shown(code, None, false)
}

/// Goes on with the device whose code was typed.
pub async fn typed(
    _: Anybody,
    form: Form,
    visit: Visit,
    call: ChangeRequest,
    app: Data<App>,
) -> Result<HttpResponse, Failure> {
    Visitor { at: None, visit: &visit, app: &app }.typed(&form.0, &call).await
}

/// The same at the page of an issuer.
pub async fn typed_at_issuer(
    at: AtIssuer,
    form: Form,
    visit: Visit,
    call: ChangeRequest,
    app: Data<App>,
) -> Result<HttpResponse, Failure> {
    Visitor { at: Some(&at.0), visit: &visit, app: &app }.typed(&form.0, &call).await
}

/// Somebody says whether the device is signed in as them. It counts for the session that the page was about, which has
/// opened what the device asks for.
pub async fn answer(
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
    let Some(device) = &asked.device else { return it.lost() };
    let browser = visit.signed_in(&app, at).await?;
    let by = waiting.shown().filter(|_| notice.is_none()).and_then(|id| browser.named(id));
    let Some(by) = by else { return it.go_on(&asked, &browser, &Answered::default(), notice).await };
    let answer = match form.0.get("answer") {
        Some("allow") if waiting.says(&asked) => DeviceAnswer::Approved,
        Some("refuse") => DeviceAnswer::Refused,
        Some("another") => {
            app.authorization().leave_device(device, &by.session, &call.meta).await?;
            return it.sign_in(&asked, &waiting.answered(), (&browser, None), ("", None), None);
        }
        _ => return it.go_on(&asked, &browser, &Answered::default(), None).await,
    };
    if !app.authorization().answer_device(device, answer, &by.session, &call.meta).await? {
        return it.error(StatusCode::BAD_REQUEST, it.look.t.device.gone);
    }
    let is_approved = answer == DeviceAnswer::Approved;
    it.page(&DonePage { frame: it.look.frame(), is_approved }, StatusCode::OK, None)
}

impl<'a> Interaction<'a> {
    /// The page that asks whether a device is signed in. It is for the session that sees it first.
    pub(super) async fn device(
        &self,
        asked: &'a Asked,
        device: &DeviceRequest,
        user: &SessionState,
        answered: &Answered,
    ) -> Result<HttpResponse, Failure> {
        if !self.app.authorization().open_device(device, &user.session, self.meta).await? {
            return self.error(StatusCode::BAD_REQUEST, self.look.t.device.gone);
        }
        // It stays signed in, whether it asks for that or not.
        let scopes = asked.request.consent_scopes().or(&Scopes::read(OFFLINE_ACCESS));
        let address = device.ip.map(|ip| ip.to_string());
        let place = self.app.place_of(device);
        let (action, request) = (self.action("device/answer"), self.sealed(answered, &user.session, Some(asked))?);
        let page = DevicePage {
            frame: self.look.frame().of_form(&action, Some(&request)),
            application: asked.application.name.as_str(),
            code: &device.user_code.to_string(),
            asked_at: &self.look.t.ago(minutes(device.created_at, self.app.env().now())),
            place: place.as_deref(),
            address: address.as_deref(),
            account: self.account(user).await?,
            scopes: self.lines(asked, &scopes),
            resource: asked.request.resource.as_deref(),
            action: &action,
            request: &request,
        };
        self.page(&page, StatusCode::OK, Some(asked))
    }
}

/// Whole minutes since something was.
fn minutes(then: Timestamp, now: Timestamp) -> u64 {
    now.since(then).as_secs() / 60
}
