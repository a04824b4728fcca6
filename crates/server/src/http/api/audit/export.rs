//! Events as a file: read batch by batch while it is sent, so that it takes no more memory for many than for few.

use actix_web::{
    HttpResponse,
    http::header::CONTENT_DISPOSITION,
    web::{Bytes, Data},
};
use futures_util::stream;
use gatehouse_domain::{audit::AuditEvent, issue::Fault};
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

use crate::{
    app::{self, App, audit::AuditExport},
    http::{
        api::audit::AuditEventResponse,
        envelope::ApiResult,
        envelope::ChangeResponse,
        input::{Item, query, sentence},
    },
    transfer::table::{json_line, row},
};

/// A form of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditFormat {
    /// A line of JSON for every event.
    Ndjson,
    /// A table with a head.
    Csv,
}

query! {
    /// How events are exported.
    pub struct AuditExportQuery {
        /// The form of the file.
        format: Option<AuditFormat>,
    }
}

/// Declares a text by what it is described as.
macro_rules! texts {
    ($($(#[doc = $doc:literal])* $name:ident: $example:literal;)*) => {$(
        $(#[doc = $doc])*
        #[derive(Debug)]
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .description(Some(sentence(&[$($doc),*])))
                    .examples([serde_json::json!($example)])
                    .into()
            }
        }

        impl ToSchema for $name {}
    )*};
}

texts! {
    /// A line for every event: an `AuditEventResponse` as JSON.
    AuditEventLines: "{\"id\":\"aud_01h455vb4pex5vsknk084sn02q\",\"action\":\"user.updated\"}\n";
    /// A table (RFC 4180) with a head and a row for every event, changes as JSON. What a spreadsheet would take for a
    /// formula has an apostrophe in front.
    AuditEventTable: "id,created_at,action\r\naud_01h455vb4pex5vsknk084sn02q,2026-01-31T09:30:00.000000Z,user.updated\r\n";
}

impl AuditFormat {
    const ALL: [(Self, &'static str); 2] = [(Self::Ndjson, "ndjson"), (Self::Csv, "csv")];

    const fn media_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
        }
    }

    const fn disposition(self) -> &'static str {
        match self {
            Self::Ndjson => "attachment; filename=\"audit-events.ndjson\"",
            Self::Csv => "attachment; filename=\"audit-events.csv\"",
        }
    }

    fn head(self) -> String {
        match self {
            Self::Ndjson => String::new(),
            Self::Csv => row(&HEAD.map(|name| Some(name.to_owned()))),
        }
    }

    fn write(self, event: AuditEvent, to: &mut String) -> app::Result<()> {
        let event = AuditEventResponse::from(event);
        match self {
            Self::Ndjson => to.push_str(&json_line(json(&event)?)),
            Self::Csv => to.push_str(&row(&cells(event)?)),
        }
        Ok(())
    }
}

impl Item for AuditFormat {
    fn read_text(text: &str) -> Result<Self, Fault> {
        let known = Self::ALL.iter().find(|(_, word)| *word == text).map(|(format, _)| *format);
        known.ok_or(Fault::new("enum", "must be one of ndjson, csv"))
    }

    fn schema() -> RefOr<Schema> {
        let words = Self::ALL.map(|(_, word)| word);
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).default(Some("ndjson".into())).into()
    }
}

/// The answer with everything that an export finds. What goes wrong with the first batch is an answer of its own; later
/// the connection ends before the body does, which tells the client that something is missing.
///
/// # Errors
/// As the first batch.
pub async fn respond(app: Data<App>, query: &AuditExportQuery, mut export: AuditExport) -> ApiResult<HttpResponse> {
    let format = query.format.unwrap_or(AuditFormat::Ndjson);
    let first = chunk(&app, &mut export, format, format.head()).await?;
    let rest = stream::try_unfold((app, export), move |(app, mut export)| async move {
        let chunk = chunk(&app, &mut export, format, String::new()).await?;
        Ok::<_, app::Error>((!chunk.is_empty()).then_some((chunk, (app, export))))
    });
    let body = futures_util::StreamExt::chain(stream::iter([Ok(first)]), rest);
    Ok(HttpResponse::Ok()
        .content_type(format.media_type())
        .insert_header((CONTENT_DISPOSITION, format.disposition()))
        .streaming(body))
}

/// The next batch; empty at the end.
async fn chunk(app: &App, export: &mut AuditExport, format: AuditFormat, mut text: String) -> app::Result<Bytes> {
    for event in app.next_audit_events(export).await? {
        format.write(event, &mut text)?;
    }
    Ok(text.into())
}

fn json(value: &impl Serialize) -> app::Result<String> {
    serde_json::to_string(value).map_err(|error| app::Error::Internal(Box::new(error)))
}

const HEAD: [&str; 18] = [
    "id",
    "created_at",
    "tenant_id",
    "partner_id",
    "actor_type",
    "actor_id",
    "actor_session_id",
    "acting_as",
    "action",
    "resource_type",
    "resource_id",
    "result",
    "failure",
    "reason",
    "changes",
    "ip_address",
    "user_agent",
    "request_id",
];

/// What stands in the row of an event, in the order of the head.
fn cells(event: AuditEventResponse) -> app::Result<[Option<String>; HEAD.len()]> {
    let changes: &[ChangeResponse] = &event.changes;
    let changes = if changes.is_empty() { None } else { Some(json(&changes)?) };
    Ok([
        Some(event.id.to_string()),
        Some(event.created_at.to_string()),
        event.tenant_id.map(|id| id.to_string()),
        event.partner_id.map(|id| id.to_string()),
        Some(event.actor.kind),
        event.actor.id.map(|id| id.to_string()),
        event.actor.session_id.map(|id| id.to_string()),
        Some(event.actor.acting_as),
        Some(event.action),
        Some(event.resource.kind),
        event.resource.id,
        Some(event.result),
        event.failure,
        event.reason,
        changes,
        event.ip_address,
        event.user_agent,
        event.request_id,
    ])
}
