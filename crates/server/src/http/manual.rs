//! The manual: the pages of `crates/server/docs`, as they stand in the repository, served beside the reference.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION},
};
use pulldown_cmark::{Event, Options, Parser, Tag, html::push_html};

use crate::{
    app,
    http::{extract::access::Anybody, operation::Operations, problem::Failure},
};

/// The address of a page and its Markdown. The first one is what the address without a name shows.
pub const PAGES: &[(&str, &str)] = &[
    ("", include_str!("../../docs/README.md")),
    ("first-steps", include_str!("../../docs/first-steps.md")),
    ("configuration", include_str!("../../docs/configuration.md")),
    ("settings", include_str!("../../docs/settings.md")),
    ("mail", include_str!("../../docs/mail.md")),
    ("postgresql", include_str!("../../docs/postgresql.md")),
    ("moving", include_str!("../../docs/moving.md")),
    ("operations", include_str!("../../docs/operations.md")),
    ("api", include_str!("../../docs/api.md")),
];

/// What a page may load: its style, and nothing else.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Mounts the manual. Before the reference, which takes everything below `/docs/`.
pub fn mount(pages: &mut Operations) {
    pages.page("/docs/manual", bare);
    pages.page("/docs/manual/style.css", style);
    pages.page("/docs/manual/", page);
    pages.page("/docs/manual/{page}", page);
}

async fn bare(_: Anybody) -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((LOCATION, "/docs/manual/")).finish()
}

async fn style(_: Anybody) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/css; charset=utf-8"))
        .body(include_str!("../../assets/manual.css"))
}

async fn page(_: Anybody, request: HttpRequest) -> Result<HttpResponse, Failure> {
    let page = request.match_info().get("page").unwrap_or_default();
    let (name, text) = PAGES.iter().find(|(known, _)| *known == page).ok_or(app::Error::NotFound)?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .body(render(name, text)))
}

/// A page of Markdown as HTML. Links to other pages lose their `.md`, which they have for readers of the repository.
fn render(name: &str, text: &str) -> String {
    let title = text.lines().next().unwrap_or_default().trim_start_matches("# ");
    let events = Parser::new_ext(text, Options::ENABLE_TABLES).map(|event| match event {
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            let dest_url = dest_url.strip_suffix(".md").map_or_else(|| dest_url.clone(), |name| name.to_owned().into());
            Event::Start(Tag::Link { link_type, dest_url, title, id })
        }
        other => other,
    });
    let up = if name.is_empty() { "" } else { "<p><a href=\"./\">The manual</a></p>\n" };
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title} – Gatehouse</title>\n\
         <link rel=\"stylesheet\" href=\"style.css\">\n</head>\n<body>\n<main>\n{up}"
    );
    push_html(&mut html, events);
    html.push_str("</main>\n</body>\n</html>\n");
    html
}
