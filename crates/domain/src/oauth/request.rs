//! Authorization requests (RFC 6749, section 4.1.1; OpenID Connect Core 1.0, section 3.1.2.1), checked against what the
//! application is registered with.

use std::collections::BTreeSet;

use crate::{
    application::{Application, ApplicationType, GrantType},
    oauth::{Challenge, ClaimsRequest, Params, Scopes, Thumbprint},
    word::{Word, words},
};

/// The most bytes of `state`.
pub const STATE_MAX: usize = 4_096;
/// The most bytes of `nonce`.
const NONCE_MAX: usize = 2_048;
/// The most bytes of `scope`.
const SCOPE_MAX: usize = 4_096;
/// The most bytes of a hint that is shown in a field.
const HINT_MAX: usize = 254;

words! {
    /// How an answer is sent to the application.
    ResponseMode {
        /// In the query of the redirect URI.
        Query = "query",
        /// In a form (OAuth 2.0 Form Post Response Mode).
        FormPost = "form_post",
    }

    /// What a request wants the user to be asked.
    Prompt {
        /// Nothing.
        None = "none",
        /// To open an account (Initiating User Registration via OpenID Connect 1.0).
        Create = "create",
        /// To sign in, whether signed in or not.
        Login = "login",
        /// To consent.
        Consent = "consent",
        /// With which account.
        SelectAccount = "select_account",
    }

    /// What an application is told that does not get what it asked for (RFC 6749, sections 4.1.2.1 and 5.2, and its kin).
    ErrorCode {
        /// The user refused.
        AccessDenied = "access_denied",
        /// The user has to be asked which account it is, and must not be.
        AccountSelectionRequired = "account_selection_required",
        /// Nobody has signed the device in yet (RFC 8628).
        AuthorizationPending = "authorization_pending",
        /// The user has to be asked for consent, and must not be.
        ConsentRequired = "consent_required",
        /// The device has waited for too long (RFC 8628).
        ExpiredToken = "expired_token",
        /// The application did not prove who it is.
        InvalidClient = "invalid_client",
        /// The proof that the sender holds a key is missing, or proves nothing (RFC 9449).
        InvalidDpopProof = "invalid_dpop_proof",
        /// The code or the token is none, or none any more.
        InvalidGrant = "invalid_grant",
        /// The request cannot be read.
        InvalidRequest = "invalid_request",
        /// No scope is left of those that were asked for.
        InvalidScope = "invalid_scope",
        /// The application may not ask for tokens for that API (RFC 8707).
        InvalidTarget = "invalid_target",
        /// The access token is none, or none any more (RFC 6750).
        InvalidToken = "invalid_token",
        /// The access token opens too little (RFC 6750).
        InsufficientScope = "insufficient_scope",
        /// The user has to sign in, and must not be asked.
        LoginRequired = "login_required",
        /// Requests are not registered here.
        RegistrationNotSupported = "registration_not_supported",
        /// Request objects are not taken.
        RequestNotSupported = "request_not_supported",
        /// Requests that lie elsewhere are not fetched.
        RequestUriNotSupported = "request_uri_not_supported",
        /// The device asks too often (RFC 8628).
        SlowDown = "slow_down",
        /// The application does not use this grant.
        UnauthorizedClient = "unauthorized_client",
        /// The user cannot prove to be who they are in the way that is asked for (OpenID Connect Core, Unmet
        /// Authentication Requirements 1.0).
        UnmetAuthenticationRequirements = "unmet_authentication_requirements",
        /// There is no such grant.
        UnsupportedGrantType = "unsupported_grant_type",
        /// There is no such response type.
        UnsupportedResponseType = "unsupported_response_type",
    }
}

/// Why a request gets no answer at the application: nobody is sent to an address that it is not known to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswerable {
    /// `client_id` is missing, or names no application of here.
    ApplicationUnknown,
    /// The application is suspended.
    ApplicationSuspended,
    /// What describes the application cannot be had, or is not what it has to be.
    DocumentUnusable,
    /// The request is wrong, and comes from an application that nobody has let in yet: it may want nothing but to send
    /// people on from here.
    WrongByUnknown,
    /// `redirect_uri` is missing.
    RedirectMissing,
    /// `redirect_uri` is none of the application's.
    RedirectUnknown,
    /// `client_id` or `redirect_uri` is there twice.
    Repeated,
    /// Nobody waits with that code any more, or somebody else has opened it.
    CodeUnknown,
}

/// Why a request is refused, told to the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestFault {
    /// The error.
    pub error: ErrorCode,
    /// Why, in ASCII, for developers.
    pub description: &'static str,
}

impl RequestFault {
    /// A fault.
    #[must_use]
    pub const fn new(error: ErrorCode, description: &'static str) -> Self {
        Self { error, description }
    }
}

const fn fault(error: ErrorCode, description: &'static str) -> RequestFault {
    RequestFault::new(error, description)
}

const fn invalid(description: &'static str) -> RequestFault {
    fault(ErrorCode::InvalidRequest, description)
}

/// Where the answer to a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The address, as the request has it.
    pub redirect_uri: String,
    /// How the answer is sent there.
    pub response_mode: ResponseMode,
    /// What is sent back as it came.
    pub state: Option<String>,
}

impl Destination {
    /// No address: nothing is sent on.
    const fn nowhere() -> Self {
        Self { redirect_uri: String::new(), response_mode: ResponseMode::Query, state: None }
    }

    /// Whether the answer goes to a program on the user's own device.
    #[must_use]
    pub fn is_on_device(&self) -> bool {
        !self.redirect_uri.starts_with("https:")
    }

    /// Where the answer to a request of an application goes.
    ///
    /// # Errors
    /// When it is not known to go to the application.
    pub fn of(params: &Params, application: &Application) -> Result<Self, Unanswerable> {
        if params.repeats("redirect_uri") {
            return Err(Unanswerable::Repeated);
        }
        let uri = params.get("redirect_uri").ok_or(Unanswerable::RedirectMissing)?;
        let any_port = application.kind == ApplicationType::Native;
        if !application.metadata.redirect_uris.iter().any(|known| known.matches(uri, any_port)) {
            return Err(Unanswerable::RedirectUnknown);
        }
        let response_mode = params.get("response_mode").and_then(|mode| ResponseMode::from_word(mode).ok());
        let state = params.get("state").filter(|state| state.len() <= STATE_MAX && !params.repeats("state"));
        Ok(Self {
            redirect_uri: uri.to_owned(),
            response_mode: response_mode.unwrap_or(ResponseMode::Query),
            state: state.map(str::to_owned),
        })
    }
}

/// A request that can be granted if its user agrees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationRequest {
    /// Where the answer goes.
    pub destination: Destination,
    /// What the application would be given.
    pub scopes: Scopes,
    /// Single claims besides.
    pub claims: ClaimsRequest,
    /// The API that the tokens are for, in the spelling that it was registered with.
    pub resource: Option<String>,
    /// What the verifier will be held against.
    pub challenge: Option<Challenge>,
    /// The key that whoever exchanges the code has to hold.
    pub dpop_jkt: Option<Thumbprint>,
    /// What the ID token repeats.
    pub nonce: Option<String>,
    /// What the user is to be asked.
    pub prompts: BTreeSet<Prompt>,
    /// How many seconds ago the user may have signed in.
    pub max_age: Option<u32>,
    /// Who is expected to sign in.
    pub login_hint: Option<String>,
}

impl AuthorizationRequest {
    /// Checks a request of an application whose destination is known. `api` is the application that is the API which the
    /// request names, if there is one that this application may ask for.
    ///
    /// # Errors
    /// What the application is told.
    pub fn read(
        params: &Params,
        application: &Application,
        api: Option<&Application>,
        destination: Destination,
    ) -> Result<Self, RequestFault> {
        not_taken(params)?;
        let metadata = &application.metadata;
        if !metadata.grant_types.contains(&GrantType::AuthorizationCode) {
            return Err(fault(ErrorCode::UnauthorizedClient, "the application does not use authorization_code"));
        }
        if metadata.require_pushed_authorization_requests && params.pushed().is_none() {
            return Err(invalid("the application has to push its requests"));
        }
        match params.get("response_type") {
            Some("code") => {}
            Some(_) => return Err(fault(ErrorCode::UnsupportedResponseType, "response_type must be code")),
            None => return Err(invalid("response_type is missing")),
        }
        let prompts = prompts(params)?;
        let nonce = params.get("nonce").map(str::to_owned);
        if nonce.as_ref().is_some_and(|nonce| nonce.len() > NONCE_MAX) {
            return Err(invalid("nonce is longer than 2048 bytes"));
        }
        let max_age = match params.get("max_age") {
            Some(text) => {
                let digits = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
                let seconds = digits.and_then(|text| text.parse().ok());
                Some(seconds.ok_or(invalid("max_age must be a number of seconds"))?)
            }
            None => None,
        };
        Ok(Self {
            challenge: challenge(params, metadata.require_pkce)?,
            dpop_jkt: match params.get("dpop_jkt") {
                Some(text) => {
                    let named = Thumbprint::try_from(text.to_owned());
                    Some(named.map_err(|_| invalid("dpop_jkt must be 43 characters of base64url"))?)
                }
                None => None,
            },
            resource: resource(params, application, api)?,
            scopes: scopes(params, application, api)?,
            claims: match params.get("claims") {
                Some(text) => ClaimsRequest::read(text, application)?,
                None => ClaimsRequest::default(),
            },
            nonce,
            prompts,
            max_age,
            login_hint: params.get("login_hint").filter(|hint| hint.len() <= HINT_MAX).map(str::to_owned),
            destination,
        })
    }

    /// What a device asks for that shows a code: its answer goes nowhere by way of the browser.
    #[must_use]
    pub(crate) fn of_device(scopes: Scopes, resource: Option<String>) -> Self {
        Self {
            destination: Destination::nowhere(),
            scopes,
            claims: ClaimsRequest::default(),
            resource,
            challenge: None,
            dpop_jkt: None,
            nonce: None,
            prompts: BTreeSet::new(),
            max_age: None,
            login_hint: None,
        }
    }

    /// What a user who is asked has to know that the application gets.
    #[must_use]
    pub fn consent_scopes(&self) -> Scopes {
        self.scopes.or(&self.claims.scopes())
    }

    /// Whether the user is to be asked something.
    #[must_use]
    pub fn asks(&self, prompt: Prompt) -> bool {
        self.prompts.contains(&prompt)
    }
}

/// What a program asks for that brings no browser along: scopes, and the API that the tokens are for.
///
/// # Errors
/// What the application is told.
pub(super) fn of_program(
    params: &Params,
    application: &Application,
    api: Option<&Application>,
) -> Result<(Scopes, Option<String>), RequestFault> {
    Ok((scopes(params, application, api)?, resource(params, application, api)?))
}

/// What no request may have here.
fn not_taken(params: &Params) -> Result<(), RequestFault> {
    if params.repeats("resource") {
        return Err(fault(ErrorCode::InvalidTarget, "there may be one resource"));
    }
    if params.repeated().is_some() {
        return Err(invalid("a parameter is there more than once"));
    }
    for (name, error) in [
        ("request", ErrorCode::RequestNotSupported),
        ("request_uri", ErrorCode::RequestUriNotSupported),
        ("registration", ErrorCode::RegistrationNotSupported),
    ] {
        // That of a pushed request has been looked up by now.
        if params.get(name).is_some() && (name != "request_uri" || params.pushed().is_none()) {
            return Err(fault(error, "the parameter is not supported"));
        }
    }
    if params.get("state").is_some_and(|state| state.len() > STATE_MAX) {
        return Err(invalid("state is longer than 4096 bytes"));
    }
    if params.get("response_mode").is_some_and(|mode| ResponseMode::from_word(mode).is_err()) {
        return Err(invalid("response_mode must be query or form_post"));
    }
    Ok(())
}

fn prompts(params: &Params) -> Result<BTreeSet<Prompt>, RequestFault> {
    let words = params.get("prompt").unwrap_or_default().split(' ').filter(|word| !word.is_empty());
    let prompts = words.map(Prompt::from_word).collect::<Result<BTreeSet<_>, _>>();
    let prompts = prompts.map_err(|_| invalid("prompt must be none, login, consent, select_account or create"))?;
    if prompts.contains(&Prompt::None) && prompts.len() > 1 {
        return Err(invalid("prompt=none stands alone"));
    }
    Ok(prompts)
}

fn challenge(params: &Params, is_required: bool) -> Result<Option<Challenge>, RequestFault> {
    match (params.get("code_challenge"), params.get("code_challenge_method")) {
        (Some(text), Some("S256")) => match Challenge::new(text) {
            Some(challenge) => Ok(Some(challenge)),
            None => Err(invalid("code_challenge must be 43 characters of base64url")),
        },
        (Some(_), _) => Err(invalid("code_challenge_method must be S256")),
        (None, Some(_)) => Err(invalid("code_challenge is missing")),
        (None, None) if is_required => Err(invalid("code_challenge is missing: PKCE is required")),
        (None, None) => Ok(None),
    }
}

/// The API that is asked for, as it was registered.
fn resource(
    params: &Params,
    application: &Application,
    api: Option<&Application>,
) -> Result<Option<String>, RequestFault> {
    let Some(text) = params.get("resource") else { return Ok(None) };
    let registered = api.filter(|api| application.may_use(api, text)).and_then(|api| api.resource_uri(text));
    match registered {
        Some(uri) => Ok(Some(uri.to_string())),
        None => Err(fault(ErrorCode::InvalidTarget, "the application may not ask for that resource")),
    }
}

fn scopes(params: &Params, application: &Application, api: Option<&Application>) -> Result<Scopes, RequestFault> {
    let allowed = Scopes::allowed(application, api);
    let Some(text) = params.get("scope") else {
        return match api {
            Some(_) => Ok(allowed.of_api()),
            None => Err(fault(ErrorCode::InvalidScope, "scope is missing")),
        };
    };
    if text.len() > SCOPE_MAX {
        return Err(fault(ErrorCode::InvalidScope, "scope is longer than 4096 bytes"));
    }
    let granted = Scopes::read(text).and(&allowed);
    if granted.is_empty() {
        return Err(fault(ErrorCode::InvalidScope, "the application may ask for none of these scopes"));
    }
    Ok(granted)
}
