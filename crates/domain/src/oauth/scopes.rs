//! Which scopes a token has.

use std::{collections::BTreeSet, fmt};

use crate::{
    application::{Application, GrantType, ScopeName},
    authz::{PermissionSet, TenantRef, TokenScope},
    issue::Parse,
};

/// The scopes that open what a user is, to the application that the user signed in to.
const OF_USERS: [&str; 6] = ["attributes", "email", "openid", "phone", "profile", "roles"];
/// The scope that lets an application stay connected when its user has signed out of the browser.
pub const OFFLINE_ACCESS: &str = "offline_access";

/// A set of scopes, as text in alphabetical order with blanks between.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scopes(BTreeSet<ScopeName>);

impl Scopes {
    /// Takes what was stored, or what a request asks for. What is no name of a scope is unknown, and left out.
    #[must_use]
    pub fn read(text: &str) -> Self {
        Self(text.split(' ').filter_map(|name| ScopeName::parse(name).ok()).collect())
    }

    /// Takes what a program asks for; none if something of it is no name of a scope.
    #[must_use]
    pub fn read_all(text: &str) -> Option<Self> {
        let names = text.split(' ').filter(|name| !name.is_empty());
        names.map(|name| ScopeName::parse(name).ok()).collect::<Option<_>>().map(Self)
    }

    /// What an application may be given of a user: the scopes that it is registered with. Where it asks for an API of
    /// others, the scopes that this has are among them, and none of our own API.
    #[must_use]
    pub fn allowed(application: &Application, api: Option<&Application>) -> Self {
        let uses_refresh = application.metadata.grant_types.contains(&GrantType::RefreshToken);
        let may_have = |name: &&ScopeName| match api {
            _ if name.as_str() == OFFLINE_ACCESS => uses_refresh,
            _ if OF_USERS.contains(&name.as_str()) => true,
            Some(api) => !name.is_standard() && api.metadata.resource_scopes.iter().any(|scope| scope.name == **name),
            None => name.is_of_api(),
        };
        let mut allowed: BTreeSet<_> = application.metadata.allowed_scopes.iter().filter(may_have).cloned().collect();
        // Of an API that is open to programs which nobody registered these may have whatever it has.
        let open = api.filter(|api| application.document.is_some() && api.metadata.open_resource);
        let names = open.iter().flat_map(|api| &api.metadata.resource_scopes).map(|scope| &scope.name);
        allowed.extend(names.filter(|name| !name.is_standard()).cloned());
        Self(allowed)
    }

    /// What an application may have in its own name: of our API and of others; where it asks for one of others, what this
    /// has.
    #[must_use]
    pub fn allowed_by_itself(application: &Application, api: Option<&Application>) -> Self {
        if api.is_some() {
            return Self::allowed(application, api).of_api();
        }
        let may_have = |name: &&ScopeName| !name.is_standard() || name.opens_permission();
        Self(application.metadata.allowed_scopes.iter().filter(may_have).cloned().collect())
    }

    /// Whether one of them opens something of our own API.
    #[must_use]
    pub fn open_our_api(&self) -> bool {
        self.0.iter().any(ScopeName::is_of_api)
    }

    /// What an application may do with them in its own name.
    #[must_use]
    pub fn permissions(&self) -> PermissionSet {
        ScopeName::permissions(&self.0)
    }

    /// What a token with them opens to an application of what its user may do; a tenant's issuer gave it.
    #[must_use]
    pub fn narrowed(&self, application: &Application, tenant: TenantRef) -> TokenScope {
        let [reads_account, changes_account] = ScopeName::open_account(&self.0);
        TokenScope {
            application_id: application.id,
            within: application.owner.anchor(),
            tenant,
            permissions: self.permissions(),
            reads_account,
            changes_account,
        }
    }

    /// Those that an application is still registered with.
    #[must_use]
    pub fn still_allowed(&self, application: &Application) -> Self {
        let allowed = &application.metadata.allowed_scopes;
        let of_open_api = |name: &ScopeName| application.document.is_some() && !name.is_standard();
        Self(self.0.iter().filter(|name| allowed.contains(name) || of_open_api(name)).cloned().collect())
    }

    /// What is in both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).cloned().collect())
    }

    /// What is in either.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0).cloned().collect())
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
