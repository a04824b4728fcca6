//! A page with a form: template, handlers and form in one file, as every other page has them.

use std::sync::Arc;

use actix_web::{
    body::to_bytes,
    dev::ServiceResponse,
    http::header::{HeaderName, LOCATION},
    test::{TestRequest, init_service, try_call_service},
    web::Data,
};
use gatehouse_domain::text::Name;

use super::*;
use crate::{
    config::Config,
    env::Env,
    http::{
        extract::access::Anybody,
        hosted::{Frame, Look, texts::EN},
        operation::Operations,
        pages, service,
    },
};

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"{% extends "hosted/layout.html" %}
{% block title %}Say hello{% endblock %}
{% block main %}<form method="post">
<input type="hidden" name="form_token" value="{{ form_token }}">
<label for="name">Your name</label> <input id="name" name="name" required>
<button>Say hello</button>
</form>
{% if let Some(name) = name %}<p>Hello, {{ name }}.</p>{% endif %}{% endblock %}"#
)]
struct HelloPage<'a> {
    frame: Frame<'a>,
    form_token: String,
    name: Option<String>,
}

input! {
    /// Who is greeted.
    pub struct HelloForm {
        /// Whom.
        name: Name,
    }
}

async fn ask(_: Anybody, browser: Browser, app: Data<App>) -> Result<HttpResponse, Failure> {
    let look = Look::of(None, &EN);
    browser.page(&HelloPage { frame: look.frame(), form_token: browser.form_token(&app), name: None })
}

async fn greet(_: Anybody, sent: Sent<HelloForm>, browser: Browser, app: Data<App>) -> Result<HttpResponse, Failure> {
    let (look, name) = (Look::of(None, &EN), Some(sent.0.name.as_str().to_owned()));
    browser.page(&HelloPage { frame: look.frame(), form_token: browser.form_token(&app), name })
}

fn with_hello(with_docs: bool) -> Operations {
    let mut pages = pages::all(with_docs);
    pages.page("/hello", ask);
    pages.form("/hello", greet);
    pages
}

/// A server at an address.
struct Server {
    app: Data<App>,
    site: Arc<Site>,
    _folder: Folder,
}

struct Folder(std::path::PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

impl Server {
    async fn at(url: &str) -> Self {
        let (env, _) = Env::manual();
        let folder = std::env::temp_dir().join(format!("gh-page-{:032x}", u128::from_be_bytes(env.random())));
        let mut config = Config::defaults(folder.clone()).unwrap();
        config.public_url = Some(url.parse().unwrap());
        let app = Data::new(App::open(&config, env.clone()).await.unwrap());
        Self { app, site: Arc::new(Site::with_pages(&config, &env, with_hello)), _folder: Folder(folder) }
    }

    async fn call(&self, request: TestRequest) -> ServiceResponse {
        let service = init_service(service(self.app.clone(), Arc::clone(&self.site))).await;
        try_call_service(&service, request.insert_header(("accept", "text/html")).to_request()).await.unwrap()
    }

    /// A browser's cookie, whole, and the token in the form that it got.
    async fn visit(&self) -> (String, String) {
        let response = self.call(TestRequest::get().uri("/hello")).await;
        let cookie = header(&response, SET_COOKIE).unwrap();
        let page = text(response).await;
        let token = page.split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        (cookie, token)
    }

    /// The status of a form that comes with these headers.
    async fn status(&self, cookie: &str, token: &str, headers: &[(&str, &str)]) -> u16 {
        self.call(form(cookie, token, headers)).await.status().as_u16()
    }
}

fn form(cookie: &str, token: &str, headers: &[(&str, &str)]) -> TestRequest {
    let request = TestRequest::post().uri("/hello").set_form([("form_token", token), ("name", "<b>Ada</b>")]);
    let request = request.insert_header(("cookie", cookie.split(';').next().unwrap()));
    headers.iter().fold(request, |request, header| request.insert_header(*header))
}

fn header(response: &ServiceResponse, name: HeaderName) -> Option<String> {
    Some(response.headers().get(name)?.to_str().unwrap().to_owned())
}

async fn text(response: ServiceResponse) -> String {
    String::from_utf8(to_bytes(response.into_body()).await.unwrap().to_vec()).unwrap()
}

const OURS: &[(&str, &str)] = &[("sec-fetch-site", "same-origin")];

#[actix_web::test]
async fn form_is_taken_from_the_browser_that_got_it() {
    let server = Server::at("https://id.example.com").await;
    let ((cookie, token), (other, _)) = (server.visit().await, server.visit().await);
    assert_eq!(server.status(&cookie, &token, OURS).await, 200);
    assert_eq!(server.status(&other, &token, OURS).await, 403, "of another browser");
    assert_eq!(server.status("x=y", &token, OURS).await, 403, "of none");
    assert_eq!(server.status(&cookie, &token.replace(|_: char| true, "A"), OURS).await, 403, "of another form");
    assert_eq!(server.status(&cookie, "", OURS).await, 422, "without the token");
}

#[actix_web::test]
async fn form_of_another_site_is_refused_whatever_it_holds() {
    let server = Server::at("https://id.example.com").await;
    let (cookie, token) = server.visit().await;
    for (headers, status) in [
        (&[("sec-fetch-site", "cross-site")][..], 403),
        (&[("sec-fetch-site", "same-site")], 403),
        (&[("sec-fetch-site", "none")], 403),
        (&[("sec-fetch-site", "cross-site"), ("origin", "https://id.example.com")], 403),
        (&[("origin", "https://id.example.com")], 200),
        (&[("origin", "https://evil.example")], 403),
        (&[("origin", "http://id.example.com")], 403),
        (&[("origin", "null")], 403),
        (&[], 403),
    ] {
        assert_eq!(server.status(&cookie, &token, headers).await, status, "{headers:?}");
    }
}

#[actix_web::test]
async fn what_somebody_typed_is_shown_and_never_run() {
    let server = Server::at("https://id.example.com").await;
    let (cookie, token) = server.visit().await;
    let response = server.call(form(&cookie, &token, OURS)).await;
    assert_eq!(header(&response, SET_COOKIE), None, "it has its cookie");
    let page = text(response).await;
    assert!(page.contains("Ada") && !page.contains("<b>"), "{page}");
}

#[actix_web::test]
async fn cookie_is_as_hard_to_set_and_to_read_as_browsers_can_make_it() {
    let (cookie, _) = Server::at("https://id.example.com").await.visit().await;
    assert!(cookie.starts_with("__Host-gh-browser="), "{cookie}");
    assert!(cookie.ends_with("; HttpOnly; SameSite=Lax; Path=/; Secure"), "{cookie}");
    // Browsers would not keep it with these on http.
    let (cookie, _) = Server::at("http://localhost:8000").await.visit().await;
    assert!(cookie.starts_with("gh-browser=") && cookie.ends_with("; Path=/"), "{cookie}");
}

#[actix_web::test]
async fn page_with_a_form_says_where_it_may_be_sent_and_is_kept_nowhere() {
    let server = Server::at("https://id.example.com").await;
    let response = server.call(TestRequest::get().uri("/hello")).await;
    assert!(header(&response, CONTENT_SECURITY_POLICY).unwrap().contains("form-action 'self'"));
    assert_eq!(header(&response, REFERRER_POLICY).as_deref(), Some("same-origin"));
    assert_eq!(header(&response, CACHE_CONTROL).as_deref(), Some("no-store"));
    let refused = server.call(TestRequest::delete().uri("/hello")).await;
    assert_eq!(header(&refused, actix_web::http::header::ALLOW).as_deref(), Some("GET, POST, HEAD"));
    assert_eq!(header(&refused, LOCATION), None);
}

#[actix_web::test]
async fn pages_of_links_tell_their_script_what_to_do() {
    let server = Server::at("https://id.example.com").await;
    for (path, title, form) in [
        (
            "/invitation",
            "Accept your invitation",
            r#"<form id="form" data-action="invitations/accept" data-field="password">"#,
        ),
        (
            "/password-reset",
            "Set another password",
            r#"<form id="form" data-action="password/reset" data-field="new_password" data-done="Done. You can sign in with the new password. You have been signed out everywhere.">"#,
        ),
        (
            "/email",
            "Confirm your e-mail address",
            r#"<form id="form" data-action="email/verify" data-done="Done. The address is confirmed.">"#,
        ),
    ] {
        let page = text(server.call(TestRequest::get().uri(path)).await).await;
        assert!(page.contains(form) && page.contains(&format!("<h1>{title}</h1>")), "{page}");
    }
}
