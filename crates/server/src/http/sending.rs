//! How answers are handed over: a long one in pieces, so that the connection does not copy more than it can send, and with
//! word of when the last of it is gone.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::{
    body::{BodySize, BoxBody, MessageBody},
    dev::ServiceResponse,
    web::Bytes,
};

use crate::http::connections::Serving;

/// The longest piece.
const PIECE: usize = 8 * 1024;

/// The body of an answer.
enum Body {
    /// All of it is there.
    Whole(Bytes),
    /// It comes as it is read.
    Read(BoxBody),
}

/// A body in pieces. Its connection is serving until it is gone.
struct Pieces {
    body: Body,
    _serving: Option<Serving>,
}

/// Has an answer sent in pieces.
pub(super) fn in_pieces(response: ServiceResponse<BoxBody>, serving: Option<Serving>) -> ServiceResponse<BoxBody> {
    response.map_body(|_, body| {
        if matches!(body.size(), BodySize::None | BodySize::Sized(0)) {
            return body;
        }
        let body = body.try_into_bytes().map_or_else(Body::Read, Body::Whole);
        BoxBody::new(Pieces { body, _serving: serving })
    })
}

impl MessageBody for Pieces {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        match &self.body {
            Body::Whole(bytes) => bytes.size(),
            Body::Read(body) => body.size(),
        }
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        match &mut self.body {
            Body::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Body::Whole(bytes) => Poll::Ready(Some(Ok(bytes.split_to(Ord::min(bytes.len(), PIECE))))),
            Body::Read(body) => Pin::new(body).poll_next(cx),
        }
    }
}
