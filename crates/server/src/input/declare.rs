//! Declaring fields that belong together: one declaration gives the type, how it is read, and how the document describes
//! it.

use utoipa::openapi::{
    ObjectBuilder, Ref, RefOr, Required, Schema,
    path::{Parameter, ParameterBuilder, ParameterIn},
    schema::AdditionalProperties,
};

use super::{Field, Object};

/// Declares the object of a JSON body, the fields of a form, or the parameters of a query. So
///
/// ```text
/// input! {
///     /// What changes of a role.
///     pub struct RolePatch {
///         /// Its name.
///         name: Set<Name>,
///     }
/// }
/// ```
///
/// becomes the struct, and
///
/// ```text
/// impl Object for RolePatch {
///     fn read_fields(fields: &mut Fields<'_, '_>) -> Option<Self> {
///         let name = fields.field::<Set<Name>>("name");
///         Some(Self { name: name? })
///     }
///
///     fn properties() -> Vec<Property> {
///         vec![Property::of::<Set<Name>>("name", &[" Its name."])]
///     }
/// }
/// ```
///
/// and what lets it stand as a field in another object, and in the document under its own name.
macro_rules! input {
    ($($(#[doc = $doc:literal])* pub struct $name:ident { $($(#[doc = $fdoc:literal])* $field:ident: $type:ty,)* })*) => {$(
        $(#[doc = $doc])*
        #[derive(Debug)]
        pub struct $name {
            $($(#[doc = $fdoc])* pub $field: $type,)*
        }

        impl $crate::input::Object for $name {
            const NAME: &'static str = stringify!($name);
            const DOC: &'static [&'static str] = &[$($doc),*];

            fn read_fields(fields: &mut $crate::input::Fields<'_, '_>) -> Option<Self> {
                // All fields are read before the first missing one ends it, so that every fault is found.
                $(let $field = fields.field::<$type>(stringify!($field));)*
                Some(Self { $($field: $field?,)* })
            }

            fn properties() -> Vec<$crate::input::Property> {
                vec![$($crate::input::Property::of::<$type>(stringify!($field), &[$($fdoc),*]),)*]
            }
        }

        impl $crate::input::Field for $name {
            fn read(raw: $crate::input::Raw, at: &mut $crate::input::At<'_>) -> Option<Self> {
                $crate::input::read_object(raw, at)
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
                $crate::input::object_schema::<Self>()
            }
        }

        impl utoipa::ToSchema for $name {
            fn schemas(schemas: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::Schema>)>) {
                $(<$type as $crate::input::Field>::referenced(schemas);)*
            }
        }
    )*};
}
pub(crate) use input;

/// What the document says of a field.
pub struct Property {
    name: &'static str,
    doc: &'static [&'static str],
    is_required: bool,
    schema: RefOr<Schema>,
    text_schema: RefOr<Schema>,
}

impl std::fmt::Debug for Property {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Property({})", self.name)
    }
}

impl Property {
    /// A field that is read as a `T`.
    pub fn of<T: Field>(name: &'static str, doc: &'static [&'static str]) -> Self {
        Self { name, doc, is_required: T::REQUIRED, schema: T::schema(), text_schema: T::text_schema() }
    }

    /// The same field, whose values are described otherwise.
    pub fn with(self, schema: impl Into<RefOr<Schema>>) -> Self {
        Self { text_schema: schema.into(), ..self }
    }

    /// The field as a parameter of a query.
    pub fn parameter(self) -> Parameter {
        ParameterBuilder::new()
            .name(self.name)
            .parameter_in(ParameterIn::Query)
            .required(Required::False)
            .description(Some(sentence(self.doc)))
            .schema(Some(self.text_schema))
            .build()
    }
}

/// An object with these properties and no others.
fn object(doc: String, properties: Vec<Property>, schema: fn(Property) -> RefOr<Schema>) -> RefOr<Schema> {
    let object =
        ObjectBuilder::new().description(Some(doc)).additional_properties(Some(AdditionalProperties::FreeForm(false)));
    let with = |object: ObjectBuilder, property: Property| {
        let (name, doc, is_required) = (property.name, property.doc, property.is_required);
        let object = object.property(name, describe(schema(property), doc));
        if is_required { object.required(name) } else { object }
    };
    properties.into_iter().fold(object, with).into()
}

/// How the document describes an object in a JSON body.
pub fn object_schema<T: Object>() -> RefOr<Schema> {
    object(sentence(T::DOC), T::properties(), |property| property.schema)
}

/// How the document describes a form.
pub fn form_schema<T: Object>(schemas: &mut Vec<(String, RefOr<Schema>)>) -> RefOr<Schema> {
    schemas.push((T::NAME.to_owned(), object(sentence(T::DOC), T::properties(), |property| property.text_schema)));
    Ref::from_schema_name(T::NAME).into()
}

/// The lines of a doc comment as one text.
pub(crate) fn sentence(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// A schema with a description. References stay as they are: what they point to describes itself.
fn describe(schema: RefOr<Schema>, doc: &[&str]) -> RefOr<Schema> {
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
