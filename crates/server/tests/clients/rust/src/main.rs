//! The crate openidconnect, as its examples use it. Its argument is the program that registers applications, and that is
//! a person with a browser.
//!
//! Revocation is left out: the crate refuses to ask for one over plain http.

use std::{env, error::Error, process::Command, time::Duration};

use openidconnect::{
    AccessTokenHash, AdditionalProviderMetadata, AuthorizationCode, ClientId, ClientSecret, CsrfToken,
    DeviceAuthorizationUrl, IntrospectionUrl, IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge,
    ProviderMetadata, RedirectUrl, Scope, TokenIntrospectionResponse, TokenResponse,
    core::{
        CoreAuthDisplay, CoreAuthenticationFlow, CoreClaimName, CoreClaimType, CoreClient, CoreClientAuthMethod,
        CoreDeviceAuthorizationResponse, CoreGrantType, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm,
        CoreJweKeyManagementAlgorithm, CoreJwsSigningAlgorithm, CoreResponseMode, CoreResponseType,
        CoreSubjectIdentifierType, CoreUserInfoClaims,
    },
    reqwest,
    url::Url,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What is in the metadata beside what the crate knows.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct More {
    introspection_endpoint: IntrospectionUrl,
    device_authorization_endpoint: DeviceAuthorizationUrl,
}
impl AdditionalProviderMetadata for More {}

type Metadata = ProviderMetadata<
    More,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

const CALLBACK: &str = "http://127.0.0.1:3002/callback";

fn act(words: &[&str]) -> Outcome<String> {
    let program = env::args().nth(1).ok_or("the program that acts is the argument")?;
    let output = Command::new(program).args(words).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn visit(url: &str) -> Outcome<String> {
    act(&["visit", &format!("{}/cookies-{}", env::temp_dir().display(), std::process::id()), url])
}

fn register(application: &Value) -> Outcome<(ClientId, Option<ClientSecret>)> {
    let made: Value = serde_json::from_str(&act(&["register", &application.to_string()])?)?;
    let id = made["client_id"].as_str().ok_or("no client_id")?;
    Ok((
        ClientId::new(id.to_owned()),
        made["client_secret"].as_str().map(|secret| ClientSecret::new(secret.to_owned())),
    ))
}

fn scopes(names: &str) -> impl Iterator<Item = Scope> {
    names.split(' ').map(|name| Scope::new(name.to_owned()))
}

/// The code with PKCE through the pages, with ID tokens signed as said; `userinfo`, a refresh, introspection.
fn sign_in(issuer: &IssuerUrl, http: &reqwest::blocking::Client, algorithm: CoreJwsSigningAlgorithm) -> Outcome<()> {
    let (id, secret) = register(&json!({
        "name": "Shop of openidconnect",
        "application_type": "WEB",
        "redirect_uris": [CALLBACK],
        "id_token_signed_response_alg": algorithm,
    }))?;
    // The crate reads the keys here, once; the first application of an algorithm brings its key.
    let metadata = Metadata::discover(issuer, http)?;
    let client = CoreClient::from_provider_metadata(metadata.clone(), id, secret)
        .set_redirect_uri(RedirectUrl::new(CALLBACK.to_owned())?)
        .set_introspection_url(metadata.additional_metadata().introspection_endpoint.clone());
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (to, state, nonce) = client
        .authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random)
        .add_scopes(scopes("profile email"))
        .set_pkce_challenge(challenge)
        .url();
    let back = Url::parse(&visit(to.as_str())?)?;
    let answered = |name: &str| back.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    assert_eq!(answered("state").as_ref(), Some(state.secret()), "{back}");
    let code = AuthorizationCode::new(answered("code").ok_or("no code")?);
    let tokens = client.exchange_code(code)?.set_pkce_verifier(verifier).request(http)?;

    let verifier = client.id_token_verifier().set_allowed_algs([algorithm.clone()]);
    let id_token = tokens.id_token().ok_or("no ID token")?;
    let claims = id_token.claims(&verifier, &nonce)?;
    let hash =
        AccessTokenHash::from_token(tokens.access_token(), id_token.signing_alg()?, id_token.signing_key(&verifier)?)?;
    assert_eq!(claims.access_token_hash(), Some(&hash));
    // The crate checks that the answer is about the same user.
    let info: CoreUserInfoClaims =
        client.user_info(tokens.access_token().clone(), Some(claims.subject().clone()))?.request(http)?;
    assert_eq!(info.preferred_username().map(|name| name.as_str().to_owned()), env::var("GATEHOUSE_USERNAME").ok());

    let next = client.exchange_refresh_token(tokens.refresh_token().ok_or("no refresh token")?)?.request(http)?;
    assert_ne!(next.refresh_token().map(|token| token.secret()), tokens.refresh_token().map(|token| token.secret()));
    // A refresh brings no nonce.
    next.id_token().ok_or("no ID token")?.claims(&verifier, |_: Option<&Nonce>| Ok(()))?;
    assert!(client.introspect(next.access_token()).request(http)?.active());
    println!("ok code with PKCE through the pages, {algorithm:?}: userinfo, refresh, introspection");
    Ok(())
}

fn device(issuer: &IssuerUrl, http: &reqwest::blocking::Client) -> Outcome<()> {
    let (id, _) = register(&json!({
        "name": "Television",
        "application_type": "NATIVE",
        "grant_types": ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"],
    }))?;
    let metadata = Metadata::discover(issuer, http)?;
    let client = CoreClient::from_provider_metadata(metadata.clone(), id, None)
        .set_device_authorization_url(metadata.additional_metadata().device_authorization_endpoint.clone());
    let asked: CoreDeviceAuthorizationResponse =
        client.exchange_device_code().add_scopes(scopes("profile")).request(http)?;
    visit(asked.verification_uri_complete().ok_or("no verification_uri_complete")?.secret())?;
    let tokens = client.exchange_device_access_token(&asked)?.request(
        http,
        std::thread::sleep,
        Some(Duration::from_secs(30)),
    )?;
    tokens.id_token().ok_or("no ID token")?.claims(&client.id_token_verifier(), |_: Option<&Nonce>| Ok(()))?;
    println!("ok a device without a browser");
    Ok(())
}

fn by_itself(issuer: &IssuerUrl, http: &reqwest::blocking::Client) -> Outcome<()> {
    let (id, secret) =
        register(&json!({ "name": "Backup", "application_type": "SERVICE", "allowed_scopes": ["sessions:read"] }))?;
    let client = CoreClient::from_provider_metadata(Metadata::discover(issuer, http)?, id, secret);
    let tokens = client.exchange_client_credentials()?.add_scopes(scopes("sessions:read")).request(http)?;
    assert!(tokens.refresh_token().is_none());
    println!("ok client_credentials with a secret");
    Ok(())
}

fn main() -> Outcome<()> {
    let http = reqwest::blocking::ClientBuilder::new().redirect(reqwest::redirect::Policy::none()).build()?;
    let issuer = format!("{}/api/v1/auth/tenants/{}", env::var("GATEHOUSE_URL")?, env::var("GATEHOUSE_TENANT_SLUG")?);
    let issuer = IssuerUrl::new(issuer)?;
    for algorithm in [
        CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
        CoreJwsSigningAlgorithm::EcdsaP256Sha256,
        CoreJwsSigningAlgorithm::EdDsa,
    ] {
        sign_in(&issuer, &http, algorithm)?;
    }
    by_itself(&issuer, &http)?;
    device(&issuer, &http)
}
