//! Files as bodies: taken while they come, and never held as a whole.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, dev::Payload, http::header::CONTENT_LENGTH, web::Data};
use aws_lc_rs::digest::{Context, SHA256};
use futures_util::StreamExt;
use gatehouse_domain::{
    authz::{Grant, WriteUsers},
    id::TenantId,
    import::Format,
    issue::{Fault, Issues},
};

use crate::{
    app::{App, transfer::uploads::Upload},
    http::{
        Site,
        body::in_time,
        download::texts,
        extract::valid::{is_encoded, issue, media_type},
        idempotency::remember_digest,
        operation::{About, Describe, described},
        problem::Failure,
    },
};

/// The largest file that is taken.
pub const MAX_FILE: u64 = 16 << 20;
/// How much must come within the time that a whole body has elsewhere.
const AT_ONCE: usize = 256 << 10;

texts! {
    /// With the form `ndjson` a line for every user, of at most 64 KiB: a JSON object with `email` and perhaps `username`,
    /// `email_verified`, `display_name`, `phone`, `status`, `attributes`, `password_hash`, `created_at`. With `csv` a table
    /// (RFC 4180) with a head that names such columns, in any order, and a row for every user; an apostrophe in front of
    /// what a spreadsheet would take for a formula is none of the text.
    UserImportFile: "{\"username\":\"ada\",\"email\":\"ada@example.com\",\"email_verified\":true}\n";
}

/// A file of users, before it has been read.
pub struct UserFile {
    request: HttpRequest,
    payload: Payload,
    /// What the media type says of its form.
    named: Option<Format>,
}

impl std::fmt::Debug for UserFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UserFile({:?})", self.named)
    }
}

const OTHER: Failure = Failure::UnsupportedMediaType("application/octet-stream, application/x-ndjson or text/csv");

/// The form that the media type of a request names.
fn named(request: &HttpRequest) -> Result<Option<Format>, Failure> {
    let declared = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match media_type(request).as_deref() {
        _ if is_encoded(request) => Err(OTHER),
        _ if declared.is_some_and(|length| length > MAX_FILE) => Err(Failure::PayloadTooLarge),
        Some("application/x-ndjson") => Ok(Some(Format::Ndjson)),
        Some("text/csv") => Ok(Some(Format::Csv)),
        // Generated clients send bytes so, some of them without a type.
        Some("application/octet-stream") | None => Ok(None),
        Some(_) => Err(OTHER),
    }
}

impl FromRequest for UserFile {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        ready(named(&request).map(|named| Self { request, payload, named }))
    }
}

impl Describe for UserFile {
    const TAKES_FILE: bool = true;

    fn describe(about: &mut About) {
        about.body(&[("application/octet-stream", described::<UserImportFile>)]);
    }
}

impl UserFile {
    /// Takes the file for a tenant. Its form is the one that is asked for, else that of the media type, else NDJSON.
    ///
    /// # Errors
    /// Those of [`Uploads::begin`](crate::app::transfer::Uploads::begin), and when it is too large, too slow, empty, or its
    /// media type names another form than the one that is asked for.
    pub async fn take(
        mut self,
        app: &App,
        grant: &Grant<WriteUsers>,
        tenant: TenantId,
        asked: Option<Format>,
    ) -> Result<(Upload, Format), Failure> {
        let format = match (asked, self.named) {
            (Some(asked), Some(named)) if asked != named => {
                let fault = Fault::new("media_type_mismatch", "must be the form that Content-Type names");
                return Err(Issues::from(fault.at(vec!["query".into(), "format".into()])).into());
            }
            (asked, named) => asked.or(named).unwrap_or(Format::Ndjson),
        };
        let mut upload = app.uploads().begin(grant, tenant).await?;
        match self.fill(app, &mut upload, format).await {
            Ok(()) => Ok((upload, format)),
            Err(failure) => {
                app.uploads().discard(upload).await;
                Err(failure)
            }
        }
    }

    async fn fill(&mut self, app: &App, upload: &mut Upload, format: Format) -> Result<(), Failure> {
        let Some(site) = self.request.app_data::<Data<Site>>() else { unreachable!("the site is part of every route") };
        let (limit, mut length, mut digest) = (site.body_timeout, 0, Context::new(&SHA256));
        loop {
            let bytes = in_time(limit, some(&mut self.payload)).await?;
            length += bytes.len() as u64;
            if length == 0 {
                return Err(issue("missing", "a file is required"));
            }
            if bytes.is_empty() {
                // The same bytes are another request as another form.
                digest.update(format.as_str().as_bytes());
                remember_digest(&self.request, digest.finish().as_ref());
                app.uploads().end(upload).await?;
                return Ok(());
            }
            if length > MAX_FILE {
                return Err(Failure::PayloadTooLarge);
            }
            digest.update(&bytes);
            app.uploads().take(upload, &bytes).await?;
        }
    }
}

/// The next part of a body; nothing at its end.
async fn some(payload: &mut Payload) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    while bytes.len() < AT_ONCE {
        let Some(chunk) = payload.next().await else { break };
        bytes.extend_from_slice(&chunk.map_err(|_| issue("body_unreadable", "could not be read"))?);
    }
    Ok(bytes)
}
