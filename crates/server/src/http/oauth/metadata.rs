//! What an issuer says of itself (RFC 8414; OpenID Connect Discovery 1.0): what works, and nothing else.

use gatehouse_domain::{
    application::{ClientAuthMethod, GrantType, SigningAlgorithm},
    word::Word,
};
use serde_json::{Map, Value, json};

/// How applications may sign what they send.
const SIGNED_WITH: [&str; 4] = ["ES256", "RS256", "PS256", "EdDSA"];

/// Something that works at issuers, with the fields that tell so.
#[derive(Debug, Clone, Copy)]
pub enum Ability {
    /// The endpoint `authorize`.
    Authorize,
    /// The endpoint `token`.
    Token,
    /// The endpoint `userinfo`.
    UserInfo,
    /// The endpoint `introspect`.
    Introspect,
    /// The endpoint `revoke`.
    Revoke,
    /// The endpoint `par`.
    Push,
    /// The endpoint `device_authorization`.
    Device,
    /// The endpoint `logout`.
    SignOut,
    /// Logout tokens are sent to applications.
    BackChannel,
    /// Tokens are bound to keys (RFC 9449).
    Dpop,
    /// The parameter `claims`.
    ClaimsParameter,
    /// A grant.
    Grant(GrantType),
    /// A way in which applications prove who they are.
    Authentication(ClientAuthMethod),
    /// A field that lists what may be asked for, and what that is.
    Values(&'static str, &'static [&'static str]),
}

/// What works. Whoever adds an endpoint adds it here.
pub const ABILITIES: &[Ability] = &[
    Ability::Authorize,
    Ability::Token,
    Ability::UserInfo,
    Ability::Push,
    Ability::Introspect,
    Ability::Revoke,
    Ability::Device,
    Ability::SignOut,
    Ability::BackChannel,
    Ability::Dpop,
    Ability::ClaimsParameter,
    Ability::Grant(GrantType::AuthorizationCode),
    Ability::Grant(GrantType::RefreshToken),
    Ability::Grant(GrantType::ClientCredentials),
    Ability::Grant(GrantType::DeviceCode),
    Ability::Grant(GrantType::TokenExchange),
    Ability::Authentication(ClientAuthMethod::ClientSecretBasic),
    Ability::Authentication(ClientAuthMethod::PrivateKeyJwt),
    Ability::Authentication(ClientAuthMethod::None),
    Ability::Values("response_modes_supported", &["query", "form_post"]),
    Ability::Values("scopes_supported", SCOPES),
    Ability::Values("claims_supported", CLAIMS),
    Ability::Values("prompt_values_supported", &["none", "login", "consent", "select_account", "create"]),
    Ability::Values("display_values_supported", &["page", "popup"]),
    Ability::Values("ui_locales_supported", &["en", "es", "de"]),
    Ability::Values("acr_values_supported", &["aal1"]),
];

/// The scopes that mean the same everywhere, but for the permissions of the catalogue.
const SCOPES: &[&str] = &[
    "openid",
    "profile",
    "email",
    "phone",
    "roles",
    "attributes",
    "offline_access",
    "account:read",
    "account:write",
    "admin:read",
    "admin:write",
];

/// What ID tokens and `userinfo` may say.
const CLAIMS: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "auth_time",
    "nonce",
    "acr",
    "amr",
    "at_hash",
    "sid",
    "tenant_id",
    "name",
    "preferred_username",
    "updated_at",
    "email",
    "email_verified",
    "phone_number",
    "roles",
    "attributes",
];

/// An issuer.
#[derive(Debug)]
pub struct Described {
    /// Its name.
    pub issuer: String,
    /// Where its endpoints are.
    pub endpoints: String,
    /// Where its keys are.
    pub jwks_uri: String,
    /// Where the documents are; none where they are not served.
    pub documentation: Option<String>,
    /// Whether strangers may open an account.
    pub is_open: bool,
    /// Whether programs may ask that a document of their own describes.
    pub takes_documents: bool,
}

impl Described {
    /// The metadata, as JSON.
    #[must_use]
    pub fn metadata(&self, abilities: &[Ability]) -> String {
        let algorithms = SigningAlgorithm::ALL.iter().map(|(_, name)| *name).collect::<Vec<_>>();
        let mut all = vec![
            ("issuer", json!(self.issuer)),
            ("jwks_uri", json!(self.jwks_uri)),
            ("subject_types_supported", json!(["public"])),
            ("id_token_signing_alg_values_supported", json!(algorithms)),
        ];
        all.extend(self.documentation.iter().map(|address| ("service_documentation", json!(address))));
        all.extend(self.takes_documents.then_some(("client_id_metadata_document_supported", json!(true))));
        all.extend(abilities.iter().flat_map(|ability| self.fields(*ability, abilities)));
        let mut metadata = Map::new();
        for (name, value) in all {
            match (metadata.get_mut(name), value) {
                (Some(Value::Array(known)), Value::Array(more)) => known.extend(more),
                (_, value) => drop(metadata.insert(name.to_owned(), value)),
            }
        }
        // Nobody is asked to open an account where only others can.
        if let Some(Value::Array(prompts)) = metadata.get_mut("prompt_values_supported") {
            prompts.retain(|prompt| self.is_open || prompt != "create");
        }
        Value::Object(metadata).to_string()
    }

    fn fields(&self, ability: Ability, abilities: &[Ability]) -> Vec<(&'static str, Value)> {
        let at = |path: &str| json!(format!("{}/{path}", self.endpoints));
        match ability {
            Ability::Authorize => vec![
                ("authorization_endpoint", at("authorize")),
                ("response_types_supported", json!(["code"])),
                ("code_challenge_methods_supported", json!(["S256"])),
                ("authorization_response_iss_parameter_supported", json!(true)),
                ("request_parameter_supported", json!(false)),
                ("request_uri_parameter_supported", json!(false)),
            ],
            Ability::Token => authenticated(
                [
                    "token_endpoint",
                    "token_endpoint_auth_methods_supported",
                    "token_endpoint_auth_signing_alg_values_supported",
                ],
                at("token"),
                abilities,
                true,
            ),
            Ability::UserInfo => vec![("userinfo_endpoint", at("userinfo"))],
            Ability::Introspect => authenticated(
                [
                    "introspection_endpoint",
                    "introspection_endpoint_auth_methods_supported",
                    "introspection_endpoint_auth_signing_alg_values_supported",
                ],
                at("introspect"),
                abilities,
                false,
            ),
            Ability::Revoke => authenticated(
                [
                    "revocation_endpoint",
                    "revocation_endpoint_auth_methods_supported",
                    "revocation_endpoint_auth_signing_alg_values_supported",
                ],
                at("revoke"),
                abilities,
                true,
            ),
            Ability::Push => vec![
                ("pushed_authorization_request_endpoint", at("par")),
                ("require_pushed_authorization_requests", json!(false)),
            ],
            Ability::Device => vec![("device_authorization_endpoint", at("device_authorization"))],
            Ability::SignOut => vec![("end_session_endpoint", at("logout"))],
            Ability::BackChannel => ["backchannel_logout_supported", "backchannel_logout_session_supported"]
                .map(|name| (name, json!(true)))
                .to_vec(),
            Ability::Dpop => vec![("dpop_signing_alg_values_supported", json!(SIGNED_WITH))],
            Ability::ClaimsParameter => vec![("claims_parameter_supported", json!(true))],
            Ability::Grant(grant) => vec![("grant_types_supported", json!([grant.as_str()]))],
            // With the endpoints at which they count.
            Ability::Authentication(_) => Vec::new(),
            Ability::Values(field, values) => vec![(field, json!(values))],
        }
    }
}

/// An endpoint at which applications say who they are. `names` are those of its address, of the ways to do so and of the
/// algorithms for those who sign.
fn authenticated(
    names: [&'static str; 3],
    address: Value,
    abilities: &[Ability],
    is_public: bool,
) -> Vec<(&'static str, Value)> {
    let mut methods = Vec::new();
    for ability in abilities {
        match ability {
            Ability::Authentication(ClientAuthMethod::ClientSecretBasic) => {
                methods.extend(["client_secret_basic", "client_secret_post"]);
            }
            Ability::Authentication(method) if is_public || *method != ClientAuthMethod::None => {
                methods.push(method.as_str());
            }
            _ => {}
        }
    }
    let signs = methods.contains(&ClientAuthMethod::PrivateKeyJwt.as_str());
    let mut fields = vec![(names[0], address), (names[1], json!(methods))];
    fields.extend(signs.then(|| (names[2], json!(SIGNED_WITH))));
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://id.example/api/v1/auth/tenants/acme";
    const ALL: &[Ability] = &[
        Ability::Authorize,
        Ability::Values("response_modes_supported", &["query", "form_post"]),
        Ability::Values("prompt_values_supported", &["none", "login", "create"]),
        Ability::ClaimsParameter,
        Ability::Token,
        Ability::UserInfo,
        Ability::Introspect,
        Ability::Revoke,
        Ability::Push,
        Ability::Device,
        Ability::SignOut,
        Ability::BackChannel,
        Ability::Dpop,
        Ability::Grant(GrantType::AuthorizationCode),
        Ability::Grant(GrantType::RefreshToken),
        Ability::Authentication(ClientAuthMethod::ClientSecretBasic),
        Ability::Authentication(ClientAuthMethod::PrivateKeyJwt),
        Ability::Authentication(ClientAuthMethod::None),
    ];

    fn metadata(abilities: &[Ability], is_open: bool) -> Value {
        let described = Described {
            issuer: ISSUER.into(),
            endpoints: format!("{ISSUER}/oauth"),
            jwks_uri: format!("{ISSUER}/.well-known/jwks.json"),
            documentation: Some("https://id.example/docs/".into()),
            is_open,
            takes_documents: false,
        };
        serde_json::from_str(&described.metadata(abilities)).unwrap()
    }

    #[test]
    fn each_ability_has_its_fields() {
        let secret = ["client_secret_basic", "client_secret_post", "private_key_jwt"];
        let or_none = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"];
        assert_eq!(
            metadata(ALL, true),
            json!({
                "issuer": ISSUER,
                "authorization_endpoint": format!("{ISSUER}/oauth/authorize"),
                "token_endpoint": format!("{ISSUER}/oauth/token"),
                "userinfo_endpoint": format!("{ISSUER}/oauth/userinfo"),
                "jwks_uri": format!("{ISSUER}/.well-known/jwks.json"),
                "introspection_endpoint": format!("{ISSUER}/oauth/introspect"),
                "revocation_endpoint": format!("{ISSUER}/oauth/revoke"),
                "pushed_authorization_request_endpoint": format!("{ISSUER}/oauth/par"),
                "device_authorization_endpoint": format!("{ISSUER}/oauth/device_authorization"),
                "end_session_endpoint": format!("{ISSUER}/oauth/logout"),
                "response_types_supported": ["code"],
                "response_modes_supported": ["query", "form_post"],
                "subject_types_supported": ["public"],
                "grant_types_supported": ["authorization_code", "refresh_token"],
                "id_token_signing_alg_values_supported": ["RS256", "ES256", "EdDSA"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": or_none,
                "revocation_endpoint_auth_methods_supported": or_none,
                "introspection_endpoint_auth_methods_supported": secret,
                "token_endpoint_auth_signing_alg_values_supported": SIGNED_WITH,
                "revocation_endpoint_auth_signing_alg_values_supported": SIGNED_WITH,
                "introspection_endpoint_auth_signing_alg_values_supported": SIGNED_WITH,
                "dpop_signing_alg_values_supported": SIGNED_WITH,
                "prompt_values_supported": ["none", "login", "create"],
                "authorization_response_iss_parameter_supported": true,
                "backchannel_logout_supported": true,
                "backchannel_logout_session_supported": true,
                "claims_parameter_supported": true,
                "request_parameter_supported": false,
                "request_uri_parameter_supported": false,
                "require_pushed_authorization_requests": false,
                "service_documentation": "https://id.example/docs/",
            })
        );
        assert_eq!(metadata(ALL, false)["prompt_values_supported"], json!(["none", "login"]));
    }

    #[test]
    fn what_does_not_work_is_not_mentioned() {
        let least = metadata(&[], true);
        let names: Vec<_> = least.as_object().unwrap().keys().map(String::as_str).collect();
        let always = [
            "id_token_signing_alg_values_supported",
            "issuer",
            "jwks_uri",
            "service_documentation",
            "subject_types_supported",
        ];
        assert_eq!(names, always);
        let secrets = [Ability::Token, Ability::Authentication(ClientAuthMethod::ClientSecretBasic)];
        let fields = metadata(&secrets, true);
        assert_eq!(
            fields["token_endpoint_auth_methods_supported"],
            json!(["client_secret_basic", "client_secret_post"])
        );
        assert_eq!(fields.get("token_endpoint_auth_signing_alg_values_supported"), None);
    }
}
