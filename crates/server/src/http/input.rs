//! From bytes to values: the border where everything hostile stops.
//!
//! A body or query is read field by field into types that cannot be invalid, collecting every fault on the way.
//! Unknown fields, repeated keys and a depth beyond 64 are faults like any other, so nothing a caller sends is
//! silently without effect.

use std::{collections::BTreeMap, fmt};

use gatehouse_domain::{
    authz::PermissionPattern,
    id::{ApplicationId, AssignmentId, PartnerId, RoleId, SessionId, TenantId, UserId},
    issue::{Fault, Issue, Issues, Loc, Parse},
    password::Password,
    settings::{Bounded, Word},
    text::{DisplayName, Email, Name, Phone, Slug, Username},
    time::Timestamp,
};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use utoipa::{
    PartialSchema,
    openapi::{
        ArrayBuilder, ObjectBuilder, RefOr, Schema,
        schema::{SchemaType, Type},
    },
};

/// How deep a JSON body may nest.
const MAX_DEPTH: usize = 64;

/// JSON as it was sent: order and repetitions of keys are kept.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number.
    Number(serde_json::Number),
    /// A text.
    String(String),
    /// A list.
    Array(Vec<Json>),
    /// An object.
    Object(Vec<(String, Json)>),
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Json;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
                Ok(Json::Bool(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
                Ok(Json::Number(value.into()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
                Ok(Json::Number(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
                Ok(serde_json::Number::from_f64(value).map_or(Json::Null, Json::Number))
            }

            fn visit_str<E>(self, value: &str) -> Result<Json, E> {
                Ok(Json::String(value.to_owned()))
            }

            fn visit_string<E>(self, value: String) -> Result<Json, E> {
                Ok(Json::String(value))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Json::Array(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Json::Object(entries))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

impl Json {
    /// Finds repeated keys and too much depth.
    fn audit(&self, depth: usize, at: &mut At<'_>) {
        if depth > MAX_DEPTH {
            return at.fail(Fault::new("json_depth", "must not nest deeper than 64"));
        }
        match self {
            Self::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    at.inside(Loc::Index(index), |at| item.audit(depth + 1, at));
                }
            }
            Self::Object(entries) => {
                for (index, (key, value)) in entries.iter().enumerate() {
                    at.inside(Loc::Key(key.clone().into()), |at| {
                        if entries[..index].iter().any(|(earlier, _)| earlier == key) {
                            at.fail(Fault::new("duplicate_key", "must not be repeated"));
                        }
                        value.audit(depth + 1, at);
                    });
                }
            }
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => {}
        }
    }
}

/// A place in the input, and where faults found there go.
#[derive(Debug)]
pub struct At<'a> {
    loc: Vec<Loc>,
    issues: &'a mut Vec<Issue>,
}

impl At<'_> {
    /// Notes a fault here.
    pub fn fail(&mut self, fault: Fault) {
        self.issues.push(fault.at(self.loc.clone()));
    }

    /// Notes a fault here, and gives no value.
    pub fn fault<T>(&mut self, fault: Fault) -> Option<T> {
        self.fail(fault);
        None
    }

    fn inside<T>(&mut self, step: Loc, read: impl FnOnce(&mut At<'_>) -> T) -> T {
        self.loc.push(step);
        let result = read(&mut At { loc: self.loc.clone(), issues: self.issues });
        self.loc.pop();
        result
    }
}

/// A value in a JSON body.
pub trait Field: Sized {
    /// Whether it must be there.
    const REQUIRED: bool = true;
    /// Reads it.
    fn read(json: Json, at: &mut At<'_>) -> Option<Self>;
    /// What it is when it is not there; `None` where it must be.
    fn absent() -> Option<Self> {
        None
    }
    /// How the document describes it.
    fn schema() -> RefOr<Schema>;
    /// The schemas that the description refers to.
    fn referenced(_schemas: &mut Vec<(String, RefOr<Schema>)>) {}
}

/// A value in a query or a form, given by the texts under its key.
pub trait Param: Sized {
    /// Whether it must be there.
    const REQUIRED: bool = false;
    /// Reads it. There is at least one text, and none is empty.
    fn read(texts: Vec<String>, at: &mut At<'_>) -> Option<Self>;
    /// What it is when it is not there; `None` where it must be.
    fn absent() -> Option<Self>;
    /// How the document describes it.
    fn schema() -> RefOr<Schema>;
}

fn string(json: Json, at: &mut At<'_>) -> Option<String> {
    match json {
        Json::String(text) => Some(text),
        _ => at.fault(Fault::new("string_type", "must be a string")),
    }
}

macro_rules! text_fields {
    ($($type:ty),* $(,)?) => {$(
        impl Field for $type {
            fn read(json: Json, at: &mut At<'_>) -> Option<Self> {
                let text = string(json, at)?;
                <$type as Parse>::parse(&text).map_or_else(|fault| at.fault(fault), Some)
            }

            fn schema() -> RefOr<Schema> {
                <$type as PartialSchema>::schema()
            }
        }

        impl Item for $type {
            fn read_text(text: &str) -> Result<Self, Fault> {
                <$type as Parse>::parse(text)
            }

            fn schema() -> RefOr<Schema> {
                <$type as PartialSchema>::schema()
            }
        }
    )*};
}

/// One of possibly several texts under a key.
pub trait Item: Sized {
    /// Reads one.
    ///
    /// # Errors
    /// The rule it breaks.
    fn read_text(text: &str) -> Result<Self, Fault>;
    /// How the document describes one.
    fn schema() -> RefOr<Schema>;
}

text_fields!(
    Username,
    Email,
    DisplayName,
    Name,
    Phone,
    Slug,
    Password,
    Timestamp,
    PartnerId,
    TenantId,
    UserId,
    RoleId,
    AssignmentId,
    SessionId,
    ApplicationId,
    gatehouse_domain::tenant::HttpsUrl,
    gatehouse_domain::tenant::Colour,
);

/// A closed set of words as a field.
macro_rules! word_fields {
    ($($type:ty),* $(,)?) => {$(
        impl Field for $type {
            fn read(json: Json, at: &mut At<'_>) -> Option<Self> {
                let text = string(json, at)?;
                <$type as Word>::from_word(&text).map_or_else(|fault| at.fault(fault), Some)
            }

            fn schema() -> RefOr<Schema> {
                word_schema::<$type>()
            }
        }

        impl Item for $type {
            fn read_text(text: &str) -> Result<Self, Fault> {
                <$type as Word>::from_word(text)
            }

            fn schema() -> RefOr<Schema> {
                word_schema::<$type>()
            }
        }
    )*};
}

word_fields!(
    gatehouse_domain::partner::Standing,
    gatehouse_domain::user::UserStatus,
    gatehouse_domain::settings::Registration,
    gatehouse_domain::settings::SessionLimitAction,
    gatehouse_domain::settings::RefreshReuse,
);

fn word_schema<T: Word>() -> RefOr<Schema> {
    let words: Vec<_> = T::ALL.iter().map(|(_, word)| *word).collect();
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).into()
}

impl PartialSchema for Json {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(SchemaType::AnyValue).into()
    }
}

impl Field for bool {
    fn read(json: Json, at: &mut At<'_>) -> Option<Self> {
        match json {
            Json::Bool(value) => Some(value),
            _ => at.fault(Fault::new("bool_type", "must be true or false")),
        }
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Boolean).into()
    }
}

impl Item for bool {
    fn read_text(text: &str) -> Result<Self, Fault> {
        match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(Fault::new("bool_parsing", "must be true or false")),
        }
    }

    fn schema() -> RefOr<Schema> {
        <bool as Field>::schema()
    }
}

impl<const MIN: u32, const MAX: u32> Field for Bounded<MIN, MAX> {
    fn read(json: Json, at: &mut At<'_>) -> Option<Self> {
        let Json::Number(number) = json else { return at.fault(Fault::new("int_type", "must be a whole number")) };
        // 5.0 is the whole number 5 (RFC 8259 section 6 does not tell them apart).
        let whole = number
            .as_u64()
            .or_else(|| number.as_f64().filter(|n| n.fract() == 0.0 && (0.0..1e15).contains(n)).map(|n| n as u64));
        match whole {
            Some(n) => Bounded::new(n).map_or_else(|fault| at.fault(fault), Some),
            None => at.fault(Fault::new("out_of_range", format!("must be a whole number from {MIN} to {MAX}"))),
        }
    }

    fn schema() -> RefOr<Schema> {
        <Self as PartialSchema>::schema()
    }
}

impl Field for PermissionPattern {
    fn read(json: Json, at: &mut At<'_>) -> Option<Self> {
        let text = string(json, at)?;
        Self::parse(&text).map_or_else(|fault| at.fault(fault), Some)
    }

    fn schema() -> RefOr<Schema> {
        let mut words: Vec<_> = gatehouse_domain::authz::CATALOGUE.iter().map(|known| known.name.to_owned()).collect();
        let parts = |i: usize| {
            let mut parts: Vec<_> = words.iter().filter_map(|name| name.split(':').nth(i)).map(str::to_owned).collect();
            parts.sort();
            parts.dedup();
            parts
        };
        let (resources, actions) = (parts(0), parts(1));
        words.extend(resources.iter().map(|resource| format!("{resource}:*")));
        words.extend(actions.iter().map(|action| format!("*:{action}")));
        words.push("*:*".to_owned());
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).into()
    }
}

/// Absent and `null` are the same: there is none.
impl<T: Field> Field for Option<T> {
    const REQUIRED: bool = false;

    fn read(json: Json, at: &mut At<'_>) -> Option<Self> {
        match json {
            Json::Null => Some(None),
            json => T::read(json, at).map(Some),
        }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn schema() -> RefOr<Schema> {
        nullable(T::schema())
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

    fn read(json: Json, at: &mut At<'_>) -> Option<Self> {
        Option::<T>::read(json, at).map(|value| Self(Some(value)))
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

    fn read(json: Json, at: &mut At<'_>) -> Option<Self> {
        T::read(json, at).map(|value| Self(Some(value)))
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

fn flag_schema(default: bool) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::Boolean).default(Some(default.into())).into()
}

impl<const DEFAULT: bool> Field for Flag<DEFAULT> {
    const REQUIRED: bool = false;

    fn read(json: Json, at: &mut At<'_>) -> Option<Self> {
        bool::read(json, at).map(Self)
    }

    fn absent() -> Option<Self> {
        Some(Self(DEFAULT))
    }

    fn schema() -> RefOr<Schema> {
        flag_schema(DEFAULT)
    }
}

impl<const DEFAULT: bool> Param for Flag<DEFAULT> {
    fn read(texts: Vec<String>, at: &mut At<'_>) -> Option<Self> {
        <Option<bool> as Param>::read(texts, at).map(|value| Self(value.unwrap_or(DEFAULT)))
    }

    fn absent() -> Option<Self> {
        Some(Self(DEFAULT))
    }

    fn schema() -> RefOr<Schema> {
        flag_schema(DEFAULT)
    }
}

/// A list of 1 to `MAX` items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Many<T, const MAX: usize>(pub Vec<T>);

impl<T: Field, const MAX: usize> Field for Many<T, MAX> {
    fn read(json: Json, at: &mut At<'_>) -> Option<Self> {
        let Json::Array(items) = json else { return at.fault(Fault::new("list_type", "must be a list")) };
        if items.is_empty() {
            return at.fault(Fault::new("too_short", "must not be empty"));
        }
        if items.len() > MAX {
            return at.fault(Fault::new("too_long", format!("must have at most {MAX} items")));
        }
        // Read all of them before giving up on one, so that every fault is found.
        let read: Vec<_> =
            items.into_iter().enumerate().map(|(i, item)| at.inside(Loc::Index(i), |at| T::read(item, at))).collect();
        read.into_iter().collect::<Option<Vec<_>>>().map(Self)
    }

    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new().items(T::schema()).min_items(Some(1)).max_items(Some(MAX)).into()
    }

    fn referenced(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        T::referenced(schemas);
    }
}

/// A key that may be given once.
impl<T: Item> Param for Option<T> {
    fn read(texts: Vec<String>, at: &mut At<'_>) -> Option<Self> {
        let [text] = texts.as_slice() else { return at.fault(Fault::new("duplicate_key", "must not be repeated")) };
        T::read_text(text).map_or_else(|fault| at.fault(fault), |value| Some(Some(value)))
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn schema() -> RefOr<Schema> {
        T::schema()
    }
}

/// How many values one key may be given.
const MAX_VALUES: usize = 50;

/// A key that may be repeated; any of the values will do.
impl<T: Item> Param for Vec<T> {
    fn read(texts: Vec<String>, at: &mut At<'_>) -> Option<Self> {
        if texts.len() > MAX_VALUES {
            return at.fault(Fault::new("too_long", "must be given at most 50 times"));
        }
        let read: Vec<_> =
            texts.iter().map(|text| T::read_text(text).map_or_else(|fault| at.fault(fault), Some)).collect();
        read.into_iter().collect()
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }

    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new().items(T::schema()).max_items(Some(MAX_VALUES)).into()
    }
}

/// A schema that also admits `null`: as a type for simple ones, as an alternative for references.
pub(crate) fn nullable(schema: RefOr<Schema>) -> RefOr<Schema> {
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

/// The fields of an object that have not been read yet.
#[derive(Debug)]
pub struct Fields<'a, 'i, V> {
    at: &'a mut At<'i>,
    entries: BTreeMap<String, V>,
}

impl Fields<'_, '_, Json> {
    /// Reads a field of a body.
    pub fn field<T: Field>(&mut self, name: &'static str) -> Option<T> {
        match self.entries.remove(name) {
            Some(json) => self.at.inside(name.into(), |at| T::read(json, at)),
            None => T::absent().or_else(|| self.missing(name)),
        }
    }
}

impl Fields<'_, '_, Vec<String>> {
    /// Reads a parameter of a query or form. An empty one counts as absent.
    pub fn param<T: Param>(&mut self, name: &'static str) -> Option<T> {
        let texts: Vec<_> =
            self.entries.remove(name).unwrap_or_default().into_iter().filter(|text| !text.is_empty()).collect();
        if texts.is_empty() {
            return T::absent().or_else(|| self.missing(name));
        }
        self.at.inside(name.into(), |at| T::read(texts, at))
    }

    /// Reads a text of a form that must be given once.
    pub fn text<T: Parse>(&mut self, name: &'static str) -> Option<T> {
        match self.entries.remove(name).as_deref() {
            None | Some([]) => self.missing(name),
            Some([text]) => self.at.inside(name.into(), |at| T::parse(text).map_or_else(|fault| at.fault(fault), Some)),
            Some(_) => self.at.inside(name.into(), |at| at.fault(Fault::new("duplicate_key", "must not be repeated"))),
        }
    }

    /// Drops a field that means nothing here.
    pub fn ignore(&mut self, name: &str) {
        self.entries.remove(name);
    }
}

impl<V> Fields<'_, '_, V> {
    fn missing<T>(&mut self, name: &'static str) -> Option<T> {
        self.at.inside(name.into(), |at| at.fault(Fault::new("missing", "is required")))
    }

    /// Notes a fault with a field.
    pub fn fault(&mut self, name: &'static str, fault: Fault) {
        self.at.inside(name.into(), |at| at.fail(fault));
    }

    fn finish(self) {
        for name in self.entries.into_keys() {
            self.at.inside(Loc::Key(name.into()), |at| at.fail(Fault::new("extra_forbidden", "is not known here")));
        }
    }
}

/// An object in a JSON body.
pub trait Object: Sized {
    /// Reads its fields.
    fn read_fields(fields: &mut Fields<'_, '_, Json>) -> Option<Self>;
}

/// Reads an object, and refuses what it does not know.
pub fn read_object<T: Object>(json: Json, at: &mut At<'_>) -> Option<T> {
    let Json::Object(entries) = json else { return at.fault(Fault::new("object_type", "must be an object")) };
    let mut fields = Fields { at, entries: entries.into_iter().collect() };
    let object = T::read_fields(&mut fields);
    fields.finish();
    object
}

/// Reads a JSON body.
///
/// # Errors
/// Every fault found.
pub fn read_body<T: Object>(bytes: &[u8]) -> Result<T, Issues> {
    let mut issues = Vec::new();
    let mut at = At { loc: vec!["body".into()], issues: &mut issues };
    if bytes.is_empty() {
        at.fail(Fault::new("missing", "a JSON body is required"));
        return Err(Issues(issues));
    }
    let json: Json = match serde_json::from_slice(bytes) {
        Ok(json) => json,
        Err(_) => {
            at.fail(Fault::new("json_invalid", "must be JSON in UTF-8"));
            return Err(Issues(issues));
        }
    };
    json.audit(1, &mut at);
    if !issues.is_empty() {
        return Err(Issues(issues));
    }
    let object = read_object(json, &mut At { loc: vec!["body".into()], issues: &mut issues });
    match object {
        Some(object) if issues.is_empty() => Ok(object),
        _ => Err(Issues(issues)),
    }
}

/// Splits `key=value&…` (WHATWG URL, application/x-www-form-urlencoded); `None` where it is not UTF-8. Lenient decoders
/// put a replacement character there, which would make two passwords one.
#[must_use]
pub fn read_urlencoded(bytes: &[u8]) -> Option<Vec<(String, String)>> {
    let decode = |part: &[u8]| {
        let spaced: Vec<u8> = part.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
        percent_encoding::percent_decode(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
    };
    bytes
        .split(|b| *b == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let at = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
            Some((decode(&pair[..at])?, decode(pair.get(at + 1..).unwrap_or_default())?))
        })
        .collect()
}

/// Splits a query.
///
/// # Errors
/// Where it is not UTF-8.
pub fn read_query(query: &str) -> Result<Vec<(String, String)>, Issues> {
    let fault = || Fault::new("query_invalid", "must be percent-encoded UTF-8").at(vec!["query".into()]);
    read_urlencoded(query.as_bytes()).ok_or_else(|| fault().into())
}

/// Reads pairs of a query or a form.
///
/// # Errors
/// Every fault found.
pub fn read_pairs<T>(
    place: &'static str,
    pairs: impl Iterator<Item = (String, String)>,
    read: impl FnOnce(&mut Fields<'_, '_, Vec<String>>) -> Option<T>,
) -> Result<T, Issues> {
    let mut entries = BTreeMap::<String, Vec<String>>::new();
    for (key, text) in pairs {
        entries.entry(key).or_default().push(text);
    }
    let mut issues = Vec::new();
    let mut at = At { loc: vec![place.into()], issues: &mut issues };
    let mut fields = Fields { at: &mut at, entries };
    let value = read(&mut fields);
    fields.finish();
    match value {
        Some(value) if issues.is_empty() => Ok(value),
        _ => Err(Issues(issues)),
    }
}

/// Declares the object of a JSON body: the struct, how it is read, and how the document describes it.
macro_rules! body {
    ($($(#[doc = $doc:literal])* pub struct $name:ident { $($(#[doc = $fdoc:literal])* $field:ident: $type:ty,)* })*) => {$(
        $(#[doc = $doc])*
        #[derive(Debug)]
        pub struct $name {
            $($(#[doc = $fdoc])* pub $field: $type,)*
        }

        impl $crate::http::input::Object for $name {
            fn read_fields(fields: &mut $crate::http::input::Fields<'_, '_, $crate::http::input::Json>) -> Option<Self> {
                // All fields are read before the first missing one ends it, so that every fault is found.
                $(let $field = fields.field::<$type>(stringify!($field));)*
                Some(Self { $($field: $field?,)* })
            }
        }

        impl $crate::http::input::Field for $name {
            fn read(json: $crate::http::input::Json, at: &mut $crate::http::input::At<'_>) -> Option<Self> {
                $crate::http::input::read_object(json, at)
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
                    .description(Some($crate::http::input::sentence(&[$($doc),*])))
                    .additional_properties(Some(utoipa::openapi::schema::AdditionalProperties::FreeForm(false)));
                $(
                    let object = object.property(
                        stringify!($field),
                        $crate::http::input::describe(
                            <$type as $crate::http::input::Field>::schema(),
                            &[$($fdoc),*],
                        ),
                    );
                    let object = if <$type as $crate::http::input::Field>::REQUIRED { object.required(stringify!($field)) } else { object };
                )*
                object.into()
            }
        }

        impl utoipa::ToSchema for $name {
            fn schemas(schemas: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::Schema>)>) {
                $(<$type as $crate::http::input::Field>::referenced(schemas);)*
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
            fn read(fields: &mut $crate::http::input::Fields<'_, '_, Vec<String>>) -> Option<Self> {
                $(let $field = fields.param::<$type>(stringify!($field));)*
                Some(Self { $($field: $field?,)* })
            }
        }

        impl utoipa::IntoParams for $name {
            fn into_params(
                _: impl Fn() -> Option<utoipa::openapi::path::ParameterIn>,
            ) -> Vec<utoipa::openapi::path::Parameter> {
                vec![$($crate::http::input::parameter(
                    stringify!($field),
                    <$type as $crate::http::input::Param>::schema(),
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

/// A text that is passed on as it is, up to a length: opaque tokens, cursors, open sets of words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opaque<const MAX: usize>(pub String);

impl<const MAX: usize> Parse for Opaque<MAX> {
    fn parse(text: &str) -> Result<Self, Fault> {
        if text.is_empty() {
            return Err(Fault::new("string_too_short", "must not be empty"));
        }
        if text.chars().count() > MAX {
            return Err(Fault::new("string_too_long", format!("must have at most {MAX} characters")));
        }
        if text.chars().any(char::is_control) {
            return Err(Fault::new("string_control_characters", "must not contain control characters"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl<const MAX: usize> Field for Opaque<MAX> {
    fn read(json: Json, at: &mut At<'_>) -> Option<Self> {
        let text = string(json, at)?;
        Self::parse(&text).map_or_else(|fault| at.fault(fault), Some)
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(MAX))
            .pattern(Some("^[^\\x00-\\x1f\\x7f-\\x9f]+$"))
            .into()
    }
}

impl<const MAX: usize> Item for Opaque<MAX> {
    fn read_text(text: &str) -> Result<Self, Fault> {
        Self::parse(text)
    }

    fn schema() -> RefOr<Schema> {
        <Self as Field>::schema()
    }
}

/// The common spellings of IP addresses (RFC 4291 section 2.2).
fn ip_pattern() -> String {
    let byte = "(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])";
    let (group, v4) = ("[0-9a-fA-F]{1,4}", format!("{byte}([.]{byte}){{3}}"));
    // The groups before `::`, and how many may follow it.
    let short = (1..=6).map(|n| format!("({group}:){{{n}}}(:{group}){{1,{}}}", 7 - n));
    let mut forms =
        vec![v4, format!("({group}:){{7}}{group}"), format!("({group}:){{1,7}}:"), format!(":((:{group}){{1,7}}|:)")];
    forms.extend(short);
    format!("^({})$", forms.join("|"))
}

/// An IP address in any of its spellings.
impl Item for std::net::IpAddr {
    fn read_text(text: &str) -> Result<Self, Fault> {
        text.parse().map_err(|_| Fault::new("ip_parsing", "must be an IPv4 or IPv6 address"))
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .max_length(Some(45))
            .pattern(Some(ip_pattern()))
            .examples([serde_json::json!("203.0.113.10")])
            .into()
    }
}
