//! The endpoints below issuers, as the document describes them: what they take and answer is said by RFCs and not by types
//! of ours, so it is written down here. A test holds the list against the routes.

mod fields;

use serde_json::{Map, Value, json};

use fields::field;

/// Both kinds of issuers: the path below which endpoints are, and what ids of operations begin with.
const ISSUERS: [(&str, &str, &str); 2] = [
    ("/api/v1/auth/tenants/{tenant_slug}/oauth", "oauth", "a tenant"),
    ("/api/v1/platform/oauth", "platform_oauth", "the platform"),
];

/// An endpoint that takes a form.
struct Endpoint {
    path: &'static str,
    id: &'static str,
    /// The schema of the form.
    form: &'static str,
    summary: &'static str,
    description: &'static str,
    /// The fields of the form, those that are needed first.
    needs: &'static [&'static str],
    takes: &'static [&'static str],
    /// The status of the answer, and its schema.
    answers: (&'static str, Option<&'static str>),
}

const ENDPOINTS: [Endpoint; 5] = [
    Endpoint {
        path: "/token",
        id: "token.create",
        form: "OAuthTokenRequest",
        summary: "Get tokens",
        description: "Exchanges a code, a refresh token, an approved device or a token of a user, or gives an application a token in its own name (RFC 6749, section 3.2; RFC 8628; RFC 8693). A code works once within a minute, a refresh token once.",
        needs: &["grant_type"],
        takes: &[
            "code",
            "redirect_uri",
            "code_verifier",
            "refresh_token",
            "scope",
            "resource",
            "device_code",
            "subject_token",
            "subject_token_type",
            "requested_token_type",
            "audience",
            "client_id",
            "client_secret",
            "client_assertion",
            "client_assertion_type",
        ],
        answers: ("200", Some("OAuthTokens")),
    },
    Endpoint {
        path: "/par",
        id: "requests.create",
        form: "OAuthPushRequest",
        summary: "Push an authorization request",
        description: "Takes what `authorize` takes, checks it as a whole, and answers a name for it (RFC 9126). A browser brings that with `client_id` within 90 seconds.",
        needs: &["response_type", "redirect_uri"],
        takes: &[
            "scope",
            "state",
            "nonce",
            "code_challenge",
            "code_challenge_method",
            "dpop_jkt",
            "response_mode",
            "prompt",
            "max_age",
            "resource",
            "claims",
            "login_hint",
            "id_token_hint",
            "ui_locales",
            "client_id",
            "client_secret",
            "client_assertion",
            "client_assertion_type",
        ],
        answers: ("201", Some("OAuthPushedRequest")),
    },
    Endpoint {
        path: "/device_authorization",
        id: "devices.create",
        form: "OAuthDeviceRequest",
        summary: "Have a device wait",
        description: "For devices without a browser (RFC 8628): somebody types the code at `verification_uri`, and the device asks for tokens meanwhile.",
        needs: &["client_id"],
        takes: &["scope", "resource", "client_secret", "client_assertion", "client_assertion_type"],
        answers: ("200", Some("OAuthDevice")),
    },
    Endpoint {
        path: "/introspect",
        id: "token.get",
        form: "OAuthIntrospectionRequest",
        summary: "Ask what a token counts for",
        description: "For applications with a secret or a key (RFC 7662). What does not concern the caller, or does not count, is `{\"active\": false}`.",
        needs: &["token"],
        takes: &["token_type_hint", "client_id", "client_secret", "client_assertion", "client_assertion_type"],
        answers: ("200", Some("OAuthIntrospection")),
    },
    Endpoint {
        path: "/revoke",
        id: "token.revoke",
        form: "OAuthRevocationRequest",
        summary: "Take a token back",
        description: "A refresh token with all that came of it, or one access token, of the caller (RFC 7009). Any other is left alone, and the answer is the same.",
        needs: &["token"],
        takes: &["token_type_hint", "client_id", "client_secret", "client_assertion", "client_assertion_type"],
        answers: ("200", None),
    },
];

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/responses/{name}") })
}

/// The answer of an endpoint.
fn answer(description: &str, schema: Option<&str>) -> Value {
    let mut answer = json!({
        "description": description,
        "headers": { "X-Request-Id": { "$ref": "#/components/headers/X-Request-Id" } },
    });
    if let Some(schema) = schema {
        answer["content"] =
            json!({ "application/json": { "schema": { "$ref": format!("#/components/schemas/{schema}") } } });
    }
    answer
}

/// An operation but for what it takes.
fn operation(of: (&str, &str), id: &str, [summary, description]: [&str; 2], slug: Option<&Value>) -> Value {
    let (prefix, place) = of;
    let full = format!("{prefix}.{id}");
    let tag = full.rsplit_once('.').map(|(tag, _)| tag.replace(['.', '_'], "-"));
    let mut operation = json!({
        "tags": [tag],
        "operationId": full,
        "summary": format!("{summary}, at {place}"),
        "description": description,
        "security": [],
        "responses": {
            "429": reference("OAuthLater"), "503": reference("OAuthLater"), "default": reference("OAuthFailure"),
        },
    });
    if let Some(slug) = slug {
        operation["parameters"] = json!([slug]);
        operation["responses"]["404"] = reference("OAuthNotFound");
    }
    operation
}

/// Adds the header with the proof of a key.
fn takes_proof(operation: &mut Value) {
    let header = json!({
        "name": "DPoP", "in": "header", "description": "A proof of the key that the tokens are, or will be, bound to (RFC 9449).",
        "schema": { "type": "string", "maxLength": 8192 },
    });
    match operation["parameters"].as_array_mut() {
        Some(known) => known.push(header),
        None => operation["parameters"] = json!([header]),
    }
}

/// Adds the endpoints of both kinds of issuers to a document.
pub(super) fn add(document: &mut Value) {
    components(&mut document["components"]);
    let login = &document["paths"]["/api/v1/auth/tenants/{tenant_slug}/login"]["post"]["parameters"];
    let slug = login.as_array().into_iter().flatten().find(|it| it["name"] == "tenant_slug").cloned();
    let mut tags = Vec::new();
    for (base, prefix, place) in ISSUERS {
        let slug = slug.as_ref().filter(|_| base.contains("{tenant_slug}"));
        let mut put = |path: String, method: &str, operation: Value| {
            let tag = operation["tags"][0].as_str().unwrap_or_default().to_owned();
            if !tags.iter().any(|known: &Value| known["name"] == tag.as_str()) {
                tags.push(
                    json!({ "name": tag, "description": format!("Endpoints of OAuth 2.0 at the issuer of {place}.") }),
                );
            }
            document["paths"][path][method] = operation;
        };
        for endpoint in &ENDPOINTS {
            let words = [endpoint.summary, endpoint.description];
            let mut operation = operation((prefix, place), endpoint.id, words, slug);
            let form = json!({ "$ref": format!("#/components/schemas/{}", endpoint.form) });
            operation["requestBody"] =
                json!({ "required": true, "content": { "application/x-www-form-urlencoded": { "schema": form } } });
            operation["security"] = json!([{ "clientBasic": [] }, {}]);
            if matches!(endpoint.path, "/token" | "/par") {
                takes_proof(&mut operation);
            }
            let (status, schema) = endpoint.answers;
            operation["responses"][status] = answer("The answer.", schema);
            for status in ["400", "413"] {
                operation["responses"][status] = reference("OAuthFailure");
            }
            operation["responses"]["401"] = reference("OAuthUnknownClient");
            put(format!("{base}{}", endpoint.path), "post", operation);
        }
        let words = [
            "See what a token tells of its user",
            "The claims that the scopes of the access token open (OpenID Connect Core 1.0, section 5.3).",
        ];
        let mut user_info = operation((prefix, place), "user_info.get", words, slug);
        takes_proof(&mut user_info);
        user_info["security"] = json!([{ "bearerAuth": [] }]);
        user_info["responses"]["200"] = answer("The claims.", Some("OAuthUserInfo"));
        user_info["responses"]["401"] = reference("OAuthNoToken");
        user_info["responses"]["403"] = reference("OAuthBearer");
        put(format!("{base}/userinfo"), "get", user_info);
        let issuer = base.strip_suffix("/oauth").filter(|_| slug.is_some());
        for (path, id, words, schema) in [
            (
                format!("{}/.well-known/openid-configuration", issuer.unwrap_or(base)),
                "metadata.get",
                [
                    "See what an issuer offers",
                    "Its metadata (OpenID Connect Discovery 1.0; RFC 8414). The same is at the addresses that RFC 8414 derives from the issuer.",
                ],
                "OAuthMetadata",
            ),
            (
                format!("{}/.well-known/jwks.json", issuer.unwrap_or("/api/v1/platform")),
                "keys.get",
                ["See the keys of an issuer", "Those that verify what it signed, and those that sign next (RFC 7517)."],
                "OAuthKeys",
            ),
        ] {
            let mut read = operation((prefix, place), id, words, slug);
            read["responses"]["200"] = answer("The answer.", Some(schema));
            read["responses"]["200"]["headers"]["ETag"] = json!({ "$ref": "#/components/headers/ETag" });
            read["responses"]["304"] = reference("NotModified");
            put(path, "get", read);
        }
    }
    if let Some(known) = document["tags"].as_array_mut() {
        known.extend(tags);
    }
}

/// What the endpoints share.
fn components(components: &mut Value) {
    let text =
        |description: &str, longest: u32| json!({ "type": "string", "description": description, "maxLength": longest });
    let number =
        |description: &str| json!({ "type": "integer", "format": "int64", "minimum": 0, "description": description });
    let object = |description: &str, required: &[&str], properties: Value| json!({ "type": "object", "description": description, "required": required, "properties": properties });
    let schemas = &mut components["schemas"];
    for Endpoint { form, summary, needs, takes, .. } in &ENDPOINTS {
        let fields: Map<_, _> = needs.iter().chain(*takes).map(|name| ((*name).to_owned(), field(name))).collect();
        schemas[*form] = object(&format!("{summary}: the form."), needs, Value::Object(fields));
        schemas[*form]["maxProperties"] = json!(100);
        // What is not known is passed over, but nothing may be there twice.
        schemas[*form]["additionalProperties"] = json!({ "type": "string", "maxLength": 4096 });
    }
    schemas["OAuthError"] = object(
        "Why something was refused (RFC 6749, section 5.2).",
        &["error", "error_description"],
        json!({ "error": text("The reason, as the RFCs name it.", 64), "error_description": text("The same for developers.", 400) }),
    );
    schemas["OAuthTokens"] = object(
        "Tokens (RFC 6749, section 5.1).",
        &["access_token", "token_type", "expires_in", "scope"],
        json!({
            "access_token": text("The access token, a JWT (RFC 9068).", 8192),
            "token_type": { "type": "string", "description": "How to send it.", "enum": ["Bearer", "DPoP"] },
            "expires_in": number("Its lifetime in seconds."),
            "scope": text("What was granted.", 4096),
            "refresh_token": text("The next refresh token.", 200),
            "id_token": text("Who the user is (OpenID Connect Core 1.0).", 65536),
            "issued_token_type": text("The kind of token, where it was got in exchange.", 64),
        }),
    );
    schemas["OAuthPushedRequest"] = object(
        "What names a pushed request (RFC 9126).",
        &["request_uri", "expires_in"],
        json!({ "request_uri": text("Its name.", 200), "expires_in": number("How long a browser may bring it, in seconds.") }),
    );
    schemas["OAuthDevice"] = object(
        "What a device is given that waits (RFC 8628, section 3.2).",
        &["device_code", "user_code", "verification_uri", "verification_uri_complete", "expires_in", "interval"],
        json!({
            "device_code": text("What it asks for tokens with.", 200),
            "user_code": text("What it shows.", 16),
            "verification_uri": text("Where somebody types that.", 2048),
            "verification_uri_complete": text("The same with the code.", 2048),
            "expires_in": number("How long it may wait, in seconds."),
            "interval": number("How many seconds it lets pass between two questions."),
        }),
    );
    let mut told = object(
        "What a token counts for (RFC 7662, section 2.2).",
        &["active"],
        json!({ "active": { "type": "boolean", "description": "Whether it counts." } }),
    );
    told["additionalProperties"] = json!(true);
    schemas["OAuthIntrospection"] = told;
    let mut claims = object(
        "Claims of a user (OpenID Connect Core 1.0, section 5.1).",
        &["sub"],
        json!({ "sub": text("The user.", 64) }),
    );
    claims["additionalProperties"] = json!(true);
    schemas["OAuthUserInfo"] = claims;
    let mut metadata = object(
        "What an issuer offers (RFC 8414, section 2).",
        &["issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"],
        json!({
            "issuer": text("The issuer.", 2048), "authorization_endpoint": text("Where browsers are sent.", 2048),
            "token_endpoint": text("Where tokens are.", 2048), "jwks_uri": text("Where its keys are.", 2048),
        }),
    );
    metadata["additionalProperties"] = json!(true);
    schemas["OAuthMetadata"] = metadata;
    let mut key =
        object("A public key.", &["kty", "kid"], json!({ "kty": text("Its type.", 16), "kid": text("Its id.", 64) }));
    key["additionalProperties"] = json!(true);
    schemas["OAuthKey"] = key;
    schemas["OAuthKeys"] = object(
        "Public keys (RFC 7517, section 5).",
        &["keys"],
        json!({ "keys": { "type": "array", "maxItems": 100, "description": "The keys.", "items": { "$ref": "#/components/schemas/OAuthKey" } } }),
    );
    let failure = |description: &str, headers: &[&str]| {
        let mut failure = answer(description, Some("OAuthError"));
        let example = json!({ "error": "invalid_request", "error_description": "grant_type is missing" });
        failure["content"]["application/json"]["example"] = example;
        for name in headers {
            failure["headers"][*name] = json!({ "$ref": format!("#/components/headers/{name}") });
        }
        failure
    };
    let responses = &mut components["responses"];
    responses["OAuthFailure"] = failure("It was refused, or is not possible.", &[]);
    responses["OAuthUnknownClient"] = failure("The application did not prove who it is.", &["WWW-Authenticate"]);
    responses["OAuthLater"] = failure("Not now.", &["Retry-After"]);
    responses["OAuthBearer"] =
        failure("The token lacks the scope `openid` (RFC 6750, section 3).", &["WWW-Authenticate"]);
    let about = "The token is none that counts. Who shows none gets no body (RFC 6750, section 3).";
    let mut none = failure(about, &["WWW-Authenticate"]);
    if let Some(none) = none.as_object_mut() {
        none.remove("content");
    }
    responses["OAuthNoToken"] = none;
    let mut nothing = failure("There is no such tenant.", &[]);
    // Of a path that names nothing it is not known that it is an issuer's.
    nothing["content"]["application/problem+json"] = json!({ "schema": { "$ref": "#/components/schemas/Problem" }, "example": super::complete::problem_example("not_found") });
    responses["OAuthNotFound"] = nothing;
    components["securitySchemes"]["clientBasic"] = json!({
        "type": "http", "scheme": "basic", "description": "The `client_id` and the secret of an application (RFC 6749, section 2.3.1).",
    });
}
