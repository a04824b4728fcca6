//! The manual: the pages of `crates/server/docs`, as they stand in the repository, served beside the reference.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CONTENT_TYPE, LOCATION},
};
use askama::Template;
use pulldown_cmark::{Event, Options, Parser, Tag, html::push_html};

use crate::{
    app,
    http::{
        extract::access::Anybody,
        operation::Operations,
        page::{self, READ},
        problem::Failure,
    },
};

/// The address of a page and its Markdown. The first one is what the address without a name shows.
pub const PAGES: &[(&str, &str)] = &[
    ("", include_str!("../../docs/README.md")),
    ("first-steps", include_str!("../../docs/first-steps.md")),
    ("configuration", include_str!("../../docs/configuration.md")),
    ("settings", include_str!("../../docs/settings.md")),
    ("applications", include_str!("../../docs/applications.md")),
    ("sign-in", include_str!("../../docs/sign-in.md")),
    ("mail", include_str!("../../docs/mail.md")),
    ("postgresql", include_str!("../../docs/postgresql.md")),
    ("moving", include_str!("../../docs/moving.md")),
    ("operations", include_str!("../../docs/operations.md")),
    ("api", include_str!("../../docs/api.md")),
];

#[derive(Template)]
#[template(path = "manual.html")]
struct ManualPage {
    title: &'static str,
    is_first: bool,
    /// Made of our own Markdown.
    text: String,
}

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
    let asked = request.match_info().get("page").unwrap_or_default();
    let (name, text) = PAGES.iter().find(|(known, _)| *known == asked).ok_or(app::Error::NotFound)?;
    page::page(&render(name, text), READ)
}

/// A page of Markdown as HTML. Links to other pages lose their `.md`, which they have for readers of the repository.
fn render(name: &str, text: &'static str) -> ManualPage {
    let title = text.lines().next().unwrap_or_default().trim_start_matches("# ");
    let events = Parser::new_ext(text, Options::ENABLE_TABLES).map(|event| match event {
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            let dest_url = dest_url.strip_suffix(".md").map_or_else(|| dest_url.clone(), |name| name.to_owned().into());
            Event::Start(Tag::Link { link_type, dest_url, title, id })
        }
        other => other,
    });
    let mut html = String::new();
    push_html(&mut html, events);
    // What scrolls is reached by keyboard, too.
    for (what, reached) in [("<pre>", "<pre tabindex=\"0\">"), ("<table>", "<table tabindex=\"0\">")] {
        html = html.replace(what, reached);
    }
    ManualPage { title, is_first: name.is_empty(), text: html }
}
