//! Forms, urlencoded or multipart: of the sign-in, and of pages.

use std::{future::Future, pin::Pin};

use actix_multipart::Multipart;
use actix_web::{FromRequest, HttpRequest, dev::Payload, web::Bytes};
use futures_util::{StreamExt, stream};

use crate::{
    http::{
        body,
        extract::valid::{is_encoded, issue, media_type},
        operation::{About, Describe},
        problem::Failure,
    },
    input::{Object, form_schema, read_form, read_urlencoded},
};

/// The most fields that a form may have.
const MAX_FIELDS: usize = 32;

/// A form.
#[derive(Debug)]
pub struct Form<T>(pub T);

impl<T: Object + 'static> FromRequest for Form<T> {
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Failure>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Ok(Self(read_form(pairs(&request).await?)?)) })
    }
}

/// The names and the texts of a form.
///
/// # Errors
/// When there is none.
pub(in crate::http) async fn pairs(request: &HttpRequest) -> Result<Vec<(String, String)>, Failure> {
    if is_encoded(request) {
        return Err(Failure::UnsupportedMediaType("a form"));
    }
    match media_type(request).as_deref() {
        Some("application/x-www-form-urlencoded") => urlencoded(&body::take(request)?),
        Some("multipart/form-data") => multipart(request, body::take(request)?).await,
        Some("application/json") => Err(issue(
            "form_expected",
            "must be a form (application/x-www-form-urlencoded or multipart/form-data), not JSON",
        )),
        None if body::take(request)?.is_empty() => Err(issue("missing", "a form is required")),
        None => Err(Failure::UnsupportedMediaType("a form")),
        Some(_) => {
            Err(Failure::UnsupportedMediaType("a form: application/x-www-form-urlencoded or multipart/form-data"))
        }
    }
}

impl<T: Object> Describe for Form<T> {
    fn describe(about: &mut About) {
        // `multipart/form-data` is taken too, and not said: of two encodings some generators send neither.
        about.body(&[("application/x-www-form-urlencoded", form_schema::<T>)]);
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
