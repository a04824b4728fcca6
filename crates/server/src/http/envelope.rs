//! The shapes of answers: one object, a list, a bare object, nothing.

mod described;

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse, Responder,
    body::BoxBody,
    http::{StatusCode, header::LINK},
};
use gatehouse_domain::{audit::FieldChange, session::Effects, time::Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::effects::Mode,
    http::{context::RequestContext, extract::page::Paging, problem::Failure},
};

/// What a handler returns.
pub type ApiResult<T> = Result<T, Failure>;

/// About the answer itself.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MetaResponse {
    /// The id of the request, as in the header `X-Request-Id`.
    #[schema(max_length = 128, example = "0198c5d2e8f47b7c9d0a1b2c3d4e5f60")]
    pub request_id: String,
    /// When the request was answered.
    #[schema(inline)]
    pub timestamp: Timestamp,
    /// The header `ETag`, as it is sent, where there is one: for `If-Match` and `If-None-Match`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, max_length = 100, example = r#""kv7r2Qm0Xw3nLb9c""#)]
    pub etag: Option<String>,
    /// What the change ended, or would end; only where a change can end something.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = EffectsResponse, required = false)]
    pub effects: Option<EffectsResponse>,
    /// What holds after a change of settings and did not before; only there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<ChangeResponse>, required = false, max_items = 100)]
    pub changes: Option<Vec<ChangeResponse>>,
}

/// A field that changed. Texts are as they are, other values are written as JSON.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ChangeResponse {
    /// The field; a part of an object has its path.
    #[schema(max_length = 1024, example = "display_name")]
    pub field: String,
    /// What it was; null where there was nothing.
    #[schema(required = true, max_length = 65536)]
    pub old: Option<String>,
    /// What it is; null where there is nothing.
    #[schema(required = true, max_length = 65536, example = "Ada Lovelace")]
    pub new: Option<String>,
}

impl From<FieldChange> for ChangeResponse {
    fn from(FieldChange { field, old, new }: FieldChange) -> Self {
        Self { field, old, new }
    }
}

/// What a change ended, or would end.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct EffectsResponse {
    /// How many users are signed out somewhere.
    #[schema(minimum = 0, example = 12)]
    pub users: u64,
    /// How many sessions end.
    #[schema(minimum = 0, example = 31)]
    pub sessions: u64,
    /// How many chains of refresh tokens end: one for each session.
    #[schema(minimum = 0, example = 31)]
    pub refresh_chains: u64,
    /// How many applications these sessions were used with.
    #[schema(minimum = 0, example = 2)]
    pub applications: u64,
}

impl From<Effects> for EffectsResponse {
    fn from(Effects { users, sessions, applications }: Effects) -> Self {
        Self { users, sessions, refresh_chains: sessions, applications }
    }
}

/// Where in a list the answer lies.
#[derive(Debug, Serialize, ToSchema)]
pub struct PaginationMeta {
    /// The number of the page, from 1.
    #[schema(minimum = 1, example = 1)]
    pub page: u32,
    /// How many items a page has.
    #[schema(minimum = 1, maximum = 200, example = 50)]
    pub per_page: u32,
    /// How many items the list has, exactly, as far as the caller may see them.
    #[schema(minimum = 0, example = 1)]
    pub total_items: u64,
    /// How many pages the list has; 0 if there are no items.
    #[schema(minimum = 0, example = 1)]
    pub total_pages: u64,
    /// Leads to the next page; null at the end.
    #[schema(required = true, max_length = 1024)]
    pub next_cursor: Option<String>,
}

#[derive(Serialize)]
struct Enveloped<'a, T> {
    data: &'a T,
    #[serde(skip_serializing_if = "Option::is_none")]
    pagination: Option<PaginationMeta>,
    meta: MetaResponse,
}

/// The entity tag of the answer to a request, for those who do not see headers.
#[derive(Debug)]
pub(super) struct EntityTag(pub String);

/// What an answer to a request says of itself.
#[must_use]
pub fn meta(request: &HttpRequest) -> MetaResponse {
    let of = |state: &RequestContext| MetaResponse {
        request_id: state.id.to_string(),
        timestamp: state.now,
        etag: request.extensions().get().map(|EntityTag(tag)| tag.clone()),
        effects: None,
        changes: None,
    };
    RequestContext::with(request, of)
}

/// What can become bytes without the request that it answers.
pub trait Render {
    /// The status and the body.
    fn render(&self, meta: MetaResponse) -> (StatusCode, Vec<u8>);
}

fn respond(request: &HttpRequest, answer: &impl Render) -> HttpResponse {
    match answer.render(meta(request)) {
        (status, body) if body.is_empty() => HttpResponse::new(status),
        (status, body) => HttpResponse::build(status).content_type("application/json").body(body),
    }
}

/// The bytes of a body. What is shown has texts for keys and no numbers that JSON lacks, so nothing is lost.
fn bytes(body: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(SMALL);
    serde_json::to_writer(&mut bytes, body).map(|()| bytes).unwrap_or_default()
}

/// What most bodies fit into.
const SMALL: usize = 1024;

fn json(status: StatusCode, body: &impl Serialize) -> HttpResponse {
    match serde_json::to_vec(body) {
        Ok(bytes) => HttpResponse::build(status).content_type("application/json").body(bytes),
        Err(error) => HttpResponse::from_error(Failure::App(crate::app::Error::Internal(Box::new(error)))),
    }
}

/// One object: `{"data": …, "meta": …}`.
#[derive(Debug)]
pub struct ApiResponse<T>(pub T);

/// One object that was made: the same, with status 201.
#[derive(Debug)]
pub struct Created<T>(pub T);

/// One object, and what its change ended: the first with `meta.effects`.
#[derive(Debug)]
pub struct WithEffects<T>(pub T, pub Effects);

/// The settings of a level, what holds there now, and which sessions that ended: the second with `meta.changes`.
#[derive(Debug)]
pub struct WithChanges<T>(pub T, pub Vec<FieldChange>, pub Effects);

/// A bare object, where a protocol asks for one.
#[derive(Debug)]
pub struct Bare<T>(pub T);

/// A bare object for what will be done: status 202.
#[derive(Debug)]
pub struct Accepted<T>(pub T);

/// One object for what will be done: the first with status 202.
#[derive(Debug)]
pub struct Queued<T>(pub T);

/// Nothing: status 204.
#[derive(Debug)]
pub struct NoContent;

/// A deletion: nothing, or what it would take if it is only tried.
#[derive(Debug)]
pub enum Removal<T> {
    /// It was done.
    Done,
    /// It would take this, and end that.
    Tried(T, Effects),
}

impl<T> Removal<T> {
    /// The answer to a deletion that was made in this mode.
    pub fn of<U: Into<T>>(mode: Mode, (taken, effects): (U, Effects)) -> Self {
        match mode {
            Mode::Real => Self::Done,
            Mode::DryRun => Self::Tried(taken.into(), effects),
        }
    }
}

/// A page of a list.
#[derive(Debug)]
pub struct PaginatedResponse<T> {
    /// The items.
    pub items: Vec<T>,
    /// What was asked for, and what is known of the list.
    pub paging: Paging,
}

impl<T: Serialize> Render for ApiResponse<T> {
    fn render(&self, meta: MetaResponse) -> (StatusCode, Vec<u8>) {
        (StatusCode::OK, bytes(&Enveloped { data: &self.0, pagination: None, meta }))
    }
}

impl<T: Serialize> Responder for ApiResponse<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        respond(request, &self)
    }
}

impl<T: Serialize> Render for Created<T> {
    fn render(&self, meta: MetaResponse) -> (StatusCode, Vec<u8>) {
        (StatusCode::CREATED, bytes(&Enveloped { data: &self.0, pagination: None, meta }))
    }
}

impl<T: Serialize> Responder for Created<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        respond(request, &self)
    }
}

impl<T: Serialize> Render for WithEffects<T> {
    fn render(&self, meta: MetaResponse) -> (StatusCode, Vec<u8>) {
        let meta = MetaResponse { effects: Some(self.1.into()), ..meta };
        (StatusCode::OK, bytes(&Enveloped { data: &self.0, pagination: None, meta }))
    }
}

impl<T: Serialize> Responder for WithEffects<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        respond(request, &self)
    }
}

impl<T: Serialize> Responder for WithChanges<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let changes = self.1.into_iter().map(ChangeResponse::from).collect();
        let meta = MetaResponse { effects: Some(self.2.into()), changes: Some(changes), ..meta(request) };
        json(StatusCode::OK, &Enveloped { data: &self.0, pagination: None, meta })
    }
}

impl<T: Serialize> Responder for Bare<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        json(StatusCode::OK, &self.0)
    }
}

impl<T: Serialize> Render for Accepted<T> {
    fn render(&self, _: MetaResponse) -> (StatusCode, Vec<u8>) {
        (StatusCode::ACCEPTED, bytes(&self.0))
    }
}

impl<T: Serialize> Responder for Accepted<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        respond(request, &self)
    }
}

impl<T: Serialize> Render for Queued<T> {
    fn render(&self, meta: MetaResponse) -> (StatusCode, Vec<u8>) {
        (StatusCode::ACCEPTED, bytes(&Enveloped { data: &self.0, pagination: None, meta }))
    }
}

impl<T: Serialize> Responder for Queued<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        respond(request, &self)
    }
}

impl Render for NoContent {
    fn render(&self, _: MetaResponse) -> (StatusCode, Vec<u8>) {
        (StatusCode::NO_CONTENT, Vec::new())
    }
}

impl Responder for NoContent {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        respond(request, &self)
    }
}

impl<T: Serialize> Responder for Removal<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        match self {
            Self::Done => NoContent.respond_to(request),
            Self::Tried(taken, effects) => WithEffects(taken, effects).respond_to(request),
        }
    }
}

impl<T: Serialize> Responder for PaginatedResponse<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let body = Enveloped { data: &self.items, pagination: Some(self.paging.meta()), meta: meta(request) };
        let mut response = json(StatusCode::OK, &body);
        if let Ok(link) = self.paging.links(request.path()).try_into() {
            response.headers_mut().insert(LINK, link);
        }
        response
    }
}
