//! Which scopes a token has.

use std::{collections::BTreeSet, fmt};

use crate::{
    application::{Application, ScopeName},
    issue::Parse,
};

/// The scopes that open what a user is, to the application that the user signed in to.
const OF_USERS: [&str; 6] = ["attributes", "email", "openid", "phone", "profile", "roles"];

/// A set of scopes, as text in alphabetical order with blanks between.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scopes(BTreeSet<ScopeName>);

impl Scopes {
    /// Takes what was stored, or what a request asks for. What is no name of a scope is unknown, and left out.
    #[must_use]
    pub fn read(text: &str) -> Self {
        Self(text.split(' ').filter_map(|name| ScopeName::parse(name).ok()).collect())
    }

    /// What an application may be given of a user: the scopes that it is registered with. Where it asks for an API, the
    /// scopes that this has are among them.
    #[must_use]
    pub fn allowed(application: &Application, api: Option<&Application>) -> Self {
        let of_api = |name: &ScopeName| {
            api.is_some_and(|api| api.metadata.resource_scopes.iter().any(|scope| scope.name == *name))
        };
        let may_have = |name: &&ScopeName| OF_USERS.contains(&name.as_str()) || !name.is_standard() && of_api(name);
        Self(application.metadata.allowed_scopes.iter().filter(may_have).cloned().collect())
    }

    /// Those that an application is still registered with.
    #[must_use]
    pub fn still_allowed(&self, application: &Application) -> Self {
        let allowed = &application.metadata.allowed_scopes;
        Self(self.0.iter().filter(|name| allowed.contains(name)).cloned().collect())
    }

    /// What is in both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).cloned().collect())
    }

    /// Those that an API has, and no others.
    #[must_use]
    pub fn of_api(self) -> Self {
        Self(self.0.into_iter().filter(|name| !name.is_standard()).collect())
    }

    /// Whether every one of these is in the other.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }

    /// Whether a scope is among them.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|scope| scope.as_str() == name)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(ScopeName::as_str)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, name) in self.names().enumerate() {
            write!(f, "{}{name}", if at == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}
