//! The parameters of a request, from its query or from its form (RFC 6749, section 3.1).

use std::{
    future::{Future, Ready, ready},
    pin::Pin,
};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use gatehouse_domain::oauth::{ErrorCode, Params, RequestFault};

use crate::{
    http::{
        body,
        extract::valid::{is_encoded, media_type},
        operation::Describe,
        problem::Failure,
    },
    input::read_urlencoded,
};

/// The longest query that is read.
pub const QUERY_MAX: usize = 16 * 1024;
/// The most parameters that are read.
const PARAMS_MAX: usize = 100;

fn invalid(description: &'static str) -> Failure {
    Failure::OAuth(RequestFault::new(ErrorCode::InvalidRequest, description))
}

fn read(bytes: &[u8]) -> Result<Params, Failure> {
    let pairs = read_urlencoded(bytes).ok_or(invalid("the parameters are not UTF-8"))?;
    if pairs.len() > PARAMS_MAX || pairs.iter().any(|(name, value)| name.contains('\0') || value.contains('\0')) {
        return Err(invalid("the parameters cannot be read"));
    }
    Ok(Params::new(pairs))
}

/// The parameters of the query.
#[derive(Debug)]
pub struct Query(pub Params);

impl FromRequest for Query {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let query = request.query_string();
        ready(if query.len() > QUERY_MAX { Err(Failure::PayloadTooLarge) } else { read(query.as_bytes()).map(Self) })
    }
}

impl Describe for Query {
    const TAKES_QUERY: bool = true;
}

/// The parameters of the form.
#[derive(Debug)]
pub struct Form(pub Params);

impl FromRequest for Form {
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Failure>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let form = of(request);
        Box::pin(async move { form.map(Self) })
    }
}

impl Describe for Form {}

/// The parameters of the form of a request.
///
/// # Errors
/// When it has no form that can be read.
pub fn of(request: &HttpRequest) -> Result<Params, Failure> {
    let body = body::take(request)?;
    let is_form = media_type(request).as_deref() == Some("application/x-www-form-urlencoded");
    if !body.is_empty() && (!is_form || is_encoded(request)) {
        return Err(invalid("the body must be application/x-www-form-urlencoded"));
    }
    read(&body)
}
