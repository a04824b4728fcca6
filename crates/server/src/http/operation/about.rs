//! How the types of a handler describe its operation.

use actix_web::{HttpRequest, HttpResponse, web::Data};
use utoipa::{
    ToSchema,
    openapi::{
        ContentBuilder, Ref, RefOr, Required, ResponseBuilder, Schema,
        path::{self, Parameter, ParameterBuilder, ParameterIn},
        request_body::RequestBodyBuilder,
    },
};

use crate::{
    app::App,
    http::{Site, envelope::ApiResult, extract::access::InPath, request::ChangeRequest},
    input::Property,
};

/// What a type says of the operation in whose handler it stands, as an argument or as the answer.
pub trait Describe {
    /// Whether it asks for an access token.
    const SECURED: bool = false;
    /// Whether it reads the query.
    const TAKES_QUERY: bool = false;
    /// Whether it reads the body as it comes.
    const TAKES_FILE: bool = false;

    /// Adds what it says to the description of the operation.
    fn describe(_about: &mut About) {}
}

/// What a handler begins with: who may call it.
pub trait SaysWho: Describe {}

impl Describe for Data<App> {}
impl Describe for Data<Site> {}
impl Describe for ChangeRequest {}
impl Describe for HttpRequest {}
/// What pages answer, which no document describes.
impl Describe for HttpResponse {}

impl<R: Describe> Describe for ApiResult<R> {
    fn describe(about: &mut About) {
        R::describe(about);
    }
}

/// A failure of several operations: the status, and the name of the response that describes it.
pub type Fails = (&'static str, &'static str);
/// Nobody is signed in, or no longer.
pub const UNAUTHENTICATED: Fails = ("401", "Unauthenticated");
/// What was presented as proof is wrong.
pub const INVALID_CREDENTIALS: Fails = ("401", "InvalidCredentials");
/// A link does nothing more.
pub const INVALID_LINK: Fails = ("401", "InvalidLink");
/// The caller may not.
pub const FORBIDDEN: Fails = ("403", "Forbidden");
/// There is nothing of that name.
pub const NOT_FOUND: Fails = ("404", "NotFound");
/// The body took too long.
pub const REQUEST_TIMEOUT: Fails = ("408", "RequestTimeout");
/// It conflicts with what is there.
pub const CONFLICT: Fails = ("409", "Conflict");
/// The body is too large.
pub const PAYLOAD_TOO_LARGE: Fails = ("413", "PayloadTooLarge");
/// The body is of another type.
pub const UNSUPPORTED_MEDIA_TYPE: Fails = ("415", "UnsupportedMediaType");
/// There are faults in the input; unknown parameters of a query are some everywhere.
pub const INVALID: Fails = ("422", "Invalid");
/// It was asked for too often.
pub const RATE_LIMITED: Fails = ("429", "RateLimited");
/// It is not available now.
pub const UNAVAILABLE: Fails = ("503", "Unavailable");
/// Anything else.
pub const ANY_OTHER: Fails = ("default", "Failure");

/// The description of an operation in the making.
#[derive(Default)]
pub struct About {
    /// The operation.
    pub(super) operation: path::Operation,
    /// The schemas that it refers to, by name.
    pub(super) schemas: Vec<(String, RefOr<Schema>)>,
    /// The permission that it needs.
    pub(super) permission: Option<&'static str>,
}

impl std::fmt::Debug for About {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("About")
    }
}

impl About {
    /// Adds failures.
    pub fn fails(&mut self, failures: &[Fails]) {
        for (status, name) in failures {
            let response = Ref::new(format!("#/components/responses/{name}"));
            self.operation.responses.responses.insert((*status).to_owned(), response.into());
        }
    }

    /// Notes which permission it needs, as `resource:action`.
    pub fn needs(&mut self, permission: &'static str) {
        self.permission = Some(permission);
    }

    /// Adds parameters of the query.
    pub fn query(&mut self, properties: Vec<Property>) {
        self.parameters().extend(properties.into_iter().map(|property| property.parameter().into()));
    }

    /// Adds the body, in one of several forms.
    pub fn body(&mut self, forms: &[(&str, Described)]) {
        let mut body = RequestBodyBuilder::new().required(Some(Required::True));
        for (media_type, form) in forms {
            body = body.content(*media_type, ContentBuilder::new().schema(Some(form(&mut self.schemas))).build());
        }
        self.operation.request_body = Some(body.build().into());
        self.fails(&[REQUEST_TIMEOUT, PAYLOAD_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE]);
    }

    /// Adds an answer without a body.
    pub fn nothing(&mut self, status: &str) {
        self.operation.responses.responses.insert(status.to_owned(), ResponseBuilder::new().build().into());
    }

    /// Adds an answer, in one of several forms.
    pub fn answer(&mut self, status: &str, forms: &[(&str, Described)]) {
        let mut response = ResponseBuilder::new();
        for (media_type, form) in forms {
            response =
                response.content(*media_type, ContentBuilder::new().schema(Some(form(&mut self.schemas))).build());
        }
        self.operation.responses.responses.insert(status.to_owned(), response.build().into());
    }

    /// Adds an answer in JSON.
    pub fn json<T: ToSchema>(&mut self, status: &str) {
        self.answer(status, &[("application/json", described::<T>)]);
    }

    /// The parameters so far.
    pub(super) fn parameters(&mut self) -> &mut Vec<RefOr<Parameter>> {
        self.operation.parameters.get_or_insert_default()
    }
}

/// What refers to the schema of a type, and adds that and those that it refers to itself.
pub type Described = fn(&mut Vec<(String, RefOr<Schema>)>) -> RefOr<Schema>;

/// See [`Described`].
pub fn described<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) -> RefOr<Schema> {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
    Ref::from_schema_name(T::name()).into()
}

/// A parameter in a path: its name, and how the document describes it.
#[derive(Debug, Clone, Copy)]
pub struct PathParameter {
    pub(super) name: &'static str,
    description: &'static str,
    schema: fn() -> RefOr<Schema>,
}

impl PathParameter {
    /// One that is read as a `T`.
    #[must_use]
    pub const fn of<T: InPath>(description: &'static str) -> Self {
        Self { name: T::PLACEHOLDER, description, schema: T::schema }
    }

    pub(super) fn parameter(self) -> Parameter {
        ParameterBuilder::new()
            .name(self.name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .description(Some(self.description))
            .schema(Some((self.schema)()))
            .build()
    }
}
