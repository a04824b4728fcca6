//! Applications that sign people in, as far as a test needs one.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use url::Url;

use super::{Answer, Browser, Form, PASSWORD, Person, Signed, Tenant, World};

pub const VERIFIER: &str = "a-verifier-of-forty-three-characters-or-more-0123456789";
pub const CALLBACK: &str = "https://wiki.example/callback";

pub fn challenge() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()))
}

/// An application.
#[derive(Debug, Clone)]
pub struct App {
    pub id: String,
    pub secret: Option<String>,
    pub callback: String,
}

/// A tenant with a user, an administrator, and what is asked of them.
pub struct Site {
    pub world: World,
    pub tenant: Tenant,
    pub boss: Signed,
    pub ada: Person,
}

impl Site {
    pub async fn new(world: &World) -> Self {
        let tenant = world.tenant("acme").await;
        let boss = world.tenant_admin(&tenant, "boss").await;
        let (boss, ada) = (world.login(&boss).await, world.person(&tenant, "ada").await);
        Self { world: world.clone(), tenant, boss, ada }
    }

    pub async fn app(&self, more: Value) -> App {
        let mut body = json!({"name": "Wiki", "application_type": "WEB", "redirect_uris": [CALLBACK]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let path = format!("/tenants/{}/applications", self.tenant.id);
        let made = self.world.post(&path).bearer(&self.boss).json(body).send().await.expect(201).data();
        let text = |name: &str| made[name].as_str().map(str::to_owned);
        let callback = made["redirect_uris"][0].as_str().unwrap_or_default().to_owned();
        App { id: text("id").unwrap(), secret: text("client_secret"), callback }
    }

    pub async fn spa(&self) -> App {
        self.app(json!({"name": "Mail", "application_type": "SPA", "redirect_uris": ["https://mail.example/cb"]})).await
    }

    pub async fn change(&self, app: &App, change: Value) {
        let path = format!("/tenants/{}/applications/{}", self.tenant.id, app.id);
        self.world.patch(&path).bearer(&self.boss).json(change).send().await.expect(200);
    }

    pub fn issuer_path(&self) -> String {
        format!("/api/v1/auth/tenants/{}", self.tenant.slug)
    }

    /// The address of a request with these parameters besides or instead of the usual ones; an empty one is left out.
    pub fn request(&self, app: &App, more: &[(&str, &str)]) -> String {
        request_at(&format!("{}/oauth", self.issuer_path()), app, more)
    }

    pub async fn sign_in(&self, browser: &Browser, app: &App, more: &[(&str, &str)]) -> Answer {
        let page = browser.get(&self.request(app, more)).await.expect(200);
        self.submit(browser, &page).await
    }

    pub async fn submit(&self, browser: &Browser, page: &Answer) -> Answer {
        browser.submit(&Form::of(page), &[("username", &self.ada.name), ("password", PASSWORD)]).await
    }

    pub async fn token(&self, app: &App, fields: &[(&str, &str)]) -> Answer {
        self.token_at(&self.world, app, fields).await
    }

    pub async fn token_at(&self, world: &World, app: &App, fields: &[(&str, &str)]) -> Answer {
        token_at(world, &format!("{}/oauth", self.issuer_path()), app, fields).await
    }

    pub async fn exchange(&self, app: &App, code: &str) -> Answer {
        self.token(app, &of_code(app, code)).await
    }

    pub async fn refresh(&self, app: &App, token: &str) -> Answer {
        self.token(app, &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    pub async fn user_info(&self, token: &str) -> Answer {
        self.user_info_at(&self.world, token).await
    }

    pub async fn user_info_at(&self, world: &World, token: &str) -> Answer {
        world.get(&format!("/auth/tenants/{}/oauth/userinfo", self.tenant.slug)).bearer(token).send().await
    }

    /// Signs in to an application and gets its tokens.
    pub async fn tokens(&self, browser: &Browser, app: &App, more: &[(&str, &str)]) -> Value {
        let answer = browser.get(&self.request(app, more)).await;
        let answer = if answer.status == 200 { self.submit(browser, &answer).await } else { answer };
        self.exchange(app, &code(&answer)).await.expect(200).json()
    }

    /// The sessions of the user, as the administrator sees them.
    pub async fn sessions(&self) -> Vec<Value> {
        let path = format!("/tenants/{}/sessions?user_id={}&active_only=true", self.tenant.id, self.ada.id);
        let list = self.world.get(&path).bearer(&self.boss).send().await.expect(200).data();
        list.as_array().unwrap().clone()
    }
}

/// The address of a request at an issuer, as [`Site::request`].
pub fn request_at(endpoints: &str, app: &App, more: &[(&str, &str)]) -> String {
    let challenge = challenge();
    let mut params = vec![
        ("client_id", app.id.as_str()),
        ("redirect_uri", app.callback.as_str()),
        ("response_type", "code"),
        ("scope", "openid profile email"),
        ("state", "s/1"),
        ("nonce", "n-1"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    params.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
    params.extend(more.iter().filter(|(_, value)| !value.is_empty()));
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
    format!("{endpoints}/authorize?{query}")
}

/// What an application shows with a code.
pub fn of_code<'a>(app: &'a App, code: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", app.callback.as_str()),
        ("code_verifier", VERIFIER),
    ]
}

/// Asks for tokens at an issuer.
pub async fn token_at(world: &World, endpoints: &str, app: &App, fields: &[(&str, &str)]) -> Answer {
    let call = world.post(&format!("/{endpoints}/token"));
    match &app.secret {
        Some(secret) => call.header("authorization", &basic(&app.id, secret)).form(fields).send().await,
        None => call.form(&[&[("client_id", app.id.as_str())], fields].concat()).send().await,
    }
}

pub fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}")))
}

/// The parameters that the application is sent.
#[track_caller]
pub fn sent(answer: &Answer) -> BTreeMap<String, String> {
    assert_eq!(answer.status, 303, "{}", answer.text);
    let location = Url::parse(answer.header("location").unwrap()).unwrap();
    location.query_pairs().into_owned().collect()
}

#[track_caller]
pub fn code(answer: &Answer) -> String {
    sent(answer).remove("code").unwrap_or_else(|| unreachable!("{:?}", sent(answer)))
}

#[track_caller]
pub fn error(answer: &Answer) -> String {
    sent(answer).remove("error").unwrap()
}

#[track_caller]
pub fn text<'a>(tokens: &'a Value, name: &str) -> &'a str {
    tokens[name].as_str().unwrap()
}

/// The error of the token endpoint.
#[track_caller]
pub fn refused(answer: Answer, status: u16) -> String {
    let answer = answer.expect(status);
    let body = answer.json();
    assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    body["error"].as_str().unwrap().to_owned()
}
