//! Requests that happen once however often they are sent: under an idempotency key, the answer is kept in the
//! transaction of the change, and whoever sends the request again gets that answer.
//!
//! What changed nothing is not kept: a request that was refused can be sent again under its key, and may succeed then.

use std::{
    any::Any,
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use gatehouse_domain::authz::SystemReason;
use gatehouse_persistence::{Earlier, WriteTx};

pub use gatehouse_persistence::ReceiptKey;

use crate::app::{App, Error, Result, client::Origin};

/// How long somebody waits who has too many answers kept.
const FULL: Duration = Duration::from_secs(3_600);

/// An answer as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// Makes the answer of a result; none of a result of another type.
type Answer = dyn Fn(&dyn Any) -> Option<Kept> + Send + Sync;

/// How to keep the answer to a request.
pub struct Once {
    key: ReceiptKey,
    answer: Box<Answer>,
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Once {
    /// Keeps what `answer` makes of the result.
    #[must_use]
    pub fn new<T: 'static>(key: ReceiptKey, answer: impl Fn(&T) -> Kept + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { key, answer: Box::new(move |result| result.downcast_ref().map(&answer)) })
    }
}

/// The requests under a key that this process is about to answer.
#[derive(Debug, Default, Clone)]
pub(crate) struct InProgress(Arc<Mutex<HashSet<[u8; 32]>>>);

/// A request that nobody else answers meanwhile.
#[derive(Debug)]
pub struct Alone {
    key: [u8; 32],
    all: InProgress,
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl App {
    /// Makes sure that this process answers a request once at a time.
    ///
    /// # Errors
    /// [`Error::InProgress`] when it does so already.
    pub fn alone(&self, key: &[u8; 32]) -> Result<Alone> {
        let is_first = self.in_progress.0.lock().unwrap_or_else(PoisonError::into_inner).insert(*key);
        if is_first { Ok(Alone { key: *key, all: self.in_progress.clone() }) } else { Err(Error::InProgress) }
    }

    /// The answer that a request got when it was sent before.
    ///
    /// # Errors
    /// [`Error::KeyReused`] when another request was sent under its key, [`Error::RateLimited`] when no more answers are
    /// kept for whoever asks.
    pub async fn answered(&self, key: &ReceiptKey) -> Result<Option<Kept>> {
        let earlier = self.db.system(SystemReason::Authentication).earlier(key, self.env.now()).await?;
        match earlier.kept {
            Some((fingerprint, _)) if fingerprint != key.fingerprint => Err(Error::KeyReused),
            Some((_, sealed)) => {
                let plain = self.keyring.open(&key.key, &sealed).map_err(|error| Error::Internal(Box::new(error)))?;
                let (status, body) = plain.split_first_chunk().ok_or_else(|| Error::Internal("no answer".into()))?;
                Ok(Some(Kept { status: u16::from_be_bytes(*status), body: body.to_vec() }))
            }
            None if earlier.count >= Earlier::MOST => Err(Error::RateLimited(FULL)),
            None => Ok(None),
        }
    }

    /// Runs a change whose result is what the request is answered with, and keeps that answer if it came under a key.
    pub(crate) async fn answer<T, F>(&self, origin: &Origin, work: F) -> Result<T>
    where
        F: AsyncFn(&WriteTx<'_>) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let (once, keyring) = (origin.once.clone(), Arc::clone(&self.keyring));
        let work = async move |tx: &WriteTx<'_>| {
            let result = work(tx).await?;
            if let Some(once) = &once {
                let kept = (once.answer)(&result);
                let Kept { status, body } =
                    kept.ok_or_else(|| Error::Internal("an answer to something else".into()))?;
                let sealed = keyring.seal(&once.key.key, &[&status.to_be_bytes(), body.as_slice()].concat());
                tx.keep(&once.key, sealed).await?;
            }
            Ok(result)
        };
        self.db.write(origin.ctx.clone(), work).await
    }
}
