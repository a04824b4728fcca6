//! What strangers may send to `authorize`, made at random: where answers go, and what is read of a request. More cases by
//! `PROPTEST_CASES`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use gatehouse_domain::{
    application::{Application, ApplicationType, ClientMetadata, ClientSecrets, Owner, RedirectUri, RegistrationKind},
    authz::TenantRef,
    id::{ApplicationId, PartnerId, TenantId},
    issue::Parse,
    oauth::{AuthorizationRequest, Destination, ErrorCode, Params, Prompt, STATE_MAX, Scopes},
    partner::Status,
    text::Name,
    time::Timestamp,
};
use proptest::prelude::*;
use url::Url;

const REGISTERED: [&str; 8] = [
    "https://wiki.example/callback",
    "https://wiki.example/callback?tenant=acme",
    "https://wiki.example:8443/a/b",
    "https://xn--bcher-kva.example/cb",
    "http://127.0.0.1/cb",
    "http://127.0.0.1:7777/cb?x=1",
    "http://[::1]:8080/cb",
    "http://localhost/cb",
];
/// What redirect URIs are tampered with.
const PIECES: [&str; 32] = [
    "@",
    ":",
    "/",
    "//",
    "\\",
    "?",
    "#",
    "%2F",
    "%2e%2e",
    "..",
    ".",
    "*",
    ";",
    "&",
    "=",
    "evil.example",
    "wiki.example",
    "localhost",
    "127.0.0.1",
    "[::1]",
    ":443",
    ":80",
    ":0",
    ":65536",
    "https",
    "http",
    "javascript:",
    "\t",
    "\n",
    " ",
    "\u{ff0e}",
    "\0",
];

fn application(kind: ApplicationType) -> Application {
    let mut metadata = ClientMetadata::of(kind);
    metadata.redirect_uris = REGISTERED.iter().map(|uri| RedirectUri::parse(uri).unwrap()).collect();
    let tenant = TenantRef { id: TenantId::from_parts(1, [1; 10]), partner_id: PartnerId::from_parts(1, [2; 10]) };
    let now = Timestamp::from_micros(1_700_000_000_000_000);
    Application {
        id: ApplicationId::from_parts(1, [3; 10]),
        owner: Owner::Tenant(tenant),
        name: Name::parse("Wiki").unwrap(),
        registration: RegistrationKind::Manual,
        document: None,
        kind,
        status: Status::Active,
        metadata: metadata.register(kind).unwrap(),
        secrets: ClientSecrets::default(),
        last_used_at: None,
        noted_at: None,
        tokens_revoked_at: None,
        created_at: now,
        updated_at: now,
        deleted_at: None,
        version: 0,
    }
}

/// A registered redirect URI with pieces put into it, or in place of some of it.
fn tampered() -> impl Strategy<Value = String> {
    let edit = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..4_usize);
    (0..REGISTERED.len(), prop::collection::vec(edit, 0..4)).prop_map(|(which, edits)| {
        let mut text = REGISTERED[which].to_owned();
        for (at, piece, cut) in edits {
            let at = at.index(text.len() + 1);
            let start = (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap();
            let end = (start + cut..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(start);
            text.replace_range(start..end, PIECES[piece.index(PIECES.len())]);
        }
        text
    })
}

/// Any text, or one that is tampered with, or another port of one.
fn shown() -> impl Strategy<Value = String> {
    let with_port = (0..REGISTERED.len(), any::<u16>()).prop_map(|(which, port)| {
        let mut url = Url::parse(REGISTERED[which]).unwrap();
        url.set_port(Some(port)).unwrap();
        url.to_string()
    });
    prop_oneof![tampered(), tampered(), with_port, any::<String>()]
}

/// What a browser goes to, but for the port.
fn place(uri: &str) -> (String, Option<String>, String, Option<String>) {
    let url = Url::parse(uri).unwrap();
    let host = url.host_str().map(str::to_owned);
    (url.scheme().to_owned(), host, url.path().to_owned(), url.query().map(str::to_owned))
}

const NAMES: [&str; 20] = [
    "response_type",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "prompt",
    "max_age",
    "claims",
    "resource",
    "response_mode",
    "request",
    "request_uri",
    "registration",
    "login_hint",
    "display",
    "acr_values",
    "ui_locales",
    "unknown",
];
const VALUES: [&str; 26] = [
    "code",
    "token",
    "code token",
    "openid",
    "openid profile",
    "openid admin:write",
    "S256",
    "plain",
    "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    "none",
    "login",
    "none login",
    "login consent",
    "0",
    "-1",
    "4294967296",
    "1e3",
    "{}",
    "{\"id_token\":{\"acr\":{\"essential\":true,\"value\":\"aal9\"}}}",
    "{\"userinfo\":{\"email\":null}}",
    "[[[[",
    "query",
    "form_post",
    "fragment",
    "https://api.example/",
    "\0",
];

fn pairs() -> impl Strategy<Value = Vec<(String, String)>> {
    let value = prop_oneof![
        4 => prop::sample::select(&VALUES[..]).prop_map(str::to_owned),
        1 => any::<String>(),
        1 => (0..6_000_usize).prop_map(|n| "x".repeat(n)),
    ];
    prop::collection::vec((prop::sample::select(&NAMES[..]).prop_map(str::to_owned), value), 0..12)
}

/// A request that is right, with changes: so that some of what is made at random is granted.
fn nearly_right() -> impl Strategy<Value = Vec<(String, String)>> {
    (pairs(), prop::collection::vec(any::<bool>(), 4)).prop_map(|(mut more, kept)| {
        more.truncate(3);
        let is_short = more.len() < 2;
        let right = [
            ("response_type", "code"),
            ("scope", "openid profile"),
            ("code_challenge_method", "S256"),
            ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ];
        let right = right.iter().zip(kept).filter(|(_, kept)| *kept || is_short);
        more.extend(right.map(|((name, value), _)| ((*name).to_owned(), (*value).to_owned())));
        more
    })
}

proptest! {
    #[test]
    fn answer_goes_to_a_place_that_is_registered(text in shown(), native in any::<bool>()) {
        let kind = if native { ApplicationType::Native } else { ApplicationType::Web };
        let application = application(kind);
        let params = Params::new(vec![("redirect_uri".to_owned(), text.clone())]);
        if let Ok(destination) = Destination::of(&params, &application) {
            prop_assert_eq!(&destination.redirect_uri, &text);
            let is_as_text = REGISTERED.contains(&text.as_str());
            let is_beside = REGISTERED.iter().any(|known| known.starts_with("http:") && place(known) == place(&text));
            prop_assert!(is_as_text || native && is_beside, "{:?}", text);
            prop_assert!(!text.contains(['#', '@', '\\', ' ', '\t', '\n', '\0']), "{:?}", text);
        } else {
            prop_assert!(!REGISTERED.contains(&text.as_str()));
        }
    }

    #[test]
    fn request_that_is_read_is_one_that_may_be_granted(pairs in prop_oneof![pairs(), nearly_right()], native in any::<bool>()) {
        let application = application(if native { ApplicationType::Native } else { ApplicationType::Web });
        let destination = Destination {
            redirect_uri: REGISTERED[0].to_owned(),
            response_mode: gatehouse_domain::oauth::ResponseMode::Query,
            state: None,
        };
        let params = Params::new(pairs);
        match AuthorizationRequest::read(&params, &application, None, destination) {
            Ok(request) => {
                prop_assert!(params.repeated().is_none());
                prop_assert_eq!(params.get("response_type"), Some("code"));
                prop_assert!(request.challenge.is_some());
                prop_assert_eq!(params.get("code_challenge_method"), Some("S256"));
                prop_assert!(request.scopes.is_within(&Scopes::allowed(&application, None)) && !request.scopes.is_empty());
                prop_assert!(request.resource.is_none());
                prop_assert!(!request.asks(Prompt::None) || request.prompts.len() == 1);
                prop_assert!(params.get("state").is_none_or(|state| state.len() <= STATE_MAX));
                for name in ["request", "request_uri", "registration"] {
                    prop_assert!(params.get(name).is_none());
                }
            }
            Err(fault) => {
                prop_assert!(fault.description.is_ascii() && !fault.description.contains(['"', '\\']));
                prop_assert_ne!(fault.error, ErrorCode::InvalidGrant);
            }
        }
    }
}
