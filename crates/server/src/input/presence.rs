//! What may be absent, null, or there several times.

use gatehouse_domain::issue::Fault;
use utoipa::openapi::{
    ArrayBuilder, ObjectBuilder, RefOr, Schema,
    schema::{SchemaType, Type},
};

use super::{At, Field, Raw, Step};

/// Absent and `null` are the same: there is none.
impl<T: Field> Field for Option<T> {
    const REQUIRED: bool = false;

    fn read(raw: Raw, at: &mut At<'_>) -> Option<Self> {
        match raw {
            Raw::Null => Some(None),
            raw => T::read(raw, at).map(Some),
        }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn schema() -> RefOr<Schema> {
        nullable(T::schema())
    }

    fn text_schema() -> RefOr<Schema> {
        T::text_schema()
    }

    fn referenced(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        T::referenced(schemas);
    }
}

/// A change of a field (RFC 7396): absent leaves it, `null` removes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patch<T>(pub Option<Option<T>>);

impl<T: Field> Field for Patch<T> {
    const REQUIRED: bool = false;

    fn read(raw: Raw, at: &mut At<'_>) -> Option<Self> {
        Option::<T>::read(raw, at).map(|value| Self(Some(value)))
    }

    fn absent() -> Option<Self> {
        Some(Self(None))
    }

    fn schema() -> RefOr<Schema> {
        nullable(T::schema())
    }

    fn referenced(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        T::referenced(schemas);
    }
}

/// A change of a field that cannot be removed: absent leaves it, `null` is a fault.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Set<T>(pub Option<T>);

impl<T: Field> Field for Set<T> {
    const REQUIRED: bool = false;

    fn read(raw: Raw, at: &mut At<'_>) -> Option<Self> {
        T::read(raw, at).map(|value| Self(Some(value)))
    }

    fn absent() -> Option<Self> {
        Some(Self(None))
    }

    fn schema() -> RefOr<Schema> {
        T::schema()
    }

    fn referenced(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        T::referenced(schemas);
    }
}

/// A flag with a default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flag<const DEFAULT: bool>(pub bool);

impl<const DEFAULT: bool> Field for Flag<DEFAULT> {
    const REQUIRED: bool = false;

    fn read(raw: Raw, at: &mut At<'_>) -> Option<Self> {
        bool::read(raw, at).map(Self)
    }

    fn absent() -> Option<Self> {
        Some(Self(DEFAULT))
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Boolean).default(Some(DEFAULT.into())).into()
    }
}

/// A list of `MIN` to `MAX` items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Many<T, const MAX: usize, const MIN: usize = 1>(pub Vec<T>);

impl<T: Field, const MAX: usize, const MIN: usize> Field for Many<T, MAX, MIN> {
    fn read(raw: Raw, at: &mut At<'_>) -> Option<Self> {
        let Raw::Array(items) = raw else { return at.fault(Fault::new("list_type", "must be a list")) };
        if items.len() < MIN {
            return at.fault(Fault::new("too_short", "must not be empty"));
        }
        if items.len() > MAX {
            return at.fault(Fault::new("too_long", format!("must have at most {MAX} items")));
        }
        // Read all of them before giving up on one, so that every fault is found.
        let read: Vec<_> =
            items.into_iter().enumerate().map(|(i, item)| at.inside(Step::Index(i), |at| T::read(item, at))).collect();
        read.into_iter().collect::<Option<Vec<_>>>().map(Self)
    }

    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new().items(T::schema()).min_items((MIN > 0).then_some(MIN)).max_items(Some(MAX)).into()
    }

    fn referenced(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        T::referenced(schemas);
    }
}

/// How many values one key may be given.
const MAX_VALUES: usize = 50;

/// A key of a query that may be repeated; any of the values will do.
impl<T: Field> Field for Vec<T> {
    const REQUIRED: bool = false;

    fn read(raw: Raw, at: &mut At<'_>) -> Option<Self> {
        let Raw::Texts(texts) = raw else { return at.fault(Fault::new("list_type", "must be given as texts")) };
        if texts.len() > MAX_VALUES {
            return at.fault(Fault::new("too_long", "must be given at most 50 times"));
        }
        // All of them, as above.
        let read: Vec<_> = texts.into_iter().map(|text| T::read(Raw::Texts(vec![text]), at)).collect();
        read.into_iter().collect()
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }

    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new().items(T::text_schema()).max_items(Some(MAX_VALUES)).into()
    }
}

/// A schema that also admits `null`: as a type for simple ones, as an alternative for references.
fn nullable(schema: RefOr<Schema>) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            if let SchemaType::Type(one) = &object.schema_type {
                object.schema_type = SchemaType::from_iter([one.clone(), Type::Null]);
                if let Some(words) = &mut object.enum_values {
                    words.push(serde_json::Value::Null);
                }
            }
            RefOr::T(Schema::Object(object))
        }
        other => {
            utoipa::openapi::OneOfBuilder::new().item(other).item(ObjectBuilder::new().schema_type(Type::Null)).into()
        }
    }
}
