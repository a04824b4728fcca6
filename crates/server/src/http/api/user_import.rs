//! Imports of users as the API shows them, and users as files.

use actix_web::{
    HttpRequest, HttpResponse, Responder,
    body::BoxBody,
    http::header::{HeaderValue, LOCATION},
    web::Data,
};
use gatehouse_domain::{
    authz::{ActorId, Grant, ReadUsers, WriteUsers},
    id::{JobId, TenantId},
    import::{Counts, Format, Import, OnConflict, Order},
    issue::Fault,
    page::Direction,
    time::Timestamp,
};
use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

use crate::{
    app::{
        self, App,
        transfer::{
            exports::UserExport,
            imports::{LineFault, Rejected},
        },
    },
    http::{
        download::{self, File, FileFormat, FileQuery, Source, texts},
        envelope::{ApiResponse, ApiResult, PaginatedResponse, Queued},
        extract::{file::UserFile, page::Sort},
        idempotency::Idempotent,
        operation::{About, Describe},
        request::ChangeRequest,
    },
    input::{At, Field, Flag, Raw, input, text},
    transfer,
};

/// A page of imports.
pub type UserImportPage = PaginatedResponse<UserImportResponse>;
/// One import.
pub type OneUserImport = ApiResponse<UserImportResponse>;
/// A page of rejected lines.
pub type UserImportRejectPage = PaginatedResponse<UserImportRejectResponse>;

/// An import of users into a tenant.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct UserImportResponse {
    /// Its id.
    #[schema(inline)]
    pub id: JobId,
    /// The tenant.
    #[schema(inline)]
    pub tenant_id: TenantId,
    /// Where it stands: `queued`, `running`, `completed`, `failed` or `cancelled`.
    #[schema(max_length = 32, example = "running")]
    pub state: String,
    /// Why it cannot go on, as a slug: `not_allowed` if who asked for it may not do so any more, `too_many_rejected`
    /// beyond 10,000 lines, `column_unknown`, `row_unending` or `file_unreadable`; null unless it failed.
    #[schema(required = true, max_length = 32)]
    pub failure: Option<String>,
    /// The form of the file: `ndjson` or `csv`; null if it came by the command line.
    #[schema(required = true, max_length = 32)]
    pub format: Option<String>,
    /// What happens to a line whose user name or address is taken: `fail`, `skip`, or by the command line also `update`.
    #[schema(max_length = 32, example = "fail")]
    pub on_conflict: String,
    /// Whether it is only tried: the counts say what would be.
    pub dry_run: bool,
    /// How many lines made a user.
    #[schema(minimum = 0, example = 500)]
    pub created: u64,
    /// How many lines changed a user; only by the command line.
    #[schema(minimum = 0, example = 0)]
    pub updated: u64,
    /// How many lines were passed over.
    #[schema(minimum = 0, example = 0)]
    pub skipped: u64,
    /// How many lines were rejected.
    #[schema(minimum = 0, example = 0)]
    pub rejected: u64,
    /// Who asked for it; null if that was an operator at the command line, or one whom the reader does not administer.
    #[schema(required = true, inline)]
    pub created_by: Option<ActorId>,
    /// When it was asked for.
    #[schema(inline)]
    pub created_at: Timestamp,
    /// When it last got on.
    #[schema(inline)]
    pub updated_at: Timestamp,
}

impl From<Import> for UserImportResponse {
    fn from(import: Import) -> Self {
        let Import {
            id,
            tenant,
            on_conflict,
            format,
            dry_run,
            asker,
            state,
            failure,
            forget_at: _,
            digest: _,
            counts: Counts { created, updated, skipped, rejected },
            created_at,
            updated_at,
            version: _,
        } = import;
        Self {
            id,
            tenant_id: tenant.id,
            state: state.to_string(),
            failure: failure.map(|failure| failure.to_string()),
            format: format.map(|format| format.to_string()),
            on_conflict: on_conflict.to_string(),
            dry_run,
            created,
            updated,
            skipped,
            rejected,
            created_by: asker.and_then(|asker| asker.actor()),
            created_at,
            updated_at,
        }
    }
}

/// A line that was rejected.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserImportRejectResponse {
    /// Its number in the file, from 1.
    #[schema(minimum = 1, example = 7)]
    pub line: u64,
    /// What is wrong with it; at most the first 20 faults.
    #[schema(max_items = 20)]
    pub faults: Vec<UserImportFaultResponse>,
}

/// What is wrong with a line.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserImportFaultResponse {
    /// With which field; empty if with the line as a whole.
    #[schema(max_length = 128, example = "email")]
    pub field: String,
    /// What, as a slug.
    #[schema(max_length = 64, example = "email_parsing")]
    pub code: String,
    /// What, in words.
    #[schema(max_length = 256, example = "not an e-mail address")]
    pub message: String,
}

impl From<Rejected> for UserImportRejectResponse {
    fn from(Rejected { line, faults }: Rejected) -> Self {
        let fault = |LineFault { field, code, message }| UserImportFaultResponse { field, code, message };
        Self { line, faults: faults.into_iter().map(fault).collect() }
    }
}

/// The order of rejected lines.
#[derive(Debug, Clone, Copy)]
pub struct ByLine;

impl Sort for ByLine {
    const FIELDS: &'static [(&'static str, Self)] = &[("line", Self)];
    const DIRECTION: Direction = Direction::Ascending;
}

/// What happens to a line whose names are taken. To change whom a name belongs to is for the command line alone.
#[derive(Debug, Clone, Copy)]
pub struct ConflictRule(OnConflict);

impl Field for ConflictRule {
    fn read(raw: Raw, at: &mut At<'_>) -> Option<Self> {
        let text = text(raw, at)?;
        let known = [OnConflict::Fail, OnConflict::Skip].into_iter().find(|known| known.as_str() == text);
        known.map_or_else(|| at.fault(Fault::new("enum", "must be one of fail, skip")), |known| Some(Self(known)))
    }

    fn schema() -> RefOr<Schema> {
        let words = [OnConflict::Fail, OnConflict::Skip].map(OnConflict::as_str);
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).default(Some("fail".into())).into()
    }
}

input! {
    /// How users are imported.
    pub struct UserImportQuery {
        /// What happens to a line whose user name or address is taken: it is rejected, or passed over.
        on_conflict: Option<ConflictRule>,
        /// The form of the file; that of its media type, or `ndjson`, where nothing is said.
        format: Option<FileFormat>,
        /// Whether only to say what would come of it.
        dry_run: Flag<false>,
    }
}

texts! {
    /// A line for every user: a JSON object with everything but the password.
    UserLines: "{\"username\":\"ada\",\"email\":\"ada@example.com\",\"email_verified\":true}\n";
    /// A table (RFC 4180) with a head and a row for every user. What a spreadsheet would take for a formula has an
    /// apostrophe in front.
    UserTable: "username,email,email_verified\r\nada,ada@example.com,true\r\n";
}

/// An import that was asked for, and where it is found.
#[derive(Debug)]
pub struct Located(Idempotent<Queued<UserImportResponse>>);

impl Responder for Located {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let id = match &self.0 {
            Idempotent::Fresh(Queued(import)) => Some(import.id.to_string()),
            Idempotent::Replayed(kept) => {
                let body = serde_json::from_slice::<serde_json::Value>(&kept.body).ok();
                body.and_then(|body| Some(body["data"]["id"].as_str()?.to_owned()))
            }
        };
        let location = id.and_then(|id| HeaderValue::try_from(format!("{}/{id}", request.path())).ok());
        let mut response = self.0.respond_to(request);
        if let Some(location) = location {
            response.headers_mut().insert(LOCATION, location);
        }
        response
    }
}

impl Describe for Located {
    fn describe(about: &mut About) {
        Idempotent::<Queued<UserImportResponse>>::describe(about);
    }
}

/// Takes a file, and asks for its import.
///
/// # Errors
/// Those of [`UserFile::take`] and [`Imports::queue`](app::transfer::Imports::queue).
pub async fn create(
    grant: &Grant<WriteUsers>,
    tenant: TenantId,
    how: &UserImportQuery,
    file: UserFile,
    call: ChangeRequest,
    app: &App,
) -> ApiResult<Located> {
    let (upload, format) = file.take(app, grant, tenant, how.format.map(|format| format.0)).await?;
    let on_conflict = how.on_conflict.map_or(OnConflict::Fail, |rule| rule.0);
    let order = Order { format, on_conflict, dry_run: how.dry_run.0 };
    let queue = async |meta: &app::request::client::RequestMeta| app.imports().queue(&upload, order, meta).await;
    let answered = call.idempotent(app, queue, |import| Queued(import.into())).await;
    match answered {
        Ok(Idempotent::Fresh(_)) => upload.keep(),
        _ => app.uploads().discard(upload).await,
    }
    answered.map(Located)
}

/// Users on their way into a file.
struct Users {
    app: Data<App>,
    export: UserExport,
    file: transfer::UserFile,
}

impl Source for Users {
    const NAME: &'static str = "users";

    fn head(&self) -> String {
        self.file.head()
    }

    async fn next(&mut self) -> app::Result<String> {
        let users = self.app.exports().next(&mut self.export).await?;
        Ok(users.iter().map(|user| self.file.line(user)).collect())
    }
}

/// The answer with the users of a tenant, never with their passwords.
///
/// # Errors
/// As [`Exports::begin`](app::transfer::Exports::begin) and the first batch.
pub async fn download(
    grant: &Grant<ReadUsers>,
    tenant: TenantId,
    how: &FileQuery,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<File<UserLines, UserTable>> {
    let format: Format = how.format();
    let export = app.exports().begin(grant, tenant, false, call.meta.ctx).await?;
    download::respond(Users { app, export, file: transfer::UserFile { format, password_hashes: false } }, format).await
}
