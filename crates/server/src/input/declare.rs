//! Declaring bodies and queries: one declaration gives the type, how it is read, and how the document describes it.

use utoipa::openapi::{RefOr, Schema};

/// Declares the object of a JSON body: the struct, how it is read, and how the document describes it.
macro_rules! body {
    ($($(#[doc = $doc:literal])* pub struct $name:ident { $($(#[doc = $fdoc:literal])* $field:ident: $type:ty,)* })*) => {$(
        $(#[doc = $doc])*
        #[derive(Debug)]
        pub struct $name {
            $($(#[doc = $fdoc])* pub $field: $type,)*
        }

        impl $crate::input::Object for $name {
            fn read_fields(fields: &mut $crate::input::Fields<'_, '_, $crate::input::Json>) -> Option<Self> {
                // All fields are read before the first missing one ends it, so that every fault is found.
                $(let $field = fields.field::<$type>(stringify!($field));)*
                Some(Self { $($field: $field?,)* })
            }
        }

        impl $crate::input::Field for $name {
            fn read(json: $crate::input::Json, at: &mut $crate::input::At<'_>) -> Option<Self> {
                $crate::input::read_object(json, at)
            }

            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                utoipa::openapi::Ref::from_schema_name(stringify!($name)).into()
            }

            fn referenced(schemas: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::Schema>)>) {
                schemas.push((stringify!($name).to_owned(), <Self as utoipa::PartialSchema>::schema()));
                <Self as utoipa::ToSchema>::schemas(schemas);
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                let object = utoipa::openapi::ObjectBuilder::new()
                    .description(Some($crate::input::sentence(&[$($doc),*])))
                    .additional_properties(Some(utoipa::openapi::schema::AdditionalProperties::FreeForm(false)));
                $(
                    let object = object.property(
                        stringify!($field),
                        $crate::input::describe(
                            <$type as $crate::input::Field>::schema(),
                            &[$($fdoc),*],
                        ),
                    );
                    let object = if <$type as $crate::input::Field>::REQUIRED { object.required(stringify!($field)) } else { object };
                )*
                object.into()
            }
        }

        impl utoipa::ToSchema for $name {
            fn schemas(schemas: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::Schema>)>) {
                $(<$type as $crate::input::Field>::referenced(schemas);)*
            }
        }
    )*};
}
pub(crate) use body;

/// Declares the parameters of a query: the struct, how it is read, and how the document describes it.
macro_rules! query {
    ($($(#[doc = $doc:literal])* pub struct $name:ident { $($(#[doc = $fdoc:literal])* $field:ident: $type:ty,)* })*) => {$(
        $(#[doc = $doc])*
        #[derive(Debug)]
        pub struct $name {
            $($(#[doc = $fdoc])* pub $field: $type,)*
        }

        impl $crate::http::extract::page::Filter for $name {
            fn read(fields: &mut $crate::input::Fields<'_, '_, Vec<String>>) -> Option<Self> {
                $(let $field = fields.param::<$type>(stringify!($field));)*
                Some(Self { $($field: $field?,)* })
            }

            fn parameters() -> Vec<utoipa::openapi::path::Parameter> {
                vec![$($crate::input::parameter(
                    stringify!($field),
                    <$type as $crate::input::Param>::schema(),
                    &[$($fdoc),*],
                ),)*]
            }
        }
    )*};
}
pub(crate) use query;

/// The lines of a doc comment as one text.
pub(crate) fn sentence(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// A schema with a description. References stay as they are: what they point to describes itself.
pub(crate) fn describe(schema: RefOr<Schema>, doc: &[&str]) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            object.description = Some(sentence(doc));
            RefOr::T(Schema::Object(object))
        }
        RefOr::T(Schema::Array(mut array)) => {
            array.description = Some(sentence(doc));
            RefOr::T(Schema::Array(array))
        }
        other => other,
    }
}

/// A query parameter.
pub(crate) fn parameter(name: &str, schema: RefOr<Schema>, doc: &[&str]) -> utoipa::openapi::path::Parameter {
    use utoipa::openapi::{
        Required,
        path::{ParameterBuilder, ParameterIn},
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(sentence(doc)))
        .schema(Some(schema))
        .build()
}
