//! Bodies, which the edge has read, of the right type, into values.

use std::future::{Ready, ready};

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::header::{CONTENT_ENCODING, CONTENT_TYPE},
    web::Bytes,
};
use gatehouse_domain::{
    issue::{Fault, Issues, Parse},
    password::Password,
};
use utoipa::ToSchema;

use crate::{
    app::{self, effects::Mode},
    http::{
        body,
        operation::{About, Describe, REQUEST_TIMEOUT, described},
        problem::Failure,
    },
    input::{Flag, Object, Raw, input, pairs, read_body, read_query},
};

pub(in crate::http) fn issue(kind: &'static str, msg: &'static str) -> Failure {
    Issues::from(Fault::new(kind, msg).at(vec!["body".into()])).into()
}

/// The media type of a body, without parameters, in lower case.
pub(in crate::http) fn media_type(request: &HttpRequest) -> Option<String> {
    let value = request.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

pub(in crate::http) fn is_encoded(request: &HttpRequest) -> bool {
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

/// A JSON body in which a password is chosen. What a password must be depends on the tenant and on other fields.
#[derive(Debug)]
pub struct Choosing<T>(Result<T, Faulty>);

/// What is wrong with a body, and the body.
#[derive(Debug)]
pub struct Faulty {
    issues: Issues,
    fields: Vec<(String, Raw)>,
}

impl Faulty {
    /// A text that is valid whatever else is wrong.
    pub fn text<T: Parse>(&self, field: &str) -> Option<T> {
        let of = |(name, raw): &(String, Raw)| match raw {
            Raw::String(text) if name == field => T::parse(text).ok(),
            _ => None,
        };
        self.fields.iter().find_map(of)
    }
}

impl<T> Choosing<T> {
    /// The body, if nothing is wrong with it.
    ///
    /// # Errors
    /// Its faults, with that of the password in `field` which `judge` finds. Where it finds none for want of anything
    /// that it needs, the faults of the others are told alone.
    pub async fn valid(
        self,
        field: &'static str,
        judge: impl AsyncFnOnce(&Faulty, Password) -> app::Result<Option<Fault>>,
    ) -> Result<T, Failure> {
        let faulty = match self.0 {
            Ok(body) => return Ok(body),
            Err(faulty) => faulty,
        };
        let of_password = match faulty.text::<Password>(field) {
            Some(password) => judge(&faulty, password).await.ok().flatten(),
            None => None,
        };
        let of_password = of_password.map(|fault| fault.at(vec!["body".into(), field.into()]));
        Err(faulty.issues.into_iter().chain(of_password).collect::<Issues>().into())
    }
}

impl<T: Object + 'static> FromRequest for Choosing<T> {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let faulty = |bytes: &[u8], issues| match serde_json::from_slice(bytes) {
            Ok(Raw::Object(fields)) => Faulty { issues, fields },
            _ => Faulty { issues, fields: Vec::new() },
        };
        ready(json(request).map(|bytes| Self(read_body(&bytes).map_err(|issues| faulty(&bytes, issues)))))
    }
}

impl<T: ToSchema> Describe for Choosing<T> {
    fn describe(about: &mut About) {
        Valid::<T>::describe(about);
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

input! {
    /// How a change is made.
    pub struct DryRunQuery {
        /// Whether only to say what the change would do: `data` is what would be, `meta.effects` what would end.
        dry_run: Flag<false>,
    }
}

impl DryRunQuery {
    fn of(request: &HttpRequest) -> Result<Mode, Issues> {
        let query: Self = read_query(pairs(request.query_string())?)?;
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
        about.query(DryRunQuery::properties());
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
        about.query(DryRunQuery::properties());
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

impl FromRequest for NoBody {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let refused = || issue("body_forbidden", "must be empty");
        let is_json = !is_encoded(request) && media_type(request).as_deref() == Some("application/json");
        ready(match body::take(request) {
            Ok(bytes) if bytes.is_empty() => Ok(Self),
            Ok(bytes) if is_json => read_body(&bytes).map(|()| Self).map_err(Failure::from),
            Ok(_) | Err(Failure::PayloadTooLarge) => Err(refused()),
            Err(failure) => Err(failure),
        })
    }
}
