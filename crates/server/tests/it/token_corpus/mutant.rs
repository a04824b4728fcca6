//! What a mutant is, and what is known of others that mutants are made with.

use super::{
    forge::{Key, Real},
    verifiers::At,
};

/// What others have, of which none may count instead of one's own.
pub struct Others {
    /// A key that nobody knows, for each algorithm of the tokens.
    pub strangers: Vec<Key>,
    /// The keys of another tenant and of the platform.
    pub foreign: [Key; 2],
    /// The key that is published beside the one that signs access tokens, and one of another algorithm.
    pub own: [Key; 2],
    pub issuers: [String; 2],
    pub tenant: String,
    pub user: String,
    pub application: String,
    pub family: String,
    /// A session that has ended, another one of the same user, one of another user.
    pub sessions: [String; 3],
    pub now: i64,
}

impl Others {
    /// A key that nobody knows, of the algorithm of a token.
    pub fn stranger(&self, real: &Real) -> &Key {
        self.strangers.iter().find(|key| key.algorithm == real.key.algorithm).unwrap()
    }
}

type Make = Box<dyn Fn(&Real, &Others) -> String>;

/// A way to mangle a token.
pub struct Mutant {
    pub name: String,
    pub make: Make,
    /// Where it still counts as what it was made of, because what is changed means nothing there.
    pub still: Vec<At>,
}

/// One that counts nowhere.
pub fn refused(name: impl Into<String>, make: impl Fn(&Real, &Others) -> String + 'static) -> Mutant {
    Mutant { name: name.into(), make: Box::new(make), still: vec![] }
}

/// One that counts in some places.
pub fn counts_at(still: &[At], name: impl Into<String>, make: impl Fn(&Real, &Others) -> String + 'static) -> Mutant {
    Mutant { still: still.to_vec(), ..refused(name, make) }
}
