//! Filters without pages.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, dev::Payload};

use crate::{
    http::{
        operation::{About, Describe},
        problem::Failure,
    },
    input::{Object, pairs, read_query},
};

/// Everything that the query says.
#[derive(Debug)]
pub struct Filtered<F>(pub F);

impl<F: Object> FromRequest for Filtered<F> {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let read = pairs(request.query_string()).and_then(read_query);
        ready(read.map(Self).map_err(Failure::from))
    }
}

impl<F: Object> Describe for Filtered<F> {
    const TAKES_QUERY: bool = true;

    fn describe(about: &mut About) {
        about.query(F::properties());
    }
}
