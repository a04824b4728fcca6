//! Requests on condition (RFC 9110 section 13): a change that is made only if nobody made another one meanwhile, and an
//! answer that is sent only if it is another one.
//!
//! An entity tag has two halves. The first names the version of what can be changed, the second the whole answer, with
//! what happens by itself, such as the last sign-in, and proves that the tag was given out. `If-Match` takes each tag that
//! was given out for the version: whoever changes a user need not care that the user signed in meanwhile.
//! `If-None-Match` compares both halves, so that nobody misses anything.

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse, Responder,
    body::BoxBody,
    http::{
        Method, StatusCode,
        header::{ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH},
    },
    web::Data,
};
use gatehouse_domain::{
    application::Application,
    issue::{Fault, Issues},
    partner::Partner,
    role::{Assignment, Role},
    session::Effects,
    tenant::Tenant,
    user::{UserDetail, UserView},
};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use uuid::Uuid;

use crate::{
    app::{
        App, Error,
        authority::roles::AnyRole,
        request::{client::Condition, entity_tags},
        settings::Decided,
    },
    http::{
        envelope::{ApiResponse, EntityTag, WithChanges, WithEffects},
        operation::{About, Describe},
        problem::Failure,
    },
};

/// The most tags that a header may list.
const TAGS_MAX: usize = 32;
/// The most bytes that such a header may have.
const HEADER_MAX: usize = 4096;

/// Something whose changes are counted.
pub trait Revision {
    /// Its id, and how often it was changed.
    fn revision(&self) -> (Uuid, i64);
}

impl Revision for Application {
    fn revision(&self) -> (Uuid, i64) {
        (self.id.uuid(), self.version)
    }
}

impl Revision for Partner {
    fn revision(&self) -> (Uuid, i64) {
        (self.id.uuid(), self.version)
    }
}

impl Revision for Tenant {
    fn revision(&self) -> (Uuid, i64) {
        (self.id.uuid(), self.version)
    }
}

impl Revision for Role {
    fn revision(&self) -> (Uuid, i64) {
        (self.id.uuid(), self.version)
    }
}

impl Revision for Assignment {
    fn revision(&self) -> (Uuid, i64) {
        (self.id.uuid(), self.version)
    }
}

impl Revision for &UserView {
    fn revision(&self) -> (Uuid, i64) {
        (self.user.id.uuid(), self.user.version)
    }
}

impl Revision for UserDetail {
    fn revision(&self) -> (Uuid, i64) {
        (self.view.user.id.uuid(), self.view.user.version)
    }
}

impl Revision for Decided {
    fn revision(&self) -> (Uuid, i64) {
        self.revision
    }
}

impl Revision for AnyRole {
    fn revision(&self) -> (Uuid, i64) {
        match self {
            Self::Builtin(role) => (role.id().uuid(), 0),
            Self::Custom(role) => role.revision(),
        }
    }
}

/// What names a version: the random half of the id, and the number of changes. The settings of something change with it,
/// and have tags of their own: one says nothing of the other's fields.
fn version_bytes(of_settings: bool, (id, version): (Uuid, i64)) -> [u8; 16] {
    let (_, random) = id.as_u64_pair();
    let of_settings = u128::from(of_settings) << 63;
    (u128::from(random) << 64 | of_settings | u128::from(version.cast_unsigned())).to_be_bytes()
}

fn is_about_settings(request: &HttpRequest) -> bool {
    request.path().ends_with("/settings")
}

fn app(request: &HttpRequest) -> &App {
    let Some(app) = request.app_data::<Data<App>>() else { unreachable!("the application is part of every route") };
    app
}

/// An answer with one thing that has versions.
#[derive(Debug)]
pub struct Versioned<R>(R, (Uuid, i64));

impl<T> Versioned<ApiResponse<T>> {
    /// The thing as it is.
    pub fn one<S: Revision>(source: S, show: impl FnOnce(S) -> T) -> Self {
        let revision = source.revision();
        Self(ApiResponse(show(source)), revision)
    }
}

impl<T> Versioned<WithChanges<T>> {
    /// The thing as it has become, and what follows.
    pub fn of<S: Revision>(source: S, show: impl FnOnce(S) -> WithChanges<T>) -> Self {
        let revision = source.revision();
        Self(show(source), revision)
    }
}

impl<T> Versioned<WithEffects<T>> {
    /// The thing as it has become.
    pub fn changed<S: Revision>(source: S, effects: Effects, show: impl FnOnce(S) -> T) -> Self {
        let revision = source.revision();
        Self(WithEffects(show(source), effects), revision)
    }
}

/// An answer with data, which are written once: for the answer, and for its tag.
pub trait Answers {
    /// What the data are.
    type Data: Serialize;
    /// The same answer with data that are written.
    type Written: Responder<Body = BoxBody>;
    /// The data, and what makes the answer of them when they are written.
    fn split(self) -> (Self::Data, impl FnOnce(Box<RawValue>) -> Self::Written);
}

impl<T: Serialize> Answers for ApiResponse<T> {
    type Data = T;
    type Written = ApiResponse<Box<RawValue>>;

    fn split(self) -> (T, impl FnOnce(Box<RawValue>) -> Self::Written) {
        (self.0, ApiResponse)
    }
}

impl<T: Serialize> Answers for WithChanges<T> {
    type Data = T;
    type Written = WithChanges<Box<RawValue>>;

    fn split(self) -> (T, impl FnOnce(Box<RawValue>) -> Self::Written) {
        (self.0, move |data| WithChanges(data, self.1, self.2))
    }
}

impl<T: Serialize> Answers for WithEffects<T> {
    type Data = T;
    type Written = WithEffects<Box<RawValue>>;

    fn split(self) -> (T, impl FnOnce(Box<RawValue>) -> Self::Written) {
        (self.0, move |data| WithEffects(data, self.1))
    }
}

impl<R: Answers> Responder for Versioned<R> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let Self(answer, revision) = self;
        if length(request.headers(), &IF_NONE_MATCH) > HEADER_MAX {
            let fault = Fault::new("string_too_long", "must have at most 4096 characters");
            let issues = Issues::from(fault.at(vec!["header".into(), "If-None-Match".into()]));
            return HttpResponse::from_error(Failure::from(issues));
        }
        let (data, answer) = answer.split();
        let data = match to_raw_value(&data) {
            Ok(data) => data,
            Err(error) => return HttpResponse::from_error(Failure::from(Error::Internal(Box::new(error)))),
        };
        let tag = app(request)
            .entity_tags()
            .write(version_bytes(is_about_settings(request), revision), data.get().as_bytes());
        let shown = format!("\"{tag}\"");
        request.extensions_mut().insert(EntityTag(shown.clone()));
        let known = || Tags::read(request.headers(), &IF_NONE_MATCH).ok().flatten();
        let mut response = match (request.method(), known()) {
            (&Method::GET, Some(known)) if known.has(|other| other == tag) => {
                HttpResponse::new(StatusCode::NOT_MODIFIED)
            }
            _ => answer(data).respond_to(request),
        };
        if let Ok(tag) = HeaderValue::try_from(shown) {
            response.headers_mut().insert(ETAG, tag);
        }
        response
    }
}

impl<R: Describe> Describe for Versioned<R> {
    fn describe(about: &mut About) {
        R::describe(about);
    }
}

/// What a request demands of what it changes.
///
/// # Errors
/// When `If-Match` cannot be read: a change that was to depend on something is not made without.
pub fn condition(request: &HttpRequest) -> Result<Option<Condition>, Failure> {
    if !matches!(*request.method(), Method::PATCH | Method::DELETE) {
        return Ok(None);
    }
    let fault = || Fault::new("entity_tags", "must be * or a list of quoted entity tags");
    let read = Tags::read(request.headers(), &IF_MATCH);
    let tags = read.map_err(|Unreadable| Issues::from(fault().at(vec!["header".into(), "If-Match".into()])))?;
    let ours = app(request).entity_tags();
    let of_settings = is_about_settings(request);
    Ok(tags.map(|mut tags| {
        if let Tags::Listed(tags) = &mut tags {
            // A weak tag is none that a change could depend on (section 13.1.1).
            tags.retain(|(tag, is_weak)| !*is_weak && ours.is_ours(tag));
        }
        Condition::new(move |id, version| {
            tags.has(|tag| entity_tags::names(tag, version_bytes(of_settings, (id, version))))
        })
    }))
}

/// The value of `If-Match` or `If-None-Match`.
#[derive(Debug, PartialEq, Eq)]
enum Tags {
    /// Whatever is there.
    Any,
    /// These, and whether each is weak.
    Listed(Vec<(String, bool)>),
}

/// It is no list of entity tags.
#[derive(Debug, PartialEq, Eq)]
struct Unreadable;

fn length(headers: &HeaderMap, name: &HeaderName) -> usize {
    headers.get_all(name).map(HeaderValue::len).sum()
}

impl Tags {
    fn read(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Self>, Unreadable> {
        let mut listed = Vec::new();
        if length(headers, name) > HEADER_MAX {
            return Err(Unreadable);
        }
        let mut values = headers.get_all(name).peekable();
        if values.peek().is_none() {
            return Ok(None);
        }
        for value in values {
            let text = value.to_str().map_err(|_| Unreadable)?.trim();
            if text == "*" && headers.get_all(name).count() == 1 {
                return Ok(Some(Self::Any));
            }
            let mut rest = text;
            while !rest.is_empty() {
                let is_weak = rest.starts_with("W/");
                let quoted = if is_weak { &rest[2..] } else { rest };
                let (tag, after) = quoted.strip_prefix('"').and_then(|tag| tag.split_once('"')).ok_or(Unreadable)?;
                if tag.bytes().any(|b| b <= b' ' || b == 0x7f) || listed.len() == TAGS_MAX {
                    return Err(Unreadable);
                }
                listed.push((tag.to_owned(), is_weak));
                let after = after.trim_start();
                rest = match after.strip_prefix(',') {
                    Some(next) => next.trim_start_matches([' ', '\t', ',']),
                    None if after.is_empty() => after,
                    None => return Err(Unreadable),
                };
            }
        }
        if listed.is_empty() { Err(Unreadable) } else { Ok(Some(Self::Listed(listed))) }
    }

    fn has(&self, matches: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(tags) => tags.iter().any(|(tag, _)| matches(tag)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Result<Option<Tags>, Unreadable> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IF_MATCH, HeaderValue::from_str(value).unwrap());
        }
        Tags::read(&headers, &IF_MATCH)
    }

    #[test]
    fn tags_are_read_as_they_may_be_written() {
        let listed =
            |tags: &[(&str, bool)]| Ok(Some(Tags::Listed(tags.iter().map(|(t, w)| ((*t).to_owned(), *w)).collect())));
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[" * "]), Ok(Some(Tags::Any)));
        assert_eq!(read(&["\"a\""]), listed(&[("a", false)]));
        assert_eq!(read(&["\"a,b\" ,W/\"c\",, \"\""]), listed(&[("a,b", false), ("c", true), ("", false)]));
        assert_eq!(read(&["\"a\"", "\"b\""]), listed(&[("a", false), ("b", false)]));
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "",
            "a",
            "\"a",
            "a\"",
            "w/\"a\"",
            "\"a\" \"b\"",
            "*, \"a\"",
            "\"a\", *",
            "\"a b\"",
            ",",
            &"\"a\",".repeat(33),
            &format!("\"{}\"", "a".repeat(HEADER_MAX)),
        ] {
            assert_eq!(read(&[bad]), Err(Unreadable), "{bad}");
        }
        assert_eq!(read(&["*", "*"]), Err(Unreadable));
    }
}
