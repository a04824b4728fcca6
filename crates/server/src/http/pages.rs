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
    config.service(invitation).service(invitation_script).service(invitation_style);
}

fn file(content_type: &'static str, body: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, content_type))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(body)
}

/// Where the link of an invitation leads; see [`crate::app::invitations::PAGE`].
#[get("/invitation")]
async fn invitation() -> HttpResponse {
    file("text/html; charset=utf-8", include_str!("../../assets/invitation.html"))
}

#[get("/invitation.js")]
async fn invitation_script() -> HttpResponse {
    file("text/javascript; charset=utf-8", include_str!("../../assets/invitation.js"))
}

#[get("/invitation.css")]
async fn invitation_style() -> HttpResponse {
    file("text/css; charset=utf-8", include_str!("../../assets/invitation.css"))
}
