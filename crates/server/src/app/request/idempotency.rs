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

use gatehouse_domain::{
    authz::{ActorId, SystemReason},
    id::TenantId,
};
use gatehouse_persistence::{EarlierRequest, WriteTx};
use uuid::Uuid;

pub use gatehouse_persistence::IdempotencyKey;

use crate::app::{
    Error, Result,
    request::{Idempotency, client::RequestMeta},
};

/// How long somebody waits who has too many answers kept.
const FULL: Duration = Duration::from_secs(3_600);

/// An answer as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredResponse {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// Makes the answer of a result; none of a result of another type.
type Respond = dyn Fn(&dyn Any) -> Option<StoredResponse> + Send + Sync;

/// How to keep the answer to a request.
pub struct StoreResponse {
    key: IdempotencyKey,
    response: Box<Respond>,
}

impl fmt::Debug for StoreResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreResponse").field("key", &self.key).finish_non_exhaustive()
    }
}

impl StoreResponse {
    /// Keeps what `response` makes of the result.
    #[must_use]
    pub fn new<T: 'static>(
        key: IdempotencyKey,
        response: impl Fn(&T) -> StoredResponse + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { key, response: Box::new(move |result| result.downcast_ref().map(&response)) })
    }
}

/// The requests under a key that this process is about to answer.
#[derive(Debug, Default, Clone)]
pub(crate) struct InFlightKeys(Arc<Mutex<HashSet<[u8; 32]>>>);

/// A request that nobody else answers meanwhile.
#[derive(Debug)]
pub struct InFlight {
    key: [u8; 32],
    all: InFlightKeys,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl Idempotency<'_> {
    /// The key under which a user or an application sent a request: `named` is what the request is known by, `asked` what it
    /// asks for. An application of the platform is of no tenant.
    #[must_use]
    pub fn key(&self, actor: ActorId, tenant: Option<TenantId>, named: &[u8], asked: &[u8]) -> IdempotencyKey {
        IdempotencyKey {
            key: self.keyring.idempotency(&[actor.uuid().as_bytes(), named].concat()),
            fingerprint: self.keyring.idempotency(asked),
            tenant: tenant.unwrap_or(TenantId::from_uuid(Uuid::nil())),
            actor,
        }
    }

    /// Makes sure that this process answers a request once at a time.
    ///
    /// # Errors
    /// [`Error::InProgress`] when it does so already.
    pub fn in_flight(&self, key: &[u8; 32]) -> Result<InFlight> {
        let is_first = self.in_flight.0.lock().unwrap_or_else(PoisonError::into_inner).insert(*key);
        if is_first { Ok(InFlight { key: *key, all: self.in_flight.clone() }) } else { Err(Error::InProgress) }
    }

    /// The answer that a request got when it was sent before.
    ///
    /// # Errors
    /// [`Error::KeyReused`] when another request was sent under its key, [`Error::RateLimited`] when no more answers are
    /// kept for whoever asks.
    pub async fn stored_response(&self, key: &IdempotencyKey) -> Result<Option<StoredResponse>> {
        let earlier = self.db.system(SystemReason::Authentication).earlier_request(key, self.env.now()).await?;
        match earlier.kept {
            Some((fingerprint, _)) if fingerprint != key.fingerprint => Err(Error::KeyReused),
            Some((_, sealed)) => {
                let plain = self.keyring.open(&key.key, &sealed).map_err(|error| Error::Internal(Box::new(error)))?;
                let (status, body) = plain.split_first_chunk().ok_or_else(|| Error::Internal("no answer".into()))?;
                Ok(Some(StoredResponse { status: u16::from_be_bytes(*status), body: body.to_vec() }))
            }
            None if earlier.count >= EarlierRequest::MOST => Err(Error::RateLimited(FULL)),
            None => Ok(None),
        }
    }

    /// Runs a change whose result is what the request is answered with, and keeps that answer if it came under a key.
    pub(crate) async fn write<T, F>(&self, meta: &RequestMeta, work: F) -> Result<T>
    where
        F: AsyncFn(&WriteTx<'_>) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let (store, keyring) = (meta.store_response.clone(), Arc::clone(self.keyring));
        let work = async move |tx: &WriteTx<'_>| {
            let result = work(tx).await?;
            if let Some(store) = &store {
                let kept = (store.response)(&result);
                let StoredResponse { status, body } =
                    kept.ok_or_else(|| Error::Internal("an answer to something else".into()))?;
                let sealed = keyring.seal(&store.key.key, &[&status.to_be_bytes(), body.as_slice()].concat());
                tx.store_response(&store.key, sealed).await?;
            }
            Ok(result)
        };
        self.db.write(meta.ctx.clone(), work).await
    }
}
