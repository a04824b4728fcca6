//! A relying party.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::{
    Answer, Browser, Form, World, claims,
    oauth::{App, Site, sent, text},
};

const ALL: [&str; 6] = ["openid", "profile", "email", "phone", "roles", "attributes"];

/// A relying party that asks for answers in one mode.
pub struct Party {
    pub site: Site,
    pub mode: &'static str,
    pub app: App,
    pub browser: Browser,
}

impl Party {
    pub async fn new(world: &World, mode: &'static str) -> Self {
        let site = Site::new(world).await;
        let app = site.app(json!({"allowed_scopes": ALL})).await;
        let about = json!({"display_name": "Ada Lovelace", "phone": "+34600000000"});
        let ada = world.login(&site.ada).await;
        world.patch("/me").bearer(&ada).json(about).send().await.expect(200);
        Self { browser: Browser::new(world), site, mode, app }
    }

    pub fn world(&self) -> &World {
        &self.site.world
    }

    /// Sends a request; what comes may be a page.
    pub async fn ask(&self, more: &[(&str, &str)]) -> Answer {
        let params = [&[("response_mode", self.mode)], more].concat();
        self.browser.get(&self.site.request(&self.app, &params)).await
    }

    /// What the application is sent, by whichever way it asked for.
    #[track_caller]
    pub fn sent(&self, answer: &Answer) -> BTreeMap<String, String> {
        if self.mode == "query" {
            return sent(answer);
        }
        assert_eq!(answer.status, 200, "{}", answer.text);
        let form = Form::of(answer);
        assert_eq!(form.action, self.app.callback);
        form.hidden.into_iter().collect()
    }

    /// Whether it is the page that asks for a password.
    pub fn is_sign_in(answer: &Answer) -> bool {
        answer.status == 200 && answer.text.contains("name=\"password\"")
    }

    /// Sends a request, and signs in if that is asked for.
    pub async fn flow(&self, more: &[(&str, &str)]) -> BTreeMap<String, String> {
        let answer = self.ask(more).await;
        let answer = if Self::is_sign_in(&answer) { self.site.submit(&self.browser, &answer).await } else { answer };
        self.sent(&answer)
    }

    pub async fn tokens(&self, more: &[(&str, &str)]) -> Value {
        let sent = self.flow(more).await;
        self.site.exchange(&self.app, &sent["code"]).await.expect(200).json()
    }

    pub async fn user_info(&self, tokens: &Value) -> Value {
        self.site.user_info(text(tokens, "access_token")).await.expect(200).json()
    }

    /// The error that a request is answered with, at the application.
    pub async fn error(&self, more: &[(&str, &str)]) -> String {
        let sent = self.sent(&self.ask(more).await);
        assert_eq!(sent.get("state").map(String::as_str), Some("s/1"));
        sent["error"].clone()
    }

    /// What a scope opens is in the ID token and at the UserInfo endpoint.
    pub async fn scope(&self, scope: &str, expected: &[(&str, Value)]) {
        let tokens = self.tokens(&[("scope", scope)]).await;
        let (id, info) = (claims(text(&tokens, "id_token")), self.user_info(&tokens).await);
        for (name, value) in expected {
            assert_eq!((&id[name], &info[name]), (value, value), "{name}");
        }
        for (name, _) in [("name", "profile"), ("email", "email"), ("phone_number", "phone")] {
            let is_asked = expected.iter().any(|(known, _)| *known == name);
            assert_eq!(info.get(name).is_some(), is_asked, "{name} with {scope}");
        }
    }
}
