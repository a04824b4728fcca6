//! A forgotten password: where a link is sent with which another is set. Whoever comes from a sign-in has its request with
//! them, sealed, in a field of the form: the address names nothing but the tenant.

use std::sync::Arc;

use actix_web::{
    HttpResponse,
    http::{StatusCode, header::RETRY_AFTER},
    web::Data,
};
use askama::Template;
use gatehouse_domain::{issue::Parse, text::Email};

use super::{
    at_tenant,
    pending::{Pending, Visitor},
};
use crate::{
    app::{
        self, App,
        directory::{issuers::IssuerFacts, tenants::TenantFacts},
        mail::requests::Wish,
    },
    http::{
        extract::access::PathTenant,
        hosted::{Frame, texts::Texts},
        oauth::{params::Form, visit::Visit},
        problem::{Failure, wait_seconds},
        request::ChangeRequest,
    },
};

/// Asks for the address.
#[derive(Template)]
#[template(path = "hosted/forgot.html")]
struct ForgotPage<'a> {
    frame: Frame<'a>,
    /// Where the form goes.
    action: &'a str,
    form_token: &'a str,
    /// The request that waits, sealed.
    request: Option<&'a str>,
    /// Where the way back to the sign-in begins.
    sign_in: &'a str,
    /// What was typed.
    email: &'a str,
    fault: Option<Fault>,
    /// Whether the form came from another browser.
    is_again: bool,
}

/// Says that a mail is on its way, if there is an account.
#[derive(Template)]
#[template(path = "hosted/forgot_sent.html")]
struct SentPage<'a> {
    frame: Frame<'a>,
    request: Option<&'a str>,
    sign_in: &'a str,
}

/// Why nothing is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Missing,
    NoAddress,
    /// Too much was asked for: the next one is taken after so many seconds.
    Wait(u64),
}

impl Fault {
    fn words(self, t: &Texts) -> String {
        match self {
            Self::Missing => t.account.missing_address.to_owned(),
            Self::NoAddress => t.account.no_address.to_owned(),
            Self::Wait(seconds) => format!("{} {}", t.too_many_attempts, t.wait(seconds)),
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::Missing | Self::NoAddress => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Wait(_) => StatusCode::TOO_MANY_REQUESTS,
        }
    }
}

fn shown(
    (facts, visitor): (&TenantFacts, &Visitor<'_>),
    email: &str,
    fault: Option<Fault>,
    is_again: bool,
) -> Result<HttpResponse, Failure> {
    let action = at_tenant(facts, "forgot");
    let page = ForgotPage {
        frame: visitor.it.look.frame().of_form(&action, visitor.request),
        action: &action,
        form_token: &visitor.it.visit.browser.form_token(visitor.it.app),
        request: visitor.request,
        sign_in: &visitor.sign_in,
        email,
        fault,
        is_again,
    };
    let mut response = visitor.page(&page, fault.map_or(StatusCode::OK, Fault::status))?;
    if let Some(Fault::Wait(seconds)) = fault {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    Ok(response)
}

/// Shows the form to whoever comes from nowhere.
pub(super) async fn ask(
    tenant: PathTenant,
    visit: Visit,
    call: ChangeRequest,
    app: Data<App>,
) -> Result<HttpResponse, Failure> {
    let (pending, at) = (Pending::default(), IssuerFacts::Tenant(Arc::clone(&tenant.0)));
    let visitor = Visitor::new((&at, &app, &call.meta), &visit, &pending);
    if tenant.0.is_active() { shown((&tenant.0, &visitor), "", None, false) } else { visitor.it.suspended() }
}

/// Shows the form to whoever comes from a sign-in, and has the mail sent that it asks for. What is said then is the same
/// for every address.
pub(super) async fn send(
    tenant: PathTenant,
    form: Form,
    visit: Visit,
    call: ChangeRequest,
    app: Data<App>,
) -> Result<HttpResponse, Failure> {
    let at = IssuerFacts::Tenant(Arc::clone(&tenant.0));
    let pending = Pending::of(&app, &at, &form.0, &call.meta).await?;
    let visitor = Visitor::new((&at, &app, &call.meta), &visit, &pending);
    let place = (&*tenant.0, &visitor);
    if !tenant.0.is_active() {
        return visitor.it.suspended();
    }
    let typed = form.0.get("email").unwrap_or_default().trim();
    let Some(token) = form.0.get("form_token") else {
        // From the page of a sign-in comes what was typed there, which may be a user name.
        let address = if Email::parse(typed).is_ok() { typed } else { "" };
        return shown(place, address, None, false);
    };
    if form.0.repeated().is_some() || !visit.browser.got(&app, token) {
        return shown(place, typed, None, true);
    }
    if typed.is_empty() {
        return shown(place, "", Some(Fault::Missing), false);
    }
    let Ok(email) = Email::parse(typed) else { return shown(place, typed, Some(Fault::NoAddress), false) };
    match call.judged(app.recovery().ask(&tenant.0, Wish::PasswordReset, email, &call.meta).await) {
        Ok(()) => {
            let (frame, sign_in) = (visitor.it.look.frame(), visitor.sign_in.as_str());
            visitor.page(&SentPage { frame, request: visitor.request, sign_in }, StatusCode::OK)
        }
        Err(app::Error::RateLimited(delay)) => shown(place, typed, Some(Fault::Wait(wait_seconds(delay))), false),
        Err(app::Error::TenantSuspended) => visitor.it.suspended(),
        Err(error) => Err(error.into()),
    }
}
