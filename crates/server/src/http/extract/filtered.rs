//! Filters without pages.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, dev::Payload};

use crate::{
    http::{
        extract::page::Filter,
        operation::{About, Describe},
        problem::Failure,
    },
    input::{read_pairs, read_query},
};

/// Everything that the query says.
#[derive(Debug)]
pub struct Filtered<F>(pub F);

impl<F: Filter> FromRequest for Filtered<F> {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let read = || read_pairs("query", read_query(request.query_string())?.into_iter(), F::read);
        ready(read().map(Self).map_err(Failure::from))
    }
}

impl<F: Filter> Describe for Filtered<F> {
    const TAKES_QUERY: bool = true;

    fn describe(about: &mut About) {
        about.query(F::parameters());
    }
}
