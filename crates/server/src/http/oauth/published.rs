//! What issuers say of themselves, kept as it is sent: it is asked for much more often than it changes.

use std::{sync::Arc, time::Duration};

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
    /// The second in which it was made: keys stop verifying by time alone.
    second: i64,
    document: Document,
}

/// The documents.
#[derive(Debug)]
pub struct Published(Cache<(Kind, Uuid), Arc<Made>>);

impl Default for Published {
    fn default() -> Self {
        // What is older than a second is of no use.
        Self(Cache::builder().max_capacity(MOST).time_to_live(Duration::from_secs(1)).build())
    }
}

impl Published {
    /// Answers with what `make` makes of these facts, of the address where that matters, and of this second. It is made
    /// again only when one of them is another.
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
