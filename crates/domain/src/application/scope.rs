//! Scopes (RFC 6749, section 3.3): what a token opens.

use serde::{Deserialize, Serialize};

use crate::{
    authz::{ACCOUNT_READ, ACCOUNT_WRITE, CATALOGUE, PermissionPattern, PermissionSet},
    issue::{Fault, Parse},
};

/// The scopes that open one's own account: to be seen, and to be changed.
const OF_ACCOUNT: [&str; 2] = [ACCOUNT_READ, ACCOUNT_WRITE];
/// The scopes that open nothing of this API: claims of OpenID Connect, and sessions of an application's own.
const OTHERS: [&str; 7] = ["attributes", "email", "offline_access", "openid", "phone", "profile", "roles"];
/// The scopes that stand for many permissions.
const WIDE: [(&str, &str); 2] = [("admin:read", "*:read"), ("admin:write", "*:*")];

/// The name of a scope.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScopeName(String);

impl ScopeName {
    /// What the text matches (ECMA-262).
    pub const PATTERN: &'static str = "^[A-Za-z0-9._:/-]{1,64}$";
    /// The most characters.
    pub const MAX: usize = 64;

    /// One that is known everywhere.
    #[must_use]
    pub(super) fn known(name: &'static str) -> Self {
        Self(name.to_owned())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What an application may do by itself with it.
    fn permission(&self) -> Option<PermissionPattern> {
        let wide = WIDE.iter().find(|(name, _)| *name == self.0).map(|(_, pattern)| *pattern);
        let one = || CATALOGUE.iter().map(|known| known.name).find(|name| *name == self.0);
        wide.or_else(one).map(|pattern| PermissionPattern::from_stored(pattern.to_owned()))
    }

    /// Whether it opens a permission.
    #[must_use]
    pub fn opens_permission(&self) -> bool {
        self.permission().is_some()
    }

    /// Whether it opens something of this API.
    #[must_use]
    pub fn is_of_api(&self) -> bool {
        OF_ACCOUNT.contains(&self.as_str()) || self.opens_permission()
    }

    /// Whether scopes open one's own account: to be seen, and to be changed.
    #[must_use]
    pub fn open_account<'a>(scopes: impl IntoIterator<Item = &'a Self> + Clone) -> [bool; 2] {
        OF_ACCOUNT.map(|name| scopes.clone().into_iter().any(|scope| scope.as_str() == name))
    }

    /// Whether it means the same everywhere. Any other is of a resource, and means what that says.
    #[must_use]
    pub fn is_standard(&self) -> bool {
        OTHERS.contains(&self.as_str()) || self.is_of_api()
    }

    /// What an application may do by itself with some of them.
    #[must_use]
    pub fn permissions<'a>(scopes: impl IntoIterator<Item = &'a Self>) -> PermissionSet {
        PermissionSet::new(scopes.into_iter().filter_map(Self::permission).collect())
    }
}

impl Parse for ScopeName {
    fn parse(text: &str) -> Result<Self, Fault> {
        let is_scope = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/-".contains(&byte);
        if (1..=Self::MAX).contains(&text.len()) && text.bytes().all(is_scope) {
            return Ok(Self(text.to_owned()));
        }
        Err(Fault::new("scope", "must be 1 to 64 letters, digits and characters of ._:/-"))
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for ScopeName {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .min_length(Some(1))
            .max_length(Some(Self::MAX))
            .pattern(Some(Self::PATTERN))
            .examples([serde_json::json!("openid")])
            .into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for ScopeName {}
