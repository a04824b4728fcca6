//! What an ID token and the UserInfo endpoint say of a user (OpenID Connect Core 1.0, sections 5.1, 5.4 and 5.5).

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    application::Application,
    oauth::{ErrorCode, RequestFault, Scopes},
    user::UserView,
};

/// The scopes, each with the claims that it opens.
const OPENS: [(&str, &[&str]); 5] = [
    ("profile", &["name", "preferred_username", "updated_at"]),
    ("email", &["email", "email_verified"]),
    ("phone", &["phone_number"]),
    ("roles", &["roles"]),
    ("attributes", &["attributes"]),
];
/// How well users prove who they are here.
pub const ACR: &str = "aal1";
/// The longest parameter `claims`, in bytes.
const LONGEST: usize = 4 * 1024;

/// Single claims that a request asks for beside its scopes. Each is one that some scope opens.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClaimsRequest {
    /// For the ID token.
    pub id_token: BTreeSet<&'static str>,
    /// For the UserInfo endpoint.
    pub user_info: BTreeSet<&'static str>,
}

/// Whom the claims of a request insist on (OpenID Connect Core 1.0, section 5.5.1): nobody else may be answered for.
#[must_use]
pub fn subject(text: &str) -> Option<String> {
    let asked: Value = serde_json::from_str(text).ok()?;
    let of = |place: &str| asked[place]["sub"]["value"].as_str().map(str::to_owned);
    of("id_token").or_else(|| of("userinfo"))
}

/// What is asked of one claim.
#[derive(Deserialize, Default)]
struct Wish {
    #[serde(default)]
    essential: bool,
    value: Option<Value>,
    #[serde(default)]
    values: Vec<Value>,
}

impl Wish {
    /// Whether the claim has to have a value that it cannot have.
    fn is_unmet(&self, value: &str) -> bool {
        let mut wanted = self.value.iter().chain(&self.values).peekable();
        self.essential && wanted.peek().is_some() && !wanted.any(|wanted| wanted == value)
    }
}

/// The names that are known, with their wishes; the others mean nothing here.
fn known(names: &Map<String, Value>) -> BTreeSet<&'static str> {
    OPENS.iter().flat_map(|(_, claims)| *claims).copied().filter(|claim| names.contains_key(*claim)).collect()
}

impl ClaimsRequest {
    /// Takes the parameter `claims`. What an application may not have is left out.
    ///
    /// # Errors
    /// What the application is told: the parameter cannot be read, or it insists on an authentication that there is none of.
    pub fn read(text: &str, application: &Application) -> Result<Self, RequestFault> {
        let invalid =
            RequestFault::new(ErrorCode::InvalidRequest, "claims must be a JSON object of at most 4096 bytes");
        if text.len() > LONGEST {
            return Err(invalid);
        }
        let asked: Map<String, Value> = serde_json::from_str(text).map_err(|_| invalid)?;
        let at = |place: &str| match asked.get(place) {
            None | Some(Value::Null) => Ok(Map::new()),
            Some(Value::Object(names)) => Ok(names.clone()),
            Some(_) => Err(invalid),
        };
        let (id_token, user_info) = (at("id_token")?, at("userinfo")?);
        for names in [&id_token, &user_info] {
            let wish = names.get("acr").filter(|wish| !wish.is_null()).cloned();
            let wish: Wish = wish.map_or(Ok(Wish::default()), serde_json::from_value).map_err(|_| invalid)?;
            if wish.is_unmet(ACR) {
                let description = "no user here proves to be who they are in that way";
                return Err(RequestFault::new(ErrorCode::UnmetAuthenticationRequirements, description));
            }
        }
        Ok(Self { id_token: known(&id_token), user_info: known(&user_info) }.still_allowed(application))
    }

    /// Those that an application may have, as it is registered now.
    #[must_use]
    pub fn still_allowed(&self, application: &Application) -> Self {
        let allowed = |claim: &&&'static str| {
            let scope = OPENS.iter().find(|(_, claims)| claims.contains(claim)).map(|(scope, _)| *scope);
            application.metadata.allowed_scopes.iter().any(|name| Some(name.as_str()) == scope)
        };
        let left = |claims: &BTreeSet<&'static str>| claims.iter().filter(allowed).copied().collect();
        Self { id_token: left(&self.id_token), user_info: left(&self.user_info) }
    }

    /// The scopes that would open them: what a user who consents is told.
    #[must_use]
    pub fn scopes(&self) -> Scopes {
        let asked = |claim: &&str| self.id_token.contains(claim) || self.user_info.contains(claim);
        let scopes = OPENS.iter().filter(|(_, claims)| claims.iter().any(asked)).map(|(scope, _)| *scope);
        Scopes::read(&scopes.collect::<Vec<_>>().join(" "))
    }

    /// As it is stored; `None` for nothing.
    #[must_use]
    pub fn to_stored(&self) -> Option<String> {
        let asked = json!({"id_token": self.id_token, "userinfo": self.user_info});
        (*self != Self::default()).then(|| asked.to_string())
    }

    /// Takes what was stored.
    #[must_use]
    pub fn from_stored(text: Option<&str>) -> Self {
        let stored: Value = text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let at = |place: &str| {
            let names = stored[place].as_array().into_iter().flatten().filter_map(Value::as_str);
            known(&names.map(|name| (name.to_owned(), Value::Null)).collect())
        };
        Self { id_token: at("id_token"), user_info: at("userinfo") }
    }
}

/// The claims that scopes open, and those that were asked for besides. What the user has not got is left out.
#[must_use]
pub fn claims(scopes: &Scopes, besides: &BTreeSet<&'static str>, view: &UserView) -> Map<String, Value> {
    let (user, mut claims) = (&view.user, Map::new());
    let opened = OPENS.iter().filter(|(scope, _)| scopes.has(scope)).flat_map(|(_, claims)| *claims);
    for name in opened.chain(besides) {
        let value = match *name {
            "name" => json!(user.display_name.as_ref().map(|name| name.as_str())),
            "preferred_username" => json!(user.username.as_str()),
            "updated_at" => json!(user.updated_at.unix_seconds()),
            "email" => json!(user.email.as_str()),
            "email_verified" => json!(user.email_verified),
            "phone_number" => json!(user.phone.as_ref().map(|phone| phone.as_str())),
            "roles" => {
                let names: BTreeSet<_> = view.roles.iter().map(|role| role.name.as_str()).collect();
                json!(names)
            }
            "attributes" => json!(user.attributes),
            _ => Value::Null,
        };
        if !value.is_null() {
            claims.insert((*name).to_owned(), value);
        }
    }
    claims
}
