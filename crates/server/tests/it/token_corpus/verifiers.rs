//! Whoever takes tokens, and what is said to one that is none.

use serde_json::{Value, json};

use super::Scene;
use crate::harness::{
    Answer,
    oauth::{App, basic, sent},
};

/// A place where a token is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    Me,
    Users,
    UserInfo,
    UserInfoForm,
    Introspection,
    Revocation,
    Authorize,
    Logout,
    Assertion,
    Subject,
}

/// What was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// It counts.
    Taken,
    /// It does not; the error.
    Refused(String),
    /// What nobody is ever told.
    Wrong(String),
}

fn refused(error: &str) -> Said {
    Said::Refused(error.to_owned())
}

/// What cannot be part of a header is not sent there.
fn fits_header(token: &str) -> bool {
    token.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte))
}

impl At {
    pub const ALL: [Self; 10] = [
        Self::Me,
        Self::Users,
        Self::UserInfo,
        Self::UserInfoForm,
        Self::Introspection,
        Self::Revocation,
        Self::Authorize,
        Self::Logout,
        Self::Assertion,
        Self::Subject,
    ];

    /// Whether what counts here ends with that.
    pub fn ends(self) -> bool {
        matches!(self, Self::Revocation | Self::Logout)
    }

    /// What every token that is none is told.
    pub const fn usual(self) -> &'static str {
        match self {
            Self::Me | Self::Users | Self::UserInfo | Self::UserInfoForm => "invalid_token",
            Self::Introspection => "inactive",
            Self::Revocation => "nothing",
            Self::Authorize | Self::Subject => "invalid_request",
            Self::Logout => "asks first",
            Self::Assertion => "invalid_client",
        }
    }

    /// Shows a token; nothing, where it cannot be sent.
    pub async fn show(self, scene: &Scene, token: &str) -> Option<Answer> {
        let world = &scene.world;
        let fits = match self {
            Self::Me | Self::Users | Self::UserInfo => fits_header(token),
            // No URI is longer, as HTTP libraries have it.
            Self::Authorize | Self::Logout => token.len() < 60_000,
            _ => true,
        };
        if !fits {
            return None;
        }
        let users = format!("/tenants/{}/users", scene.site.tenant.id);
        Some(match self {
            Self::Me => world.get("/me").bearer(token).send().await,
            Self::Users => world.get(&users).bearer(token).send().await,
            Self::UserInfo => scene.site.user_info(token).await,
            Self::UserInfoForm => {
                world.post("/auth/tenants/acme/oauth/userinfo").form(&[("access_token", token)]).send().await
            }
            Self::Introspection => scene.send("introspect", &scene.wiki, &[("token", token)]).await,
            Self::Revocation => scene.send("revoke", &scene.wiki, &[("token", token)]).await,
            Self::Authorize => {
                scene
                    .browser
                    .get(&scene.site.request(&scene.wiki, &[("id_token_hint", token), ("prompt", "none")]))
                    .await
            }
            Self::Logout => {
                let query =
                    url::form_urlencoded::Serializer::new(String::new()).append_pair("id_token_hint", token).finish();
                scene.browser.get(&format!("{}/oauth/logout?{query}", scene.site.issuer_path())).await
            }
            Self::Assertion => {
                let fields = [
                    ("grant_type", "client_credentials"),
                    ("client_id", &scene.robot.id),
                    ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                    ("client_assertion", token),
                ];
                world.post("/auth/tenants/acme/oauth/token").form(&fields).send().await
            }
            Self::Subject => {
                let fields = [
                    ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
                    ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
                    ("resource", super::API),
                    ("subject_token", token),
                ];
                scene.site.token(&scene.wiki, &fields).await
            }
        })
    }

    /// What an answer says.
    pub fn said(self, answer: &Answer) -> Said {
        let wrong = || Said::Wrong(format!("{} {}", answer.status, answer.text.chars().take(300).collect::<String>()));
        match (self, answer.status) {
            // Nobody looks into what is too long.
            (_, 413) => refused("too long"),
            (Self::Me | Self::Users, _) => of_api(answer).unwrap_or_else(wrong),
            (Self::UserInfo | Self::UserInfoForm, _) => of_user_info(answer).unwrap_or_else(wrong),
            (Self::Introspection, 200) if answer.json()["active"] == true => Said::Taken,
            (Self::Introspection, 200) if answer.json() == json!({"active": false}) => refused("inactive"),
            (Self::Revocation, 200) if answer.text.is_empty() => refused("nothing"),
            (Self::Authorize, 303) => match sent(answer).remove("error") {
                Some(error) => Said::Refused(error),
                None => Said::Taken,
            },
            (Self::Authorize | Self::Logout, 400) if answer.header("location").is_none() => refused("error page"),
            (Self::Logout, 200) if answer.text.contains("You are signed out") => Said::Taken,
            (Self::Logout, 200) if answer.text.contains("<form method=\"post\"") => refused("asks first"),
            (Self::Assertion | Self::Subject, 200) => Said::Taken,
            (Self::Assertion, 401)
            | (Self::Introspection | Self::Revocation | Self::Subject | Self::Assertion, 400) => {
                of_token_endpoint(answer).unwrap_or_else(wrong)
            }
            _ => wrong(),
        }
    }
}

fn of_api(answer: &Answer) -> Option<Said> {
    let challenge = answer.header("www-authenticate");
    match answer.status {
        200 => Some(Said::Taken),
        401 if challenge == Some("Bearer error=\"invalid_token\"") => {
            Some(Said::Refused(answer.json()["code"].as_str()?.to_owned()))
        }
        403 | 404 => Some(Said::Refused(answer.json()["code"].as_str()?.to_owned())),
        _ => None,
    }
}

fn of_user_info(answer: &Answer) -> Option<Said> {
    let says = || answer.json();
    let fields = |value: &Value| value.as_object().map_or(0, serde_json::Map::len);
    match answer.status {
        200 if says()["sub"].is_string() => Some(Said::Taken),
        400 | 401 if fields(&says()) == 2 => Some(Said::Refused(says()["error"].as_str()?.to_owned())),
        _ => None,
    }
}

fn of_token_endpoint(answer: &Answer) -> Option<Said> {
    let body = answer.json();
    let is_documented = body.as_object()?.len() == 2 && answer.header("cache-control") == Some("no-store");
    is_documented.then(|| Some(Said::Refused(body["error"].as_str()?.to_owned()))).flatten()
}

impl Scene {
    /// Sends a form to an endpoint in the name of an application.
    pub async fn send(&self, endpoint: &str, app: &App, fields: &[(&str, &str)]) -> Answer {
        let call = self.world.post(&format!("/auth/tenants/acme/oauth/{endpoint}"));
        call.header("authorization", &basic(&app.id, app.secret.as_deref().unwrap())).form(fields).send().await
    }
}
