//! Answers that are files: read batch by batch while they are sent, so that they take no more memory for many than for few.

use std::marker::PhantomData;

use actix_web::{HttpRequest, HttpResponse, Responder, body::BoxBody, http::header::CONTENT_DISPOSITION, web::Bytes};
use futures_util::{StreamExt, stream};
use gatehouse_domain::{import::Format, word::Word};
use utoipa::{
    ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

use crate::{
    app::{self, deadline},
    http::{
        envelope::ApiResult,
        operation::{About, Describe, described},
    },
    input::{At, Field, Raw, input, word},
};

/// A form of a file that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFormat(pub Format);

input! {
    /// How a file is sent.
    pub struct FileQuery {
        /// The form of the file.
        format: Option<FileFormat>,
    }
}

impl FileQuery {
    /// The form.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format.map_or(Format::Ndjson, |format| format.0)
    }
}

impl Field for FileFormat {
    fn read(raw: Raw, at: &mut At<'_>) -> Option<Self> {
        word(raw, at).map(Self)
    }

    fn schema() -> RefOr<Schema> {
        let words = Format::ALL.iter().map(|(_, word)| *word);
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).default(Some("ndjson".into())).into()
    }
}

/// Declares a text by what it is described as: `/// A table. Table: "a,b\r\n";` becomes `pub struct Table;` whose schema is a
/// file with that description and example.
macro_rules! texts {
    ($($(#[doc = $doc:literal])* $name:ident: $example:literal;)*) => {$(
        $(#[doc = $doc])*
        #[derive(Debug)]
        pub struct $name;

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::Binary)))
                    .description(Some($crate::input::sentence(&[$($doc),*])))
                    .examples([serde_json::json!($example)])
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}
    )*};
}

pub(in crate::http) use texts;

/// An answer that is a file, described as lines `L` or as a table `T`.
#[derive(Debug)]
pub struct File<L, T>(HttpResponse, PhantomData<(L, T)>);

impl<L, T> Responder for File<L, T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.0
    }
}

impl<L: ToSchema, T: ToSchema> Describe for File<L, T> {
    fn describe(about: &mut About) {
        about.answer("200", &[("application/x-ndjson", described::<L>), ("text/csv", described::<T>)]);
    }
}

/// What a file is read from.
pub(in crate::http) trait Source: 'static {
    /// Its name, without what says its form.
    const NAME: &'static str;
    /// What comes before everything.
    fn head(&self) -> String;
    /// What comes next; nothing at the end.
    async fn next(&mut self) -> app::Result<String>;
}

/// The answer with everything that a source has. What goes wrong with the first batch is an answer of its own; later the
/// connection ends before the body does, which tells the client that something is missing.
///
/// # Errors
/// As the first batch.
pub(in crate::http) async fn respond<S: Source, L, T>(mut source: S, format: Format) -> ApiResult<File<L, T>> {
    let first = source.head() + &source.next().await?;
    let rest = stream::try_unfold(source, async |mut source| {
        // Each batch may take as long as a request.
        let text = deadline::request(source.next()).await?;
        Ok::<_, app::Error>((!text.is_empty()).then(|| (Bytes::from(text), source)))
    });
    let media_type = match format {
        Format::Ndjson => "application/x-ndjson",
        Format::Csv => "text/csv; charset=utf-8; header=present",
    };
    let response = HttpResponse::Ok()
        .content_type(media_type)
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{}.{format}\"", S::NAME)))
        .streaming(stream::iter([Ok(Bytes::from(first))]).chain(rest));
    Ok(File(response, PhantomData))
}
