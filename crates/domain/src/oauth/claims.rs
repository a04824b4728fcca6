//! What an ID token and the UserInfo endpoint say of a user (OpenID Connect Core 1.0, sections 5.1 and 5.4).

use serde_json::{Map, Value, json};

use crate::{oauth::Scopes, user::UserView};

/// The claims that scopes open. What the user has not got is left out.
#[must_use]
pub fn claims(scopes: &Scopes, view: &UserView) -> Map<String, Value> {
    let (user, mut claims) = (&view.user, Map::new());
    let mut claim = |name: &str, value: Value| {
        if !value.is_null() {
            claims.insert(name.to_owned(), value);
        }
    };
    if scopes.has("profile") {
        claim("name", json!(user.display_name.as_ref().map(|name| name.as_str())));
        claim("preferred_username", json!(user.username.as_str()));
        claim("updated_at", json!(user.updated_at.unix_seconds()));
    }
    if scopes.has("email") {
        claim("email", json!(user.email.as_str()));
        claim("email_verified", json!(user.email_verified));
    }
    if scopes.has("phone") {
        claim("phone_number", json!(user.phone.as_ref().map(|phone| phone.as_str())));
    }
    if scopes.has("roles") {
        let mut names: Vec<_> = view.roles.iter().map(|role| role.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        claim("roles", json!(names));
    }
    if scopes.has("attributes") {
        claim("attributes", json!(user.attributes));
    }
    claims
}
