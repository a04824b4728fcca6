//! What issuers say of themselves, kept as it is sent: it is asked for much more often than it changes.

use std::sync::Arc;

use gatehouse_domain::time::Timestamp;
use moka::sync::Cache;
use uuid::Uuid;

use crate::{app::directory::issuers::IssuerFacts, http::document::Document};

/// How many documents are kept: two of each issuer.
const MOST: u64 = 2_000;

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The keys.
    Keys,
    /// The metadata.
    Metadata,
}

/// A document, with what it was made of.
#[derive(Debug)]
struct Made {
    of: IssuerFacts,
    base_url: Option<Arc<str>>,
    /// The second in which it was made: keys stop to verify by time alone.
    second: i64,
    document: Document,
}

/// The documents.
#[derive(Debug)]
pub struct Published(Cache<(Kind, Uuid), Arc<Made>>);

impl Default for Published {
    fn default() -> Self {
        Self(Cache::new(MOST))
    }
}

impl Published {
    /// What `make` makes of these facts, of this address, if it says one, and in this second, made no more than once. `answer` is given it.
    pub fn with<T>(
        &self,
        kind: Kind,
        of: &IssuerFacts,
        base_url: Option<&Arc<str>>,
        now: Timestamp,
        make: impl FnOnce() -> String,
        answer: impl FnOnce(&Document) -> T,
    ) -> T {
        let (key, second) = ((kind, of.issuer().uuid()), now.unix_seconds());
        let known =
            self.0.get(&key).filter(|it| it.second == second && it.of.is_same(of) && it.base_url.as_ref() == base_url);
        let made = known.unwrap_or_else(|| {
            let (of, base_url) = (of.clone(), base_url.map(Arc::clone));
            let made = Arc::new(Made { of, base_url, second, document: Document::new(make()) });
            self.0.insert(key, Arc::clone(&made));
            made
        });
        answer(&made.document)
    }
}
