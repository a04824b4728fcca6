//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): every operation that makes or ends something can be
//! repeated when its answer was lost. Only after the caller was found to be allowed, so that a kept answer is not shown
//! to somebody who may no longer see it; and where nobody is signed in there are no keys.

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse, Responder,
    body::BoxBody,
    http::{
        Method, StatusCode,
        header::{HeaderMap, HeaderName, HeaderValue},
    },
};
use aws_lc_rs::digest::{SHA256, digest};
use gatehouse_domain::issue::{Fault, Issues};

use crate::{
    app::{
        self, App,
        request::{
            client::RequestMeta,
            idempotency::{IdempotencyKey, StoreResponse, StoredResponse},
        },
    },
    http::{
        context::RequestContext,
        envelope::{ApiResult, Render, meta},
        operation::{About, CONFLICT, Describe},
        problem::Failure,
        request::ChangeRequest,
    },
};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const KEY_MAX: usize = 255;

/// The digest of a body that was read.
struct BodyDigest(Vec<u8>);

/// Remembers what a body was, if that may be asked for.
pub fn remember_body(request: &HttpRequest, bytes: &[u8]) {
    if request.headers().contains_key(&KEY) {
        remember_digest(request, digest(&SHA256, bytes).as_ref());
    }
}

/// The same of a body that is not held as a whole.
pub fn remember_digest(request: &HttpRequest, digest: &[u8]) {
    request.extensions_mut().insert(BodyDigest(digest.to_vec()));
}

/// A request under a key.
#[derive(Debug)]
pub struct Keyed {
    request: HttpRequest,
    key: String,
}

impl Keyed {
    /// The key of a request, if it has one.
    ///
    /// # Errors
    /// When it is none: a request that was to happen once is not carried out without.
    pub fn of(request: &HttpRequest) -> Result<Option<Self>, Failure> {
        if *request.method() != Method::POST {
            return Ok(None);
        }
        let key = read(request.headers())
            .map_err(|fault| Issues::from(fault.at(vec!["header".into(), "Idempotency-Key".into()])))?;
        Ok(key.map(|key| Self { request: request.clone(), key }))
    }

    /// What the request is known by. The body has been read.
    fn key(&self, app: &App) -> Result<IdempotencyKey, Failure> {
        let request = &self.request;
        let known = |state: &RequestContext| state.actor().map(|actor| (actor.id(), actor.opens()));
        let (actor, opens) = RequestContext::with(request, known)?;
        let (actor, home) = actor.ok_or(app::Error::Unauthenticated)?;
        let named = [request.method().as_str(), request.path(), self.key.as_str(), &opens].join("\0");
        let body = request.extensions().get::<BodyDigest>().map(|digest| digest.0.clone()).unwrap_or_default();
        let asked = [request.query_string().as_bytes(), &[0], &body].concat();
        Ok(app.idempotency().key(actor, home.map(|home| home.id), named.as_bytes(), &asked))
    }
}

fn read(headers: &HeaderMap) -> Result<Option<String>, Fault> {
    let mut values = headers.get_all(&KEY);
    let Some(value) = values.next() else { return Ok(None) };
    let fits = |text: &&str| (1..=KEY_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    match (value.to_str().ok().filter(fits), values.next()) {
        (Some(text), None) => Ok(Some(text.to_owned())),
        _ => Err(Fault::new("idempotency_key", "must be one text of 1 to 255 visible ASCII characters")),
    }
}

/// An answer, or the one that the request got before.
#[derive(Debug)]
pub enum Idempotent<R> {
    /// The answer.
    Fresh(R),
    /// The one of before.
    Replayed(StoredResponse),
}

impl<R: Responder<Body = BoxBody>> Responder for Idempotent<R> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        match self {
            Self::Fresh(answer) => answer.respond_to(request),
            Self::Replayed(StoredResponse { status, body }) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let mut response = HttpResponse::build(status);
                response.insert_header((REPLAYED, HeaderValue::from_static("true")));
                if body.is_empty() { response.finish() } else { response.content_type("application/json").body(body) }
            }
        }
    }
}

impl<R: Describe> Describe for Idempotent<R> {
    fn describe(about: &mut About) {
        R::describe(about);
        about.fails(&[CONFLICT]);
    }
}

impl ChangeRequest {
    /// Does what is asked for, once: a request under a key that has been answered gets that answer again. Whatever `run`
    /// changes, it changes by `Idempotency::write`.
    ///
    /// # Errors
    /// Those of `run`; and those of keys.
    pub async fn idempotent<T, R>(
        self,
        app: &App,
        run: impl AsyncFnOnce(&RequestMeta) -> app::Result<T>,
        show: fn(T) -> R,
    ) -> ApiResult<Idempotent<R>>
    where
        T: Clone + 'static,
        R: Render + 'static,
    {
        let Some(keyed) = &self.keyed else { return Ok(Idempotent::Fresh(show(run(&self.meta).await?))) };
        let key = keyed.key(app)?;
        let _in_flight = app.idempotency().in_flight(&key.key)?;
        if let Some(kept) = app.idempotency().stored_response(&key).await? {
            return Ok(Idempotent::Replayed(kept));
        }
        let envelope = meta(&keyed.request);
        let answer = move |result: &T| {
            let (status, body) = show(result.clone()).render(envelope.clone());
            StoredResponse { status: status.as_u16(), body }
        };
        let meta = RequestMeta { store_response: Some(StoreResponse::new(key, answer)), ..self.meta.clone() };
        match run(&meta).await {
            Ok(result) => Ok(Idempotent::Fresh(show(result))),
            // Another replica may have been faster: then what it made is why this failed.
            Err(error) => match app.idempotency().stored_response(&key).await {
                Ok(Some(kept)) => Ok(Idempotent::Replayed(kept)),
                Ok(None) | Err(_) => Err(error.into()),
            },
        }
    }
}
