//! Pages for people who have nothing but a browser. Their files are part of the program and load nothing from elsewhere.

use actix_web::{
    HttpResponse, get,
    http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    web::ServiceConfig,
};

/// What a page may load and do.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'";

/// Mounts them.
pub fn mount(config: &mut ServiceConfig) {
    config.service(invitation).service(password_reset).service(email).service(script).service(style);
}

fn file(content_type: &'static str, body: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, content_type))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(body)
}

fn page(body: &'static str) -> HttpResponse {
    file("text/html; charset=utf-8", body)
}

/// Where the link of an invitation leads; see [`crate::app::directory::invitations::PAGE`].
#[get("/invitation")]
async fn invitation() -> HttpResponse {
    page(include_str!("../../assets/invitation.html"))
}

/// Where a link leads with which another password is set; see [`crate::app::account::recovery::RESET_PAGE`].
#[get("/password-reset")]
async fn password_reset() -> HttpResponse {
    page(include_str!("../../assets/password-reset.html"))
}

/// Where a link leads with which an address is confirmed; see [`crate::app::account::recovery::EMAIL_PAGE`]. It takes a button: what
/// looks at links before people do, such as a filter of mail, confirms nothing.
#[get("/email")]
async fn email() -> HttpResponse {
    page(include_str!("../../assets/email.html"))
}

#[get("/link.js")]
async fn script() -> HttpResponse {
    file("text/javascript; charset=utf-8", include_str!("../../assets/link.js"))
}

#[get("/link.css")]
async fn style() -> HttpResponse {
    file("text/css; charset=utf-8", include_str!("../../assets/link.css"))
}
