//! Bodies whose end is held back.

use std::{cell::Cell, rc::Rc, time::Duration};

use actix_web::{dev::Payload, error::PayloadError, web::Bytes};
use futures_util::{StreamExt, stream};
use tokio::sync::watch;

/// Requests whose bodies wait for their end.
#[derive(Clone)]
pub struct Held {
    waiting: Rc<Cell<usize>>,
    gate: Rc<watch::Sender<bool>>,
}

impl Held {
    pub fn new() -> Self {
        Self { waiting: Rc::default(), gate: Rc::new(watch::channel(false).0) }
    }

    /// The same body, whose first byte comes at once and whose rest when all are let go.
    pub fn back(self, whole: Payload) -> Payload {
        let mut open = self.gate.subscribe();
        let rest = stream::once(async move {
            let bytes: Vec<Bytes> = whole.map(Result::unwrap).collect().await;
            let bytes = bytes.concat();
            self.waiting.set(self.waiting.get() + 1);
            open.wait_for(|open| *open).await.unwrap();
            bytes
        });
        let parts = rest.flat_map(|bytes| stream::iter([Ok::<_, PayloadError>(Bytes::from(bytes))]));
        Payload::Stream { payload: Box::pin(parts) }
    }

    /// Waits until so many wait for the end of their bodies.
    pub async fn all_wait(&self, count: usize) {
        let all = async {
            while self.waiting.get() < count {
                tokio::task::yield_now().await;
            }
        };
        let all = tokio::time::timeout(Duration::from_secs(10), all).await;
        assert!(all.is_ok(), "{} of {count} wait for their bodies", self.waiting.get());
    }

    /// Lets the bodies come to their end.
    pub fn let_go(&self) {
        self.gate.send_replace(true);
    }
}
