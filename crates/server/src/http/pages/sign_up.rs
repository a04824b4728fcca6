//! Creating an account, where the tenant lets anybody do that. What is taken and refused, and how often, is as at the API.

use std::sync::Arc;

use actix_web::{
    HttpResponse,
    http::{StatusCode, header::RETRY_AFTER},
    web::Data,
};
use askama::Template;
use gatehouse_domain::{
    issue::{Fault, Issues, Loc, Parse},
    password::Password,
    settings::Registration,
    text::{Email, LoginName, Username},
};

use super::{
    at_tenant,
    pending::{Pending, SIGN_IN, Visitor},
};
use crate::{
    app::{
        self, App,
        account::registration::Register,
        directory::{issuers::IssuerFacts, tenants::TenantFacts},
        oauth::{authorization::Asked, browser::SessionState},
        sign_in::complete::Opens,
    },
    http::{
        extract::access::PathTenant,
        hosted::{Frame, texts::Texts},
        oauth::{
            interaction::{Interaction, name},
            params::Form,
            visit::Visit,
        },
        problem::{Failure, wait_seconds},
        request::ChangeRequest,
    },
};

/// Asks for user name, address and password.
#[derive(Template)]
#[template(path = "hosted/sign_up.html")]
struct SignUpPage<'a> {
    frame: Frame<'a>,
    /// Where the form goes.
    action: &'a str,
    form_token: &'a str,
    /// The request that waits, sealed.
    request: Option<&'a str>,
    /// Where the way back to the sign-in begins.
    sign_in: &'a str,
    typed: &'a Typed<'a>,
    faults: Faults,
    /// How many characters a password has at least.
    least: usize,
    /// Whether the form came from another browser.
    is_again: bool,
    /// The name of who is signed in until the new account is.
    signed_in: Option<&'a str>,
}

impl SignUpPage<'_> {
    fn hint(&self) -> String {
        let [before, after] = self.frame.t.account.password_hint;
        format!("{before}{}{after}", self.least)
    }

    /// Where writing begins: in the first field with a fault, else in the first.
    fn begins_with(&self, field: &str) -> bool {
        let Faults { username, email, password, .. } = &self.faults;
        let wrong = [("username", username.is_some()), ("email", email.is_some()), ("password", password.is_some())];
        wrong.iter().find(|(_, is_wrong)| *is_wrong).map_or("username", |(name, _)| name) == field
    }
}

/// Says that the account is there, where its owner is not signed in at once.
#[derive(Template)]
#[template(path = "hosted/signed_up.html")]
struct SignedUpPage<'a> {
    frame: Frame<'a>,
    title: &'static str,
    lead: &'static str,
    request: Option<&'a str>,
    sign_in: &'a str,
}

/// Who comes, and what they typed, but for the password.
#[derive(Default)]
struct Typed<'a> {
    username: &'a str,
    email: &'a str,
    /// The name of who is signed in until the new account is.
    former: Option<&'a str>,
}

/// Why there is no account, beside each field and above all of them.
#[derive(Debug, Default)]
struct Faults {
    username: Option<&'static str>,
    email: Option<&'static str>,
    password: Option<String>,
    whole: Option<String>,
    /// After how many seconds the next attempt is taken.
    wait: Option<u64>,
    status: StatusCode,
}

impl Faults {
    fn whole(status: StatusCode, text: impl Into<String>) -> Self {
        Self { whole: Some(text.into()), status, ..Self::default() }
    }

    /// The first that there is.
    fn first(&self) -> Option<&str> {
        let beside = [self.whole.as_deref(), self.username, self.email, self.password.as_deref()];
        beside.into_iter().flatten().next()
    }

    /// Those that a use case found.
    fn of(issues: &Issues, t: &Texts, least: usize) -> Self {
        let mut faults = Self { status: StatusCode::UNPROCESSABLE_ENTITY, ..Self::default() };
        for issue in issues.iter() {
            match issue.loc.last() {
                Some(Loc::Key(field)) if field == "username" => faults.username = Some(t.account.no_username),
                Some(Loc::Key(field)) if field == "email" => faults.email = Some(t.account.no_address),
                _ => faults.password = Some(of_password(issue.kind, t, least)),
            }
        }
        faults
    }

    /// Why a use case did not make the account.
    fn why(error: app::Error, t: &Texts, least: usize) -> Result<Self, Failure> {
        Ok(match error {
            app::Error::Invalid(issues) => Self::of(&issues, t, least),
            app::Error::AlreadyRegistered => Self::whole(StatusCode::CONFLICT, t.account.taken),
            app::Error::LimitReached(_) => Self::whole(StatusCode::CONFLICT, t.account.full),
            app::Error::Overloaded => {
                Self { wait: Some(1), ..Self::whole(StatusCode::SERVICE_UNAVAILABLE, t.account.overloaded) }
            }
            app::Error::RateLimited(delay) => {
                let seconds = wait_seconds(delay);
                let text = format!("{} {}", t.too_many_attempts, t.wait(seconds));
                Self { wait: Some(seconds), ..Self::whole(StatusCode::TOO_MANY_REQUESTS, text) }
            }
            other => return Err(other.into()),
        })
    }
}

/// What is wrong with a password.
fn of_password(kind: &str, t: &Texts, least: usize) -> String {
    let [before, after] = t.account.too_short;
    match kind {
        "password_too_short" | "string_too_short" => format!("{before}{least}{after}"),
        "string_too_long" => t.account.too_long.to_owned(),
        _ => t.account.too_weak.to_owned(),
    }
}

/// Shows the form to whoever an application sends here to open an account (`prompt=create`).
pub(in crate::http) fn first<'a>(
    it: &Interaction<'a>,
    facts: &TenantFacts,
    asked: &'a Asked,
    request: &str,
    former: Option<&SessionState>,
) -> Result<HttpResponse, Failure> {
    let typed = Typed { former: former.map(|former| name(&former.user)), ..Typed::default() };
    page((facts, it), Some(asked), Some(request), &typed, Faults::default(), false)
}

fn shown(
    (facts, visitor): (&TenantFacts, &Visitor<'_>),
    typed: &Typed<'_>,
    faults: Faults,
    is_again: bool,
) -> Result<HttpResponse, Failure> {
    page((facts, &visitor.it), visitor.asked, visitor.request, typed, faults, is_again)
}

fn page<'a>(
    (facts, it): (&TenantFacts, &Interaction<'a>),
    asked: Option<&'a Asked>,
    request: Option<&str>,
    typed: &Typed<'_>,
    faults: Faults,
    is_again: bool,
) -> Result<HttpResponse, Failure> {
    let (status, wait, action) = (faults.status, faults.wait, at_tenant(facts, "sign-up"));
    let page = SignUpPage {
        frame: it.look.frame().of_form(&action, request),
        action: &action,
        form_token: &it.visit.browser.form_token_for(it.app, &action),
        request,
        sign_in: &it.action(SIGN_IN),
        typed,
        faults,
        least: it.app.new_passwords().least(facts),
        is_again,
        signed_in: typed.former,
    };
    let mut response = it.page(&page, status, asked)?;
    if let Some(seconds) = wait {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    Ok(response)
}

/// Why nobody creates an account here now.
fn refused(visitor: &Visitor<'_>, facts: &TenantFacts) -> Option<Result<HttpResponse, Failure>> {
    if !facts.is_active() {
        return Some(visitor.it.suspended());
    }
    let is_open = visitor.it.app.accounts().registration(facts) == Registration::Open;
    (!is_open).then(|| visitor.it.error(StatusCode::FORBIDDEN, visitor.it.look.t.account.closed))
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
    match refused(&visitor, &tenant.0) {
        Some(refused) => refused,
        None => shown((&tenant.0, &visitor), &Typed::default(), Faults::default(), false),
    }
}

/// Shows the form to whoever comes from a sign-in, and makes the account that it asks for.
pub(super) async fn register(
    tenant: PathTenant,
    form: Form,
    visit: Visit,
    call: ChangeRequest,
    app: Data<App>,
) -> Result<HttpResponse, Failure> {
    let (facts, form, at) = (&tenant.0, &form.0, IssuerFacts::Tenant(Arc::clone(&tenant.0)));
    let pending = Pending::of(&app, &at, form, &call.meta).await?;
    let visitor = Visitor::new((&at, &app, &call.meta), &visit, &pending);
    let place = (&**facts, &visitor);
    if let Some(refused) = refused(&visitor, facts) {
        return refused;
    }
    let browser = visit.signed_in(&app, &at).await?;
    let former = browser.usual().map(|former| name(&former.user));
    let Some(token) = form.get("form_token") else {
        return shown(place, &Typed { former, ..Typed::default() }, Faults::default(), false);
    };
    let field = |name: &str| form.get(name).unwrap_or_default().trim();
    let typed = Typed { username: field("username"), email: field("email"), former };
    if form.repeated().is_some() || !visit.browser.got(&app, token) {
        return shown(place, &typed, Faults::default(), true);
    }
    let new = match read(place, &typed, form.get("password"), &call).await {
        Ok(new) => new,
        Err(faults) => return shown(place, &typed, faults, false),
    };
    if let Err(error) = call.judged(app.accounts().register(facts, new.clone(), &call.meta).await) {
        let least = app.new_passwords().least(facts);
        return shown(place, &typed, Faults::why(error, visitor.it.look.t, least)?, false);
    }
    go_on(place, &pending, new, &call).await
}

/// What is given for an account, or everything that is wrong with it.
async fn read(
    (facts, visitor): (&TenantFacts, &Visitor<'_>),
    typed: &Typed<'_>,
    password: Option<&str>,
    call: &ChangeRequest,
) -> Result<Register, Faults> {
    let (t, accounts) = (visitor.it.look.t, visitor.it.app.accounts());
    let least = visitor.it.app.new_passwords().least(facts);
    let (username, email) = (Username::parse(typed.username), Email::parse(typed.email));
    let password = password.map(Password::parse);
    let (username, email, password) = match (username, email, password) {
        (Ok(username), Ok(email), Some(Ok(password))) => {
            return Ok(Register { username, email, password, display_name: None, phone: None });
        }
        others => others,
    };
    let missing = |typed: &str, missing, wrong| if typed.is_empty() { missing } else { wrong };
    let of_username =
        username.is_err().then(|| missing(typed.username, t.account.missing_username, t.account.no_username));
    let of_email = email.is_err().then(|| missing(typed.email, t.account.missing_address, t.account.no_address));
    let of_password = match password {
        None => Some(t.account.missing_password.to_owned()),
        Some(Err(Fault { kind, .. })) => Some(of_password(kind, t, least)),
        Some(Ok(password)) => {
            let judged =
                accounts.judge_registration(facts, password, username.as_ref().ok(), email.as_ref().ok(), &call.meta);
            let fault = call.judged(judged.await).ok().flatten();
            fault.map(|fault| of_password(fault.kind, t, least))
        }
    };
    Err(Faults {
        username: of_username,
        email: of_email,
        password: of_password,
        status: StatusCode::UNPROCESSABLE_ENTITY,
        ..Faults::default()
    })
}

/// Signs the owner of the new account in, where a request waits for that and nothing is in the way.
async fn go_on<'p>(
    (facts, visitor): (&TenantFacts, &Visitor<'p>),
    pending: &'p Pending,
    new: Register,
    call: &ChangeRequest,
) -> Result<HttpResponse, Failure> {
    let it = &visitor.it;
    if let (Some((asked, answered)), Ok(name)) = (pending.current(it), LoginName::parse(new.username.as_str())) {
        let browser = it.visit.signed_in(it.app, it.at).await?;
        let opens = Opens::Cookie(browser.usual().map(|former| Box::new(former.session.clone())));
        let step = it.app.sign_in().password(facts, &name, new.password, None, &opens, &call.meta).await;
        if let Ok(signed_in) = call.judged(step).and_then(app::sign_in::complete::Step::signed_in) {
            return it.enter(asked, &answered, signed_in, call).await;
        }
    }
    let is_unconfirmed = it.app.accounts().wants_confirmation(facts);
    let texts = it.look.t.account;
    let [title, lead] = if is_unconfirmed { [texts.confirm_address, texts.created_lead] } else { texts.created };
    let page =
        SignedUpPage { frame: it.look.frame(), title, lead, request: visitor.request, sign_in: &visitor.sign_in };
    visitor.page(&page, StatusCode::OK)
}
