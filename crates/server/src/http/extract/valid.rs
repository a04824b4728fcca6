//! Bodies, which the edge has read, of the right type, into values.

use std::{
    future::{Future, Ready, ready},
    pin::Pin,
};

use actix_multipart::Multipart;
use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::header::{CONTENT_ENCODING, CONTENT_TYPE},
    web::Bytes,
};
use futures_util::{StreamExt, stream};
use gatehouse_domain::{
    issue::{Fault, Issues, Parse},
    password::Password,
    secret::Secret,
    text::LoginName,
};

use utoipa::ToSchema;

use crate::{
    app::effects::Mode,
    http::{
        body,
        extract::page::Filter,
        operation::{About, Describe, REQUEST_TIMEOUT, described},
        problem::Failure,
    },
    input::{Fields, Flag, Json, Object, query, read_body, read_pairs, read_query, read_urlencoded},
};

/// The longest device token that is read; ours are shorter.
const DEVICE_TOKEN_MAX: usize = 256;
/// The most fields that a form may have.
const MAX_FIELDS: usize = 32;

pub(in crate::http) fn issue(kind: &'static str, msg: &'static str) -> Failure {
    Issues::from(Fault::new(kind, msg).at(vec!["body".into()])).into()
}

/// The media type of a body, without parameters, in lower case.
pub(super) fn media_type(request: &HttpRequest) -> Option<String> {
    let value = request.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

pub(super) fn is_encoded(request: &HttpRequest) -> bool {
    request.headers().get(CONTENT_ENCODING).is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// A JSON body.
#[derive(Debug)]
pub struct Valid<T>(pub T);

impl<T: Object + 'static> FromRequest for Valid<T> {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(json(request).and_then(|bytes| Ok(Self(read_body(&bytes)?))))
    }
}

/// The bytes of a JSON body.
fn json(request: &HttpRequest) -> Result<Bytes, Failure> {
    let media_type = media_type(request);
    let is_json = matches!(media_type.as_deref(), Some("application/json" | "application/merge-patch+json"));
    let bytes = body::take(request)?;
    let nothing = bytes.is_empty() && media_type.is_none();
    if is_encoded(request) || !(is_json || nothing) {
        return Err(Failure::UnsupportedMediaType("application/json"));
    }
    Ok(bytes)
}

impl<T: ToSchema> Describe for Valid<T> {
    fn describe(about: &mut About) {
        about.body(&[("application/json", described::<T>)]);
    }
}

query! {
    /// How a change is made.
    pub struct DryRunQuery {
        /// Whether only to say what the change would do: `data` is what would be, `meta.effects` what would end.
        dry_run: Flag<false>,
    }
}

impl DryRunQuery {
    fn of(request: &HttpRequest) -> Result<Mode, Issues> {
        let query = read_pairs("query", read_query(request.query_string())?.into_iter(), Self::read)?;
        Ok(Mode::of(query.dry_run.0))
    }
}

/// A JSON body, and whether the change is only to be tried. The faults of both are reported together.
#[derive(Debug)]
pub struct ValidOrDry<T>(pub T, pub Mode);

impl<T: Object + 'static> FromRequest for ValidOrDry<T> {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(json(request).and_then(|bytes| match (DryRunQuery::of(request), read_body(&bytes)) {
            (Ok(mode), Ok(body)) => Ok(Self(body, mode)),
            (Err(faults), Err(more)) => Err(faults.into_iter().chain(more).collect::<Issues>().into()),
            (Err(issues), Ok(_)) | (Ok(_), Err(issues)) => Err(issues.into()),
        }))
    }
}

impl<T: ToSchema> Describe for ValidOrDry<T> {
    const TAKES_QUERY: bool = true;

    fn describe(about: &mut About) {
        about.query(DryRunQuery::parameters());
        about.body(&[("application/json", described::<T>)]);
    }
}

/// Whether a change is only to be tried, where there is no body.
#[derive(Debug)]
pub struct RealOrDry(pub Mode);

impl FromRequest for RealOrDry {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(DryRunQuery::of(request).map(Self).map_err(Failure::from))
    }
}

impl Describe for RealOrDry {
    const TAKES_QUERY: bool = true;

    fn describe(about: &mut About) {
        about.query(DryRunQuery::parameters());
    }
}

/// The body of what takes none: none, or an empty JSON object. Whoever sends more believes that it limits what happens.
#[derive(Debug)]
pub struct NoBody;

impl Describe for NoBody {
    fn describe(about: &mut About) {
        // It reads a body to see that there is none.
        about.fails(&[REQUEST_TIMEOUT]);
    }
}

impl Object for NoBody {
    fn read_fields(_: &mut Fields<'_, '_, Json>) -> Option<Self> {
        Some(Self)
    }
}

impl FromRequest for NoBody {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let refused = || issue("body_forbidden", "must be empty");
        let is_json = !is_encoded(request) && media_type(request).as_deref() == Some("application/json");
        ready(match body::take(request) {
            Ok(bytes) if bytes.is_empty() => Ok(Self),
            Ok(bytes) if is_json => read_body(&bytes).map_err(Failure::from),
            Ok(_) | Err(Failure::PayloadTooLarge) => Err(refused()),
            Err(failure) => Err(failure),
        })
    }
}

/// Describes a sign-in form for the document. One for each encoding: generators tell encodings apart by their types, and
/// some of them send a form in every encoding that its type has.
macro_rules! login_forms {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {$(
        $(#[doc = $doc])*
        #[derive(Debug, ToSchema)]
        #[expect(dead_code, reason = "the form is read by LoginForm; this describes it")]
        pub struct $name {
            /// User name or e-mail address.
            #[schema(min_length = 1, max_length = 254, pattern = "^[^\\x00]+$", example = "ada")]
            username: String,
            /// The password.
            #[schema(min_length = 1, max_length = 1024, format = Password, example = "correct horse battery staple")]
            password: String,
            /// What an earlier sign-in on this device answered; empty from a client that keeps it and has none yet. It
            /// makes this device wait for its own failures only, not for those of strangers, and never takes the place of
            /// the password. What is not known counts as none, and the answer has another.
            #[schema(nullable = false, max_length = 256, example = "ghd_47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU")]
            device_token: Option<String>,
        }
    )*};
}

login_forms! {
    /// The fields of the sign-in form.
    LoginRequest,
    /// The fields of the sign-in form, sent as multipart/form-data.
    LoginMultipartRequest,
}

/// A sign-in form, urlencoded or multipart.
#[derive(Debug)]
pub struct LoginForm {
    /// User name or e-mail address.
    pub username: LoginName,
    /// The password.
    pub password: Password,
    /// What makes the device known, from a client that keeps it.
    pub device: Option<DeviceToken>,
}

/// A device token as it came; empty from a client that keeps one and has none yet. Whether it is one shows in nothing but
/// what strangers' failures mean here.
#[derive(Debug)]
pub struct DeviceToken(pub Secret<String>);

impl Parse for DeviceToken {
    fn parse(text: &str) -> Result<Self, Fault> {
        if text.len() > DEVICE_TOKEN_MAX {
            let msg = format!("must have at most {DEVICE_TOKEN_MAX} characters");
            return Err(Fault::new("string_too_long", msg));
        }
        Ok(Self(Secret::new(text.to_owned())))
    }
}

impl LoginForm {
    fn read(fields: &mut Fields<'_, '_, Vec<String>>) -> Option<Self> {
        // What clients of the OAuth 2.0 password grant send along means nothing here.
        for name in ["grant_type", "scope", "client_id", "client_secret"] {
            fields.ignore(name);
        }
        let (username, password) = (fields.text("username"), fields.text("password"));
        let device = fields.optional_text("device_token");
        Some(Self { username: username?, password: password?, device: device? })
    }
}

impl FromRequest for LoginForm {
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Failure>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            if is_encoded(&request) {
                return Err(Failure::UnsupportedMediaType("a form"));
            }
            let pairs = match media_type(&request).as_deref() {
                Some("application/x-www-form-urlencoded") => urlencoded(&body::take(&request)?)?,
                Some("multipart/form-data") => multipart(&request, body::take(&request)?).await?,
                Some("application/json") => {
                    return Err(issue(
                        "form_expected",
                        "must be a form (application/x-www-form-urlencoded or multipart/form-data), not JSON",
                    ));
                }
                None => {
                    if body::take(&request)?.is_empty() {
                        return Err(issue("missing", "a form is required"));
                    }
                    return Err(Failure::UnsupportedMediaType("a form"));
                }
                Some(_) => {
                    return Err(Failure::UnsupportedMediaType(
                        "a form: application/x-www-form-urlencoded or multipart/form-data",
                    ));
                }
            };
            Ok(read_pairs("body", pairs.into_iter(), Self::read)?)
        })
    }
}

impl Describe for LoginForm {
    fn describe(about: &mut About) {
        about.body(&[
            ("application/x-www-form-urlencoded", described::<LoginRequest>),
            ("multipart/form-data", described::<LoginMultipartRequest>),
        ]);
    }
}

fn urlencoded(bytes: &[u8]) -> Result<Vec<(String, String)>, Failure> {
    let pairs = read_urlencoded(bytes).ok_or_else(|| issue("form_invalid", "must be percent-encoded UTF-8"))?;
    if pairs.len() > MAX_FIELDS { Err(issue("form_invalid", "has too many fields")) } else { Ok(pairs) }
}

async fn multipart(request: &HttpRequest, body: Bytes) -> Result<Vec<(String, String)>, Failure> {
    let invalid = || issue("form_invalid", "must be multipart/form-data with texts in UTF-8");
    let mut pairs = Vec::new();
    let mut form = Multipart::new(request.headers(), stream::iter([Ok(body)]));
    while let Some(field) = form.next().await {
        let mut field = field.map_err(|_| invalid())?;
        let disposition = field.content_disposition().ok_or_else(invalid)?;
        if disposition.get_filename().is_some() {
            return Err(issue("form_invalid", "must not contain files"));
        }
        let name = field.name().ok_or_else(invalid)?.to_owned();
        let mut value = Vec::new();
        while let Some(chunk) = field.next().await {
            value.extend_from_slice(&chunk.map_err(|_| invalid())?);
        }
        if pairs.len() == MAX_FIELDS {
            return Err(issue("form_invalid", "has too many fields"));
        }
        pairs.push((name, String::from_utf8(value).map_err(|_| invalid())?));
    }
    Ok(pairs)
}
