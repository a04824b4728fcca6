//! Keys that applications publish at an address of theirs (`jwks_uri`), as far as they have been fetched.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use gatehouse_domain::{
    application::Jwks,
    id::ApplicationId,
    time::{MINUTE, Timestamp},
};
use moka::sync::Cache;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use url::Url;

use crate::outbound::Outbound;

/// How long keys count that were fetched.
const KEPT: Duration = MINUTE.saturating_mul(5);
/// How long it takes until they are fetched once more for a key that is not among them, or because they could not be.
const AGAIN: Duration = Duration::from_secs(30);
/// The most bytes of a set of keys.
const LONGEST: usize = 64 * 1024;
const MEDIA: &str = "application/jwk-set+json, application/json";

/// What has been fetched from an address.
#[derive(Debug, Default)]
struct Fetched {
    keys: Option<(Arc<Jwks>, Timestamp)>,
    tried_at: Option<Timestamp>,
}

impl Fetched {
    /// The keys, while they count.
    fn current(&self, now: Timestamp) -> Option<&Arc<Jwks>> {
        self.keys.as_ref().filter(|(_, at)| *at <= now && now.since(*at) < KEPT).map(|(keys, _)| keys)
    }

    fn may_try(&self, now: Timestamp) -> bool {
        self.tried_at.is_none_or(|at| at > now || now.since(at) >= AGAIN)
    }
}

/// The keys of each application, by its address for them.
#[derive(Debug)]
pub struct PublishedKeys(Cache<(ApplicationId, String), Arc<Mutex<Fetched>>>);

impl Default for PublishedKeys {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(10_000).time_to_idle(KEPT * 2).build())
    }
}

impl PublishedKeys {
    /// The keys that an application publishes, fetched if need be: whoever asks at the same time waits for the same answer,
    /// and a stranger who names keys that there are none of has them fetched twice a minute at most. None where they could
    /// not be fetched. `has` says whether a set has the key that is looked for.
    pub async fn of(
        &self,
        outbound: &Outbound,
        application: ApplicationId,
        address: &str,
        has: impl Fn(&Jwks) -> bool,
        now: Timestamp,
    ) -> Option<Arc<Jwks>> {
        let slot = self.0.get_with((application, address.to_owned()), Arc::default);
        let mut fetched = slot.lock().await;
        let suffices = fetched.current(now).is_some_and(|keys| has(keys));
        if !suffices && fetched.may_try(now) {
            fetched.tried_at = Some(now);
            match fetch(outbound, address).await {
                Ok(keys) => fetched.keys = Some((Arc::new(keys), now)),
                Err(why) => {
                    tracing::warn!(application_id = %application, why, "the keys of an application cannot be fetched");
                }
            }
        }
        fetched.current(now).cloned()
    }
}

async fn fetch(outbound: &Outbound, address: &str) -> Result<Jwks, String> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<BTreeMap<String, Value>>,
    }
    let url = Url::parse(address).map_err(|error| error.to_string())?;
    let answer = outbound.get(&url, MEDIA, LONGEST).await.map_err(|error| error.to_string())?;
    if answer.status != 200 {
        return Err(format!("the answer has the status {}", answer.status));
    }
    let set: Set = serde_json::from_slice(&answer.body).map_err(|_| "the answer is no JWK set".to_owned())?;
    let keys = set.keys.into_iter().map(|key| {
        let text = |(name, value): (String, Value)| match value {
            Value::String(text) => Some((name, text)),
            // A private key is none that may be used, in whatever form.
            _ if Jwks::is_private(&name) => Some((name, String::new())),
            _ => None,
        };
        key.into_iter().filter_map(text).collect()
    });
    Jwks::of_published(keys.collect()).ok_or_else(|| "the set has no key that could be used".to_owned())
}
