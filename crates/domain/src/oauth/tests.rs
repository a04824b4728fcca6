//! What may be asked for, what is asked of the user, and what a code is good for.

use super::*;
use crate::{
    application::{
        Application, ApplicationType, ClientMetadata, ClientSecrets, GrantType, Owner, RedirectUri, RegistrationKind,
    },
    authz::TenantRef,
    id::{ApplicationId, FamilyId, PartnerId, SessionId, TenantId, UserId},
    issue::Parse,
    partner::Status,
    secret::TokenHash,
    session::{Client, Device, DeviceKind, NewSession, Session},
    settings::{Bounded, Defaults, Policy, Settings},
    sign_in::Authentication,
    text::Name,
    time::{HOUR, Timestamp},
};

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
const CALLBACK: &str = "https://wiki.example/callback";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn tenant() -> TenantRef {
    TenantRef { id: TenantId::from_parts(1, [1; 10]), partner_id: PartnerId::from_parts(1, [2; 10]) }
}

fn application(kind: ApplicationType, change: impl FnOnce(&mut ClientMetadata)) -> Application {
    let mut metadata = ClientMetadata::of(kind);
    metadata.redirect_uris = vec![RedirectUri::parse(CALLBACK).unwrap()];
    change(&mut metadata);
    Application {
        id: ApplicationId::from_parts(1, [3; 10]),
        owner: Owner::Tenant(tenant()),
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
        created_at: NOW,
        updated_at: NOW,
        deleted_at: None,
        version: 0,
    }
}

fn web() -> Application {
    application(ApplicationType::Web, |_| ())
}

fn policy() -> Policy {
    let days = Bounded::new(7).unwrap();
    Settings::default().policy(&Defaults { access_token_minutes: Bounded::new(15).unwrap(), refresh_token_days: days })
}

fn session(at: Timestamp) -> Session {
    let new = NewSession {
        id: SessionId::from_parts(1, [4; 10]),
        tenant_id: tenant().id,
        partner_id: tenant().partner_id,
        user_id: UserId::from_parts(1, [5; 10]),
        administers: false,
        cookie: Some(TokenHash::new([6; 32])),
        client: Client {
            ip: None,
            user_agent: None,
            device: Device { kind: DeviceKind::Unknown, name: None },
            location: None,
        },
        authentication: Authentication::with_password(),
        refresh_hash: TokenHash::new([7; 32]),
    };
    Session::start(new, &policy(), at).into_parts().0
}

fn params(more: &[(&str, &str)]) -> Params {
    let usual = [
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "openid profile"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let kept = usual.iter().filter(|(name, _)| !more.iter().any(|(other, _)| other == name));
    Params::new(kept.chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

fn read(application: &Application, more: &[(&str, &str)]) -> Result<AuthorizationRequest, RequestFault> {
    let params = params(more);
    let destination = Destination::of(&params, application).unwrap();
    AuthorizationRequest::read(&params, application, None, destination)
}

fn next(more: &[(&str, &str)], session: Option<&Session>, answered: &Answered) -> Step {
    let application = web();
    read(&application, more).unwrap().next(&application, session, answered, None, NOW)
}

fn error(step: Step) -> Option<ErrorCode> {
    match step {
        Step::Refuse(fault) => Some(fault.error),
        _ => None,
    }
}

#[test]
fn any_port_of_a_loopback_address_is_the_one_of_a_native_application_and_of_no_other() {
    let register = |kind: ApplicationType, uri: &str| {
        application(kind, |metadata| metadata.redirect_uris = vec![RedirectUri::parse(uri).unwrap()])
    };
    let goes =
        |application: &Application, uri: &str| Destination::of(&params(&[("redirect_uri", uri)]), application).is_ok();
    let native = register(ApplicationType::Native, "http://localhost/cb");
    for good in ["http://localhost/cb", "http://localhost:1/cb", "http://localhost:65535/cb"] {
        assert!(goes(&native, good), "{good}");
    }
    for bad in [
        "http://127.0.0.1:1/cb",
        "http://localhost:1/cb/",
        "http://localhost:1/CB",
        "https://localhost:1/cb",
        "http://localhost.evil.example:1/cb",
        "http://localhost:1@evil.example/cb",
        "http://localhost:1/cb?x",
        "http://localhost:1/cb#x",
        "http://LOCALHOST:1/cb",
        "http://localhost:00001/cb",
        "http://localhost:1/x/../cb",
    ] {
        assert!(!goes(&native, bad), "{bad}");
    }
    let six = register(ApplicationType::Native, "http://[::1]:8000/cb");
    assert!(goes(&six, "http://[::1]:9000/cb") && !goes(&six, "http://127.0.0.1:9000/cb"));
    let spa = register(ApplicationType::Spa, "http://localhost:3000/cb");
    assert!(goes(&spa, "http://localhost:3000/cb") && !goes(&spa, "http://localhost:3001/cb"));
}

#[test]
fn challenge_may_be_missing_only_where_the_application_says_so() {
    let none = [("code_challenge", ""), ("code_challenge_method", "")];
    assert_eq!(read(&web(), &none).unwrap_err().error, ErrorCode::InvalidRequest);
    let lax = application(ApplicationType::Web, |metadata| metadata.require_pkce = false);
    assert_eq!(read(&lax, &none).unwrap().challenge, None);
    assert!(read(&lax, &[("code_challenge_method", "plain")]).is_err(), "one that is sent counts");
}

#[test]
fn application_that_does_not_use_codes_or_has_to_push_gets_none() {
    let service = application(ApplicationType::Web, |metadata| {
        metadata.grant_types = vec![GrantType::RefreshToken, GrantType::ClientCredentials]
    });
    assert_eq!(read(&service, &[]).unwrap_err().error, ErrorCode::UnauthorizedClient);
    let pushing = application(ApplicationType::Web, |metadata| metadata.require_pushed_authorization_requests = true);
    assert_eq!(read(&pushing, &[]).unwrap_err().error, ErrorCode::InvalidRequest);
}

#[test]
fn scopes_are_those_that_are_asked_for_and_allowed() {
    let application = application(ApplicationType::Web, |metadata| {
        metadata.allowed_scopes = ["openid", "email", "users:read", "admin:write", "files:read"]
            .map(|name| crate::application::ScopeName::parse(name).unwrap())
            .to_vec();
    });
    let granted = |scope| read(&application, &[("scope", scope)]).map(|request| request.scopes.to_string());
    assert_eq!(granted("openid").unwrap(), "openid");
    assert_eq!(granted("profile  email openid openid").unwrap(), "email openid");
    // Those of an API of others come with tokens for that.
    assert_eq!(granted("openid users:read admin:write files:read").unwrap(), "admin:write openid users:read");
    assert_eq!(granted("files:read").unwrap_err().error, ErrorCode::InvalidScope);
    assert_eq!(granted("").unwrap_err().error, ErrorCode::InvalidScope);
}

#[test]
fn who_is_not_signed_in_signs_in_unless_nobody_may_be_asked() {
    let (unasked, now) = (Answered::default(), session(NOW));
    assert_eq!(next(&[], None, &unasked), Step::SignIn);
    assert_eq!(next(&[], Some(&now), &unasked), Step::Grant);
    assert_eq!(error(next(&[("prompt", "none")], None, &unasked)), Some(ErrorCode::LoginRequired));
    assert_eq!(next(&[("prompt", "none")], Some(&now), &unasked), Step::Grant);
}

#[test]
fn sign_in_is_as_recent_as_the_request_wants() {
    let (old, began) = (session(NOW.minus(HOUR)), Answered { before: Some(Before::of([])), ..Answered::default() });
    let unchanged = Answered { before: Some(Before::of([&old])), ..Answered::default() };
    for (more, answered, expected) in [
        (("max_age", "3599"), Answered::default(), Step::SignIn),
        (("max_age", "3600"), Answered::default(), Step::Grant),
        (("max_age", "0"), Answered::default(), Step::SignIn),
        (("prompt", "login"), Answered::default(), Step::SignIn),
        (("max_age", "0"), began.clone(), Step::Grant),
        (("max_age", "1"), began.clone(), Step::Grant),
        (("prompt", "login"), began, Step::Grant),
        (("prompt", "login"), unchanged, Step::SignIn),
    ] {
        assert_eq!(next(&[more], Some(&old), &answered), expected, "{more:?} {answered:?}");
    }
    let silent = [("prompt", "none"), ("max_age", "1")];
    assert_eq!(error(next(&silent, Some(&old), &Answered::default())), Some(ErrorCode::LoginRequired));
}

#[test]
fn account_is_selected_and_consent_given_once_and_for_the_session_that_is_there() {
    let now = session(NOW);
    let selected = Answered { selected: Some(now.id), ..Answered::default() };
    let other = Some(SessionId::from_parts(9, [9; 10]));
    assert_eq!(next(&[("prompt", "select_account")], Some(&now), &Answered::default()), Step::SelectAccount);
    assert_eq!(next(&[("prompt", "select_account")], Some(&now), &selected), Step::Grant);
    let elsewhere = Answered { selected: other, ..Answered::default() };
    assert_eq!(next(&[("prompt", "select_account")], Some(&now), &elsewhere), Step::SelectAccount);
    assert_eq!(next(&[("prompt", "consent select_account")], Some(&now), &selected), Step::Consent);
    let consented = Answered { consented: Some(now.id), ..Answered::default() };
    assert_eq!(next(&[("prompt", "consent")], Some(&now), &consented), Step::Grant);
    assert_eq!(
        next(&[("prompt", "consent")], Some(&now), &Answered { consented: other, ..Answered::default() }),
        Step::Consent
    );
    let asking = application(ApplicationType::Web, |metadata| metadata.require_consent = true);
    let step = |more| read(&asking, more).unwrap().next(&asking, Some(&now), &Answered::default(), None, NOW);
    assert_eq!(step(&[]), Step::Consent);
    assert_eq!(error(step(&[("prompt", "none")])), Some(ErrorCode::ConsentRequired));
}

#[test]
fn code_is_judged_by_all_that_it_is_bound_to() {
    let (application, session) = (web(), session(NOW));
    let request = read(&application, &[]).unwrap();
    let new = NewCode {
        hash: TokenHash::new([8; 32]),
        family_id: FamilyId::from_parts(1, [9; 10]),
        session: &session,
        application: &application,
        request: &request,
    };
    let code = AuthorizationCode::issue(&new, NOW);
    let challenge = Challenge::new(CHALLENGE).unwrap();
    let other = Challenge::new(&"A".repeat(43)).unwrap();
    let foreign = Application { id: ApplicationId::from_parts(2, [3; 10]), ..application.clone() };
    let good =
        Redeemed { application: &application, redirect_uri: Some(CALLBACK), challenge: Some(&challenge), key: None };
    assert_eq!(code.judge(&good, NOW), CodeVerdict::Exchange);
    assert_eq!(
        code.judge(&Redeemed { redirect_uri: None, ..good }, NOW),
        CodeVerdict::Exchange,
        "the challenge binds it"
    );
    let spent = AuthorizationCode { spent_at: Some(NOW), ..code.clone() };
    assert_eq!(spent.judge(&good, NOW.plus(CODE_LIFETIME * 2)), CodeVerdict::Replayed);
    for bad in [
        Redeemed { application: &foreign, ..good },
        Redeemed { redirect_uri: Some("https://evil.example/"), ..good },
        Redeemed { challenge: None, ..good },
        Redeemed { challenge: Some(&other), ..good },
    ] {
        assert!(matches!(code.judge(&bad, NOW), CodeVerdict::Invalid(_)), "{bad:?}");
        assert!(matches!(spent.judge(&bad, NOW), CodeVerdict::Invalid(_)), "{bad:?}");
    }
    assert!(matches!(code.judge(&good, NOW.plus(CODE_LIFETIME)), CodeVerdict::Invalid(_)));
    let unbound = AuthorizationCode { challenge: None, ..code };
    assert!(matches!(unbound.judge(&good, NOW), CodeVerdict::Invalid(_)), "a verifier that nobody asked for");
    assert!(matches!(
        unbound.judge(&Redeemed { redirect_uri: None, challenge: None, ..good }, NOW),
        CodeVerdict::Invalid(_)
    ));
}
