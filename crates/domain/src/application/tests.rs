use super::*;
use crate::{
    authz::{
        Actor, Area, PermissionPattern, PermissionSet, Presence, SystemReason, UserActor, WriteApplications, authorize,
    },
    id::{SessionId, UserId},
    issue::Parse,
};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};

const NOW: Timestamp = Timestamp::from_micros(1_000_000_000_000);

fn tenant() -> TenantRef {
    TenantRef { id: TenantId::from_parts(1, [1; 10]), partner_id: PartnerId::from_parts(1, [1; 10]) }
}

fn metadata(kind: ApplicationType) -> ClientMetadata {
    let uri = RedirectUri::parse("https://app.example.com/callback").unwrap();
    let mut metadata = ClientMetadata::of(kind);
    if kind != ApplicationType::Service {
        metadata.redirect_uris.push(uri);
    }
    metadata
}

fn new(kind: ApplicationType, scopes: &[&str]) -> NewApplication {
    let mut metadata = metadata(kind);
    metadata.allowed_scopes = scopes.iter().map(|scope| ScopeName::parse(scope).unwrap()).collect();
    NewApplication {
        id: ApplicationId::from_parts(1, [2; 10]),
        owner: Owner::Tenant(tenant()),
        name: Name::parse("Wiki").unwrap(),
        kind,
        metadata: metadata.register(kind).unwrap(),
        secret: TokenHash::new([1; 32]),
        document: None,
    }
}

fn system() -> Authority {
    Authority::system(SystemReason::Cli)
}

/// Somebody who holds some permissions in the tenant.
fn holder(permissions: &[&str]) -> Authority {
    holder_until(permissions, None)
}

fn holder_until(permissions: &[&str], expires_at: Option<Timestamp>) -> Authority {
    let patterns = permissions.iter().map(|name| PermissionPattern::parse(name).unwrap()).collect();
    let right = Right { anchor: Anchor::Tenant(tenant().id), permissions: PermissionSet::new(patterns), expires_at };
    let actor = Actor::User(UserActor {
        user_id: UserId::from_parts(1, [3; 10]),
        tenant_id: tenant().id,
        partner_id: tenant().partner_id,
        session_id: SessionId::from_parts(1, [3; 10]),
        presence: Presence::SignedIn,
        rights: vec![right],
        scope: None,
    });
    authorize::<WriteApplications>(&Arc::new(actor), &Area::Tenant(tenant())).unwrap().authority([tenant()])
}

fn faults(kind: ApplicationType, change: impl FnOnce(&mut ClientMetadata)) -> Vec<String> {
    let mut metadata = metadata(kind);
    change(&mut metadata);
    let issues = metadata.register(kind).err().unwrap_or_default();
    issues.iter().map(|issue| format!("{:?}", issue.loc[1]).replace("Key(", "").replace([')', '"'], "")).collect()
}

#[test]
fn every_type_fits_together_where_nothing_else_is_said() {
    use ApplicationType::{Native, Service, Spa, Web};
    for kind in [Web, Service, Spa, Native] {
        assert_eq!(faults(kind, |_| {}), [""; 0], "{kind}");
    }
    assert_eq!(faults(Web, |metadata| metadata.redirect_uris.clear()), ["redirect_uris"]);
}

#[test]
fn types_have_the_grants_that_suit_them() {
    use ApplicationType::{Native, Service, Spa, Web};
    use GrantType::{AuthorizationCode, ClientCredentials, DeviceCode, RefreshToken, TokenExchange};
    for (kind, allowed) in [
        (Web, vec![AuthorizationCode, RefreshToken, ClientCredentials, DeviceCode, TokenExchange]),
        (Service, vec![ClientCredentials, TokenExchange]),
        (Spa, vec![AuthorizationCode, RefreshToken]),
        (Native, vec![AuthorizationCode, RefreshToken, DeviceCode]),
    ] {
        for grant in [AuthorizationCode, RefreshToken, ClientCredentials, DeviceCode, TokenExchange] {
            let found = faults(kind, |metadata| metadata.grant_types = vec![grant]);
            assert_eq!(!found.contains(&"grant_types".to_owned()), allowed.contains(&grant), "{kind} {grant}");
        }
    }
}

#[test]
fn what_does_not_fit_together_is_refused_field_by_field() {
    use ApplicationType::{Native, Service, Spa, Web};
    let private = || RedirectUri::parse("com.example.app:/callback").unwrap();
    let api = || ResourceUri::parse("https://api.example.com/").unwrap();
    let scope = |name: &str| ResourceScope { name: ScopeName::parse(name).unwrap(), description: None };
    assert_eq!(faults(Web, |it| it.redirect_uris.push(private())), ["redirect_uris"]);
    assert_eq!(faults(Spa, |it| it.post_logout_redirect_uris.push(private())), ["post_logout_redirect_uris"]);
    assert_eq!(faults(Native, |it| it.redirect_uris.push(private())), [""; 0]);
    assert_eq!(faults(Spa, |it| it.require_pkce = false), ["require_pkce"]);
    assert_eq!(faults(Web, |it| it.require_pkce = false), [""; 0]);
    let secret = ClientAuthMethod::ClientSecretBasic;
    assert_eq!(faults(Spa, |it| it.token_endpoint_auth_method = secret), ["token_endpoint_auth_method"]);
    assert_eq!(
        faults(Web, |it| it.token_endpoint_auth_method = ClientAuthMethod::None),
        ["token_endpoint_auth_method"]
    );
    assert_eq!(faults(Web, |it| it.token_endpoint_auth_method = ClientAuthMethod::PrivateKeyJwt), ["jwks"]);
    assert_eq!(faults(Native, |it| it.resource_uris.push(api())), ["resource_uris"]);
    assert_eq!(faults(Service, |it| it.resource_scopes.push(scope("orders"))), ["resource_scopes"]);
    assert_eq!(faults(Service, |it| it.open_resource = true), ["open_resource"]);
    for name in ["openid", "admin:read", "users:read", "account:write"] {
        let found = faults(Service, |it| {
            it.resource_uris.push(api());
            it.resource_scopes.push(scope(name));
        });
        assert_eq!(found, ["resource_scopes"], "{name}");
    }
    let twice = faults(Service, |it| {
        it.resource_uris.push(api());
        it.resource_scopes = vec![scope("orders"), scope("orders")];
    });
    assert_eq!(twice, ["resource_scopes"]);
    let strict = faults(Web, |it| it.profile = Profile::Fapi2);
    let asked = [
        "token_endpoint_auth_method",
        "id_token_signed_response_alg",
        "require_pushed_authorization_requests",
        "dpop_bound_access_tokens",
    ];
    assert_eq!(strict, asked);
    let lax = faults(Web, |it| {
        it.profile = Profile::Fapi2;
        it.require_pkce = false;
        it.redirect_uris.push(RedirectUri::parse("http://localhost/callback").unwrap());
        it.post_logout_redirect_uris.push(RedirectUri::parse("http://localhost/out").unwrap());
        it.allowed_origins.push(Origin::parse("http://localhost").unwrap());
    });
    assert_eq!(lax[4..], ["require_pkce", "redirect_uris", "post_logout_redirect_uris", "allowed_origins"]);
    let many =
        |n: usize| (0..n).map(|i| RedirectUri::parse(&format!("https://a.example/{i:01900}")).unwrap()).collect();
    assert_eq!(faults(Web, |it| it.redirect_uris = many(30)), ["redirect_uris"]);
}

#[test]
fn what_is_named_twice_counts_once() {
    let mut metadata = metadata(ApplicationType::Spa);
    metadata.redirect_uris.push(metadata.redirect_uris[0].clone());
    assert_eq!(metadata.origins().len(), 1);
    assert_eq!(metadata.register(ApplicationType::Spa).unwrap().redirect_uris.len(), 1);
}

#[test]
fn nobody_gives_an_application_more_than_they_hold() {
    for (scopes, permissions, allowed) in [
        (&["openid", "email"][..], &["applications:write"][..], true),
        (&["users:read"], &["applications:write"], false),
        (&["users:read"], &["applications:write", "users:read"], true),
        (&["admin:read"], &["applications:write", "users:read"], false),
        (&["admin:read"], &["applications:write", "*:read"], true),
        (&["admin:write"], &["*:read", "*:write"], false),
        (&["admin:write"], &["*:*"], true),
        (&["audit:write"], &["*:*"], false),
        (&["account:write"], &["applications:write"], true),
    ] {
        let (new, caller) = (new(ApplicationType::Service, scopes), holder(permissions));
        assert_eq!(Application::create(new, &caller, NOW).is_ok(), allowed, "{scopes:?} by {permissions:?}");
    }
}

#[test]
fn nobody_changes_an_application_that_may_do_what_they_may_not() {
    let caller = holder(&["applications:*", "users:read"]);
    let made = |scopes: &[&str]| {
        Application::create(new(ApplicationType::Service, scopes), &system(), NOW).unwrap().into_parts().0
    };
    let rename = || ApplicationPatch { name: Some(Name::parse("Other").unwrap()), ..ApplicationPatch::default() };
    let (weak, strong) = (made(&["users:read"]), made(&["users:write"]));
    assert!(weak.update(rename(), &caller, NOW).is_ok());
    assert_eq!(strong.clone().update(rename(), &caller, NOW).unwrap_err(), Denied::Forbidden("users:write"));
    let rotated = strong.rotate_secret(TokenHash::new([2; 32]), None, &caller, NOW);
    assert_eq!(rotated.unwrap_err(), Denied::Forbidden("users:write"));
}

#[test]
fn two_secrets_work_at_most_and_the_one_before_for_as_long_as_is_asked() {
    let second = |n: u32| NOW.plus(std::time::Duration::from_secs(u64::from(n)));
    let hashes =
        |secrets: &ClientSecrets, now| secrets.working(now).map(|it| it.hash.as_bytes()[0]).collect::<Vec<_>>();
    let previous = |n: u64| PreviousSecret::new(n).ok();
    let first = ClientSecrets::first(TokenHash::new([1; 32]), NOW);
    let two = first.rotate(TokenHash::new([2; 32]), previous(100), second(10));
    assert_eq!((hashes(&two, second(10)), hashes(&two, second(109))), (vec![2, 1], vec![2, 1]));
    assert_eq!(hashes(&two, second(110)), [2]);
    let three = two.rotate(TokenHash::new([3; 32]), previous(0), second(20));
    assert_eq!(hashes(&three, second(20)), [3]);
    let again = two.rotate(TokenHash::new([3; 32]), previous(604_800), second(20));
    assert_eq!(hashes(&again, second(20)), [3, 2]);
    let quiet = first.rotate(TokenHash::new([2; 32]), None, NOW);
    assert_eq!((hashes(&quiet, second(86_399)), hashes(&quiet, second(86_400))), (vec![2, 1], vec![2]));
}

#[test]
fn application_that_needs_no_secret_has_none() {
    let spa = Application::create(new(ApplicationType::Spa, &[]), &system(), NOW).unwrap().into_parts().0;
    assert_eq!(spa.secrets.iter().count(), 0);
    let web = Application::create(new(ApplicationType::Web, &[]), &system(), NOW).unwrap().into_parts().0;
    assert_eq!(web.secrets.iter().count(), 1);
    let mut signs = web.metadata.draft();
    signs.token_endpoint_auth_method = ClientAuthMethod::PrivateKeyJwt;
    signs.jwks_uri = Some(crate::tenant::HttpsUrl::parse("https://app.example.com/jwks").unwrap());
    let patch = ApplicationPatch { metadata: Some(signs.register(web.kind).unwrap()), ..ApplicationPatch::default() };
    assert_eq!(web.update(patch, &system(), NOW).unwrap().value().secrets.iter().count(), 0);
}

#[test]
fn change_says_what_it_changed_and_nothing_of_secrets() {
    let changed = Application::create(new(ApplicationType::Web, &["openid"]), &system(), NOW).unwrap();
    let (web, event) = changed.into_parts();
    let text = event.fields.to_json();
    assert!(text.contains("redirect_uris") && !text.contains("secrets") && !text.contains("require_consent"), "{text}");
    let suspended = ApplicationPatch { status: Some(Status::Suspended), ..ApplicationPatch::default() };
    let (web, event) = web.update(suspended, &system(), NOW).unwrap().into_parts();
    assert_eq!(event.action, Action::ApplicationSuspended);
    assert_eq!(event.fields.to_json(), json!({"status": {"old": "ACTIVE", "new": "SUSPENDED"}}).to_string());
    let same = ApplicationPatch { metadata: Some(web.metadata.clone()), ..ApplicationPatch::default() };
    assert!(web.update(same, &system(), NOW).unwrap().into_parts().1.is_idle());
}

#[test]
fn what_was_stored_before_a_field_was_known_has_its_default() {
    let read: ClientMetadata = serde_json::from_str("{}").unwrap();
    assert_eq!(read, ClientMetadata::of(ApplicationType::Service));
}

#[test]
fn public_keys_of_the_known_kinds_are_taken() {
    let key = |members: &[(&str, &str)]| {
        members.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect::<BTreeMap<_, _>>()
    };
    let b32 = "A".repeat(42) + "E";
    // An odd number of so many bytes.
    let n = |bytes: usize| {
        let end = ["B", "Q", "E"][bytes % 3];
        "_".to_owned() + &"A".repeat(bytes.div_ceil(3) * 4 - 2 - (3 - bytes % 3) % 3) + end
    };
    let ec = key(&[("kty", "EC"), ("crv", "P-256"), ("x", &b32), ("y", &b32)]);
    let ed = key(&[("kty", "OKP"), ("crv", "Ed25519"), ("x", &b32)]);
    let rsa = |bytes| key(&[("kty", "RSA"), ("n", &n(bytes)), ("e", "AQAB")]);
    let with = |mut key: BTreeMap<String, String>, name: &str, text: &str| {
        key.insert(name.to_owned(), text.to_owned());
        key
    };
    for good in [
        ec.clone(),
        ed.clone(),
        rsa(256),
        with(ec.clone(), "use", "sig"),
        with(ec.clone(), "x5t", "odd"),
        with(rsa(256), "alg", "PS256"),
    ] {
        assert!(Jwks::new(vec![good.clone()]).is_ok(), "{good:?}");
    }
    for bad in [
        rsa(255),
        rsa(1_025),
        with(ec.clone(), "crv", "P-384"),
        with(ec.clone(), "y", "AA"),
        with(ec.clone(), "d", &b32),
        with(ed.clone(), "crv", "X25519"),
        with(ed.clone(), "use", "enc"),
        with(rsa(256), "e", "AQ"),
        with(rsa(256), "n", &n(256).replace('Q', "A")),
        with(rsa(256), "alg", "none"),
        with(rsa(256), "alg", "HS256"),
        with(ec.clone(), "alg", "RS256"),
        with(ed.clone(), "d", ""),
        key(&[("kty", "oct"), ("k", &b32)]),
    ] {
        assert!(Jwks::new(vec![bad.clone()]).is_err(), "{bad:?}");
    }
    let named = |kid: &str| with(ec.clone(), "kid", kid);
    assert!(Jwks::new(vec![named("a"), named("b")]).is_ok());
    assert!(Jwks::new(vec![named("a"), named("a")]).is_err() && Jwks::new(vec![named("a"), ec.clone()]).is_err());
    assert!(Jwks::new(Vec::new()).is_err() && Jwks::new((0..11).map(|n| named(&n.to_string())).collect()).is_err());
    let kept = serde_json::to_value(Jwks::new(vec![with(ed, "x5t", "odd")]).unwrap()).unwrap();
    assert!(kept["keys"][0]["x5t"].is_null());
}

#[test]
fn credential_that_stays_is_made_by_who_holds_what_it_opens_for_ever() {
    let strong =
        Application::create(new(ApplicationType::Web, &["users:write"]), &system(), NOW).unwrap().into_parts().0;
    let for_a_time =
        holder_until(&["applications:write", "users:write"], Some(NOW.plus(std::time::Duration::from_secs(60))));
    let rotate = |caller: &Authority| strong.clone().rotate_secret(TokenHash::new([2; 32]), None, caller, NOW);
    assert!(rotate(&for_a_time).is_err() && rotate(&holder(&["applications:write", "users:write"])).is_ok());
    let patched = |change: fn(&mut ClientMetadata)| {
        let mut metadata = ClientMetadata::clone(&strong.metadata);
        change(&mut metadata);
        let metadata = Some(metadata.register(ApplicationType::Web).unwrap());
        strong.clone().update(ApplicationPatch { metadata, ..ApplicationPatch::default() }, &for_a_time, NOW)
    };
    let elsewhere = |of: &mut ClientMetadata| {
        of.redirect_uris = vec![RedirectUri::parse("https://evil.example/callback").unwrap()];
    };
    assert!(patched(elsewhere).is_err());
    assert!(patched(|of| of.require_consent = true).is_ok(), "what lets nobody else in");
}

#[test]
fn spellings_of_one_resource_are_one() {
    let mut metadata = metadata(ApplicationType::Service);
    metadata.resource_uris =
        ["https://h.example", "https://h.example/"].map(|uri| ResourceUri::parse(uri).unwrap()).to_vec();
    assert_eq!(metadata.register(ApplicationType::Service).unwrap().resource_uris.len(), 1);
}
