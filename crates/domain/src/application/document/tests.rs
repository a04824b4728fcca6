use serde_json::{Value, json};

use super::*;

const URL: &str = "https://tool.example/oauth/client.json";

fn url() -> DocumentUrl {
    DocumentUrl::parse(URL).unwrap()
}

fn document(more: Value) -> Value {
    let mut document = json!({"client_id": URL, "client_name": "Tool", "redirect_uris": ["http://localhost/callback"]});
    document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    document
}

fn read(more: Value) -> Result<Described, &'static str> {
    Described::read(&url(), document(more).to_string().as_bytes())
}

#[test]
fn who_gets_an_answer_is_known_by_the_host_and_behind_a_private_scheme_by_that_alone() {
    for (uri, who) in [
        ("https://good.example/cb", "good.example"),
        ("https://good.example:8443/cb", "good.example:8443"),
        ("http://localhost:4711/cb", "localhost"),
        ("com.evil.x://accounts.google.com/cb", "com.evil.x"),
        ("com.evil.x:/cb", "com.evil.x"),
    ] {
        assert_eq!(RedirectUri::who(uri), who);
    }
}

#[test]
fn address_of_a_document_is_written_as_a_parser_writes_it_and_has_a_path() {
    for good in ["https://a.example/c", "https://a.example:8443/c.json", "https://a.example/a/b/"] {
        assert!(DocumentUrl::parse(good).is_ok(), "{good}");
    }
    let long = format!("https://a.example/{}", "c".repeat(500));
    for bad in [
        "",
        "https://a.example",
        "https://a.example/",
        "https://a.example/c?x",
        "https://a.example/c?",
        "https://a.example/c#x",
        "https://a.example/../c",
        "https://a.example/b/../c",
        "https://a.example/b/%2e%2e/c",
        "https://a.example/./c",
        "https://u@a.example/c",
        "https://u:p@a.example/c",
        "https://@a.example/c",
        "https://A.example/c",
        "HTTPS://a.example/c",
        "https://a.example:443/c",
        "https://2130706433/c",
        "https://0x7f.1/c",
        "https://a.example/c d",
        "https://a.example/\\c",
        "http://a.example/c",
        "http://127.0.0.1:8080/c",
        "ftp://a.example/c",
        "tool:/c",
        "https:///c",
        "https://ä.example/c",
        "https://a.example/c*",
        &long,
    ] {
        assert!(DocumentUrl::parse(bad).is_err(), "{bad}");
    }
    assert_eq!(DocumentUrl::parse("https://a.example:8443/c").unwrap().host(), "a.example:8443");
    assert_eq!(DocumentUrl::parse("https://[2001:db8::1]/c").unwrap().host(), "[2001:db8::1]");
}

#[test]
fn program_is_one_of_a_device_where_a_redirect_uri_leads_there() {
    for (uris, kind) in [
        (json!(["http://localhost/callback"]), ApplicationType::Native),
        (json!(["https://tool.example/cb", "com.example.tool:/cb"]), ApplicationType::Native),
        (json!(["https://tool.example/cb", "https://tool.example/cb"]), ApplicationType::Spa),
    ] {
        let described = read(json!({"redirect_uris": uris})).unwrap();
        assert_eq!(described.kind, kind, "{uris}");
        assert!(described.metadata.require_consent && described.metadata.require_pkce);
    }
    assert_eq!(
        read(json!({"redirect_uris": ["https://a.example/", "https://a.example/"]}))
            .unwrap()
            .metadata
            .redirect_uris
            .len(),
        1
    );
}

#[test]
fn document_asks_for_no_refresh_tokens_by_leaving_them_out_of_its_grants() {
    let grants = |more| read(more).unwrap().metadata.grant_types.len();
    assert_eq!(grants(json!({})), 2);
    assert_eq!(grants(json!({"grant_types": ["authorization_code", "refresh_token"]})), 2);
    assert_eq!(grants(json!({"grant_types": ["authorization_code"]})), 1);
}

#[test]
fn pages_of_other_hosts_are_not_shown_as_those_of_the_program() {
    let described =
        read(json!({"client_uri": "https://tool.example/", "tos_uri": "https://bank.example/terms"})).unwrap();
    assert!(described.metadata.client_uri.is_some() && described.metadata.tos_uri.is_none());
}

#[test]
fn document_that_describes_no_program_is_refused() {
    let key = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "k"});
    let mut private = key.clone();
    private["d"] = json!("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
    assert!(read(json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [key]}})).is_ok());
    for more in [
        json!({"client_id": "https://tool.example/oauth/client.JSON"}),
        json!({"client_id": null}),
        json!({"client_name": ""}),
        json!({"client_name": 7}),
        json!({"client_name": "x".repeat(101)}),
        json!({"redirect_uris": []}),
        json!({"redirect_uris": "http://localhost/callback"}),
        json!({"redirect_uris": ["http://tool.example/cb"]}),
        json!({"redirect_uris": ["javascript:alert(1)"]}),
        json!({"redirect_uris": ["https://tool.example/cb#x"]}),
        json!({"redirect_uris": vec!["https://tool.example/cb"; 51]}),
        json!({"client_secret": "s"}),
        json!({"client_secret_expires_at": 0}),
        json!({"token_endpoint_auth_method": "client_secret_basic"}),
        json!({"token_endpoint_auth_method": "private_key_jwt"}),
        json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [key]}, "jwks_uri": "https://tool.example/k"}),
        json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": []}}),
        json!({"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "http://tool.example/k"}),
        json!({"jwks": {"keys": [private]}}),
        json!({"jwks": {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}}),
        json!({"grant_types": ["client_credentials"]}),
        json!({"response_types": ["token"]}),
        json!({"id_token_signed_response_alg": "none"}),
    ] {
        assert!(read(more.clone()).is_err(), "{more}");
    }
    let good = document(json!({})).to_string();
    for body in [
        "",
        "[]",
        "\"x\"",
        "<html>",
        &format!("\u{feff}{good}"),
        &format!("{good}{good}"),
        &good.replace('}', ""),
        &good.replace("\"client_name\"", "\"client_id\": \"https://bank.example/\", \"client_name\""),
        &format!("[\"{URL}\", \"Tool\", [\"http://localhost/callback\"]]"),
        &format!("{good}{}", " ".repeat(DOCUMENT_BYTES)),
    ] {
        assert!(Described::read(&url(), body.as_bytes()).is_err(), "{body}");
    }
}
