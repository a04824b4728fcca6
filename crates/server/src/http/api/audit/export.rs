//! Events as a file.

use actix_web::web::Data;
use gatehouse_domain::{audit::AuditEvent, import::Format};
use serde::Serialize;

use crate::{
    app::{self, App, audit::read::AuditExport},
    http::{
        api::audit::AuditEventResponse,
        download::{self, File, FileQuery, Source, texts},
        envelope::{ApiResult, ChangeResponse},
    },
    transfer::table::{json_line, row},
};

texts! {
    /// A line for every event: an `AuditEventResponse` as JSON.
    AuditEventLines: "{\"id\":\"aud_01h455vb4pex5vsknk084sn02q\",\"action\":\"user.updated\"}\n";
    /// A table (RFC 4180) with a head and a row for every event, changes as JSON. What a spreadsheet would take for a
    /// formula has an apostrophe in front.
    AuditEventTable: "id,created_at,action\r\naud_01h455vb4pex5vsknk084sn02q,2026-01-31T09:30:00.000000Z,user.updated\r\n";
}

/// Events on their way into a file.
struct Events {
    app: Data<App>,
    export: AuditExport,
    format: Format,
}

impl Source for Events {
    const NAME: &'static str = "audit-events";

    fn head(&self) -> String {
        match self.format {
            Format::Ndjson => String::new(),
            Format::Csv => row(&HEAD.map(|name| Some(name.to_owned()))),
        }
    }

    async fn next(&mut self) -> app::Result<String> {
        let events = self.app.trail().next(&mut self.export).await?;
        events.into_iter().map(|event| write(self.format, event)).collect()
    }
}

fn write(format: Format, event: AuditEvent) -> app::Result<String> {
    let event = AuditEventResponse::from(event);
    Ok(match format {
        Format::Ndjson => json_line(json(&event)?),
        Format::Csv => row(&cells(event)?),
    })
}

/// The answer with everything that an export finds.
///
/// # Errors
/// As the first batch.
pub async fn respond(
    app: Data<App>,
    query: &FileQuery,
    export: AuditExport,
) -> ApiResult<File<AuditEventLines, AuditEventTable>> {
    let format = query.format();
    download::respond(Events { app, export, format }, format).await
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
