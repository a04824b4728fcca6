//! Bodies that nobody reads to their end. The connection would read on for as long as chunks come, so it has to see that
//! somebody still owns the body when the answer has been sent: then it closes.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use actix_web::{
    HttpMessage,
    body::{BodySize, BoxBody, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    error::PayloadError,
    web::Bytes,
};
use futures_util::Stream;

/// A body, and whether it has been read to its end.
struct Shared {
    payload: Payload,
    ended: bool,
}

/// What the handler reads from.
struct Reader(Rc<RefCell<Shared>>);

impl Stream for Reader {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut shared = self.0.borrow_mut();
        let polled = Pin::new(&mut shared.payload).poll_next(cx);
        shared.ended |= matches!(polled, Poll::Ready(None));
        polled
    }
}

/// A hold on the body of a request.
pub(super) struct Hold(Option<Rc<RefCell<Shared>>>);

impl Hold {
    /// Takes hold of the body of a request, if it may have one.
    pub(super) fn take(request: &mut ServiceRequest) -> Self {
        let payload = request.take_payload();
        if matches!(payload, Payload::None) {
            return Self(None);
        }
        let shared = Rc::new(RefCell::new(Shared { payload, ended: false }));
        request.set_payload(Payload::Stream { payload: Box::pin(Reader(Rc::clone(&shared))) });
        Self(Some(shared))
    }

    /// Keeps what has not been read until the answer has been sent.
    pub(super) fn until_sent(self, response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
        match self.0 {
            Some(unread) if !unread.borrow().ended => {
                response.map_body(|_, body| BoxBody::new(Holding { body, _unread: unread }))
            }
            _ => response,
        }
    }
}

/// The body of an answer, with the unread one of its request.
struct Holding {
    body: BoxBody,
    _unread: Rc<RefCell<Shared>>,
}

impl MessageBody for Holding {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}
