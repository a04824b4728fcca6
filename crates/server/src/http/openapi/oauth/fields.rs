//! The fields of the forms that the endpoints of issuers take.

use serde_json::{Value, json};

/// What a field of a form is.
pub(super) fn field(name: &str) -> Value {
    let (description, longest, words): (&str, u32, &[&str]) = match name {
        "grant_type" => (
            "What is exchanged.",
            64,
            &[
                "authorization_code",
                "refresh_token",
                "client_credentials",
                "urn:ietf:params:oauth:grant-type:device_code",
                "urn:ietf:params:oauth:grant-type:token-exchange",
            ],
        ),
        "response_type" => ("What the browser is sent.", 16, &["code"]),
        "response_mode" => ("How.", 16, &["query", "form_post"]),
        "code_challenge_method" => ("How the challenge is made (RFC 7636).", 16, &["S256"]),
        "client_assertion_type" => {
            ("The kind of assertion.", 64, &["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"])
        }
        "subject_token_type" | "requested_token_type" => {
            ("The kind of token.", 64, &["urn:ietf:params:oauth:token-type:access_token"])
        }
        "token_type_hint" => ("Is not needed, and changes nothing.", 64, &[]),
        "code" => ("The code that the browser brought.", 200, &[]),
        "redirect_uri" => ("Where the browser is sent: as it is registered.", 2048, &[]),
        "code_verifier" => ("What the challenge was made of (RFC 7636).", 128, &[]),
        "dpop_jkt" => {
            ("The key that the code is bound to, where no header `DPoP` says so (RFC 9449, section 10).", 43, &[])
        }
        "code_challenge" => ("The challenge (RFC 7636).", 43, &[]),
        "refresh_token" => ("The newest refresh token.", 200, &[]),
        "scope" => ("Scopes, separated by blanks.", 4096, &[]),
        "resource" => ("The API that the token is for (RFC 8707).", 2048, &[]),
        "device_code" => ("What the device was given.", 200, &[]),
        "subject_token" => ("The access token that is exchanged.", 8192, &[]),
        "audience" => ("The API that the token is for, by its `client_id`.", 200, &[]),
        "token" => ("The token.", 8192, &[]),
        "state" => ("Comes back as it is.", 4096, &[]),
        "nonce" => ("Comes back in the ID token.", 2048, &[]),
        "prompt" => ("What the user is to be asked: `none` alone, or any others, separated by blanks.", 64, &[]),
        "max_age" => ("How long ago the user may have signed in, in seconds.", 16, &[]),
        "claims" => ("Single claims, as JSON (OpenID Connect Core 1.0, section 5.5).", 4096, &[]),
        "login_hint" => ("What fills the field for the user name.", 254, &[]),
        "id_token_hint" => ("An ID token of who is to be the user.", 8192, &[]),
        "ui_locales" => ("Languages, the best first, separated by blanks.", 200, &[]),
        "client_id" => ("The application, where no header says so.", 512, &[]),
        "client_secret" => ("Its secret, where no header has it.", 200, &[]),
        "client_assertion" => ("What it signed with its key (RFC 7523).", 8192, &[]),
        _ => ("", 200, &[]),
    };
    let mut schema = json!({ "type": "string", "description": description, "maxLength": longest });
    if !words.is_empty() {
        schema["enum"] = json!(words);
    }
    schema
}
