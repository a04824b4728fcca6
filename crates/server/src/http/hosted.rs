//! The hosted pages: what each of them shows.

pub mod brand;
mod platform;
pub mod texts;

use askama::Template;
use gatehouse_domain::application::{Application, RedirectUri, RegistrationKind};

pub use self::platform::{AddressPage, PasswordPage};
use self::texts::Texts;
use crate::app::{directory::tenants::TenantFacts, request::client::ISSUER_PATH};

/// The path of the stylesheet of all pages.
pub const STYLE: &str = "/hosted.css";
/// Whose pages those are that are of no tenant.
const PRODUCT: &str = "Gatehouse";

/// How the pages of a tenant look, in a language.
#[derive(Debug)]
pub struct Look<'a> {
    /// The texts of the language.
    pub t: &'static Texts,
    facts: Option<&'a TenantFacts>,
    brand: Option<String>,
}

impl<'a> Look<'a> {
    /// Of a tenant, or of the installation where none is known.
    #[must_use]
    pub fn of(facts: Option<&'a TenantFacts>, t: &'static Texts) -> Self {
        let coloured = facts.filter(|facts| facts.tenant.branding.primary_color.is_some());
        let brand = coloured.map(|facts| format!("{ISSUER_PATH}{}/oauth/brand.css", facts.tenant.slug));
        Self { t, facts, brand }
    }

    /// Where the logo is.
    #[must_use]
    pub fn logo(&self) -> Option<&'a str> {
        self.facts?.tenant.branding.logo_url.as_ref().map(|url| url.as_str())
    }

    /// What is around a page.
    #[must_use]
    pub fn frame(&self) -> Frame<'_> {
        let tenant = self.facts.map_or(PRODUCT, |facts| facts.tenant.name.as_str());
        Frame { t: self.t, tenant, logo: self.logo(), style: STYLE, brand: self.brand.as_deref(), switch: None }
    }
}

/// What every hosted page has around it.
pub struct Frame<'a> {
    /// The texts of the language of the page.
    pub t: &'static Texts,
    /// The name of the tenant, or of the product.
    pub tenant: &'a str,
    /// Where its logo is.
    pub logo: Option<&'a str>,
    /// The path of `hosted.css`.
    pub style: &'a str,
    /// The path of the stylesheet of the tenant ([`brand::stylesheet`]).
    pub brand: Option<&'a str>,
    /// How the page is shown in another language, where a request waits.
    pub switch: Option<Switch<'a>>,
}

/// How a page is shown in another language: the field `language` goes with the request to where its form goes.
#[derive(Debug, Clone, Copy)]
pub struct Switch<'a> {
    /// Where the form of the page goes.
    pub action: &'a str,
    /// The request that waits, sealed.
    pub request: &'a str,
}

impl<'a> Frame<'a> {
    /// The same for a page whose form goes somewhere with a request.
    #[must_use]
    pub fn of_form(self, action: &'a str, request: Option<&'a str>) -> Self {
        Self { switch: request.map(|request| Switch { action, request }), ..self }
    }

    /// What stands for the name where there is no logo.
    #[must_use]
    pub fn initial(&self) -> String {
        initial(self.tenant)
    }
}

/// Asks for user name and password.
#[derive(Template)]
#[template(path = "hosted/sign_in.html")]
pub struct SignInPage<'a> {
    /// What is around it.
    pub frame: Frame<'a>,
    /// The name of the application that the user signs in to.
    pub application: &'a str,
    /// Where the form goes.
    pub action: &'a str,
    /// The request that waits, sealed.
    pub request: &'a str,
    /// The page for a forgotten password.
    pub forgot: &'a str,
    /// The page on which an account is created, where the tenant lets anybody do that.
    pub sign_up: Option<&'a str>,
    /// What is known of a program that a document describes.
    pub stranger: Option<Stranger<'a>>,
    /// The name of who is signed in until somebody signs in here.
    pub signed_in: Option<&'a str>,
    /// The user name that was sent, or that the application expects.
    pub username: &'a str,
    /// Why the last attempt failed.
    pub fault: Option<SignInFault>,
    /// Why the page is here again.
    pub notice: Option<Notice>,
}

impl SignInPage<'_> {
    /// Whether writing begins in the field of the user name, or else in the one of the password.
    fn begins_with_username(&self) -> bool {
        self.username.is_empty() && !matches!(self.fault, Some(SignInFault::MissingPassword))
    }
}

/// Why somebody is not signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInFault {
    /// User name or password; which of them is not said.
    Wrong,
    /// Too many attempts: the next one is taken after so many seconds.
    Wait(u64),
    /// The tenant wants addresses to be confirmed first.
    EmailNotVerified,
    /// The tenant is suspended.
    Suspended,
    /// Too many passwords wait to be checked.
    Busy,
    /// The user has as many sessions as the tenant allows.
    LimitReached,
    /// The field was empty.
    MissingUsername,
    /// The field was empty.
    MissingPassword,
    /// The database does not answer.
    Unavailable,
}

impl SignInFault {
    /// What happened, and what can be done.
    fn words(self, t: &Texts) -> [String; 2] {
        let words = match self {
            Self::Wait(seconds) => return [t.too_many_attempts.to_owned(), t.wait(seconds)],
            Self::Wrong => t.wrong,
            Self::EmailNotVerified => t.email_not_verified,
            Self::Suspended => t.sign_in_suspended,
            Self::Busy => t.busy,
            Self::LimitReached => t.limit_reached,
            Self::MissingUsername => [t.missing_username, ""],
            Self::MissingPassword => [t.missing_password, ""],
            Self::Unavailable => t.unavailable,
        };
        words.map(str::to_owned)
    }

    /// Whether it is said beside one field, and not above all of them.
    fn is_of_a_field(self) -> bool {
        matches!(self, Self::MissingUsername | Self::MissingPassword)
    }

    fn is_of_username(self) -> bool {
        matches!(self, Self::Wrong | Self::MissingUsername)
    }

    fn is_of_password(self) -> bool {
        matches!(self, Self::Wrong | Self::MissingPassword)
    }
}

/// Why a form led back to its own page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The page was older than a request may wait.
    TooOld,
    /// The page was made for another browser, or the cookie of this one is gone.
    OtherBrowser,
}

impl Notice {
    fn words(self, t: &Texts) -> &'static str {
        match self {
            Self::TooOld => t.page_too_old,
            Self::OtherBrowser => t.other_browser,
        }
    }
}

/// An account that is signed in.
#[derive(Debug)]
pub struct AccountLine<'a> {
    /// The session, which the answer names.
    pub session: String,
    /// The name of its user.
    pub name: &'a str,
    /// The address.
    pub email: &'a str,
    /// The name of the tenant, where accounts of several may be meant.
    pub tenant: Option<String>,
}

/// Asks who goes on: one of those who are signed in (`answer` is the id of the session), or somebody else
/// (`answer=another`).
#[derive(Template)]
#[template(path = "hosted/select_account.html")]
pub struct SelectAccountPage<'a> {
    /// What is around it.
    pub frame: Frame<'a>,
    /// The name of the application.
    pub application: &'a str,
    /// Where the form goes.
    pub action: &'a str,
    /// The request that waits, sealed.
    pub request: &'a str,
    /// Who is signed in.
    pub accounts: Vec<AccountLine<'a>>,
}

/// Asks whether an application may have what it asks for: `answer` is `allow`, `refuse`, or `another` for somebody who
/// is not who is signed in.
#[derive(Template)]
#[template(path = "hosted/consent.html")]
pub struct ConsentPage<'a> {
    /// What is around it.
    pub frame: Frame<'a>,
    /// The name of the application.
    pub application: &'a str,
    /// Its website.
    pub client_uri: Option<&'a str>,
    /// Its privacy policy.
    pub policy_uri: Option<&'a str>,
    /// Its terms.
    pub tos_uri: Option<&'a str>,
    /// The host that the answer goes to, or the scheme, where that is what names the application.
    pub redirect_host: &'a str,
    /// What is known of a program that a document describes.
    pub stranger: Option<Stranger<'a>>,
    /// Who is signed in.
    pub account: AccountLine<'a>,
    /// What is asked for; empty where that is nothing but who somebody is.
    pub scopes: Vec<ScopeLine<'a>>,
    /// The API that it is asked for.
    pub resource: Option<&'a str>,
    /// Where the form goes.
    pub action: &'a str,
    /// The request that waits, sealed.
    pub request: &'a str,
}

/// A program that its own document describes: anybody can write one, so its name proves nothing, and its hosts are what a
/// person can judge.
#[derive(Debug, Clone, Copy)]
pub struct Stranger<'a> {
    /// The host of its document.
    pub host: &'a str,
    /// Whether all of its answers go to programs on the device of the user, which any program there could be.
    pub is_on_device: bool,
    /// Whether an administrator added it, and named it.
    pub is_added: bool,
}

impl<'a> Stranger<'a> {
    /// An application as one; none for those that were registered in full.
    #[must_use]
    pub fn of(application: &'a Application) -> Option<Self> {
        let is_on_device = application.metadata.redirect_uris.iter().all(RedirectUri::is_on_device);
        let is_added = application.registration == RegistrationKind::Manual;
        application.document.as_ref().map(|document| Self { host: document.host(), is_on_device, is_added })
    }
}

impl ConsentPage<'_> {
    fn says_more(&self) -> bool {
        [self.client_uri, self.policy_uri, self.tos_uri].iter().any(Option::is_some)
    }
}

/// A scope in words ([`Texts::scope`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScopeLine<'a> {
    /// What it allows.
    pub title: &'a str,
    /// What that includes.
    pub detail: Option<&'a str>,
}

/// Where a scope stands among others: those of a person come first, and those of APIs last.
#[must_use]
pub fn place(scope: &str) -> usize {
    const ORDER: [&str; 6] = ["profile", "email", "phone", "roles", "attributes", "offline_access"];
    ORDER.iter().position(|known| *known == scope).unwrap_or(ORDER.len())
}

/// Says what happened where there is nowhere to go back to.
#[derive(Template)]
#[template(path = "hosted/error.html")]
pub struct ErrorPage<'a> {
    /// What is around it.
    pub frame: Frame<'a>,
    /// What happened, in a few words.
    pub title: &'a str,
    /// The same in a sentence or two.
    pub what: &'a str,
    /// The id of the HTTP request, by which the logs are found.
    pub request_id: &'a str,
}

/// Carries an answer to the application in a form.
#[derive(Template)]
#[template(path = "hosted/form_post.html")]
pub struct FormPostPage<'a> {
    /// The texts of the language of the page.
    pub t: &'static Texts,
    /// The path of `hosted.css`.
    pub style: &'a str,
    /// Where the form goes.
    pub action: &'a str,
    /// Names and values.
    pub fields: Vec<(&'a str, &'a str)>,
    /// `form-post.js`, as it is: the policy of the page names its hash.
    pub script: &'a str,
}

/// Asks whether somebody wants to sign out.
#[derive(Template)]
#[template(path = "hosted/sign_out.html")]
pub struct SignOutPage<'a> {
    /// What is around it.
    pub frame: Frame<'a>,
    /// Where the form goes.
    pub action: &'a str,
    /// The request that waits, sealed.
    pub request: &'a str,
    /// Who is signed in.
    pub account: AccountLine<'a>,
}

/// Says that nobody is signed in any more.
#[derive(Template)]
#[template(path = "hosted/signed_out.html")]
pub struct SignedOutPage<'a> {
    /// What is around it.
    pub frame: Frame<'a>,
    /// The name and the website of the application that asked for it.
    pub back: Option<(&'a str, &'a str)>,
    /// Who is still signed in in this browser, in other tenants.
    pub rest: Vec<AccountLine<'a>>,
}

/// What stands for a name where there is no picture: its first letter or digit, else its first visible character.
pub fn initial(name: &str) -> String {
    let letter = name.chars().find(|c| c.is_alphanumeric());
    let visible = || name.chars().find(|c| !c.is_whitespace() && !c.is_control());
    letter.or_else(visible).map(|c| c.to_uppercase().collect()).unwrap_or_default()
}
