//! From bytes to values: the border where everything hostile stops.
//!
//! A body or query is read field by field into types that cannot be invalid, collecting every fault on the way.
//! Unknown fields, repeated keys and a depth beyond 64 are faults like any other, so nothing a caller sends is
//! silently without effect.

mod attributes;
mod declare;
mod jwks;
mod pairs;
mod presence;
mod raw;
mod value;

use std::collections::BTreeMap;

use gatehouse_domain::issue::{Fault, Issues, Loc, beginning};
use utoipa::openapi::{RefOr, Schema};

pub use attributes::AttributesField;
pub use declare::{Property, form_schema, object_schema};
pub(crate) use declare::{input, sentence};
pub use pairs::{no_query, pairs, read_form, read_query, read_urlencoded};
pub use presence::{Flag, Many, Patch, Set};
pub use raw::Raw;
pub use value::{Opaque, parse, permission_words, text, word};

/// A place in the input, and where faults found there go. A place is built only for a fault: an input can have many
/// thousands of values, deep down, under long keys.
#[derive(Debug)]
pub struct At<'a> {
    place: Location<'a>,
    issues: &'a mut Issues,
}

/// A step on the way to a value, behind those before it.
#[derive(Debug, Clone, Copy)]
struct Location<'a> {
    outer: Option<&'a Location<'a>>,
    step: Step<'a>,
}

/// A key or a position.
#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

impl Location<'_> {
    fn loc(&self) -> Vec<Loc> {
        let step = |place: &Location<'_>| match place.step {
            Step::Key(key) => Loc::Key(beginning(key, Issues::STEP_MAX).to_owned().into()),
            Step::Index(index) => Loc::Index(index),
        };
        let mut loc: Vec<_> = std::iter::successors(Some(self), |place| place.outer).map(step).collect();
        loc.reverse();
        loc
    }
}

impl<'a> At<'a> {
    /// The whole of an input.
    const fn root(name: &'static str, issues: &'a mut Issues) -> Self {
        Self { place: Location { outer: None, step: Step::Key(name) }, issues }
    }

    /// Notes a fault here.
    pub fn fail(&mut self, fault: Fault) {
        if !self.issues.is_full() {
            self.issues.push(fault.at(self.place.loc()));
        }
    }

    /// Notes a fault here, and gives no value.
    pub fn fault<T>(&mut self, fault: Fault) -> Option<T> {
        self.fail(fault);
        None
    }

    fn inside<T>(&mut self, step: Step<'_>, read: impl FnOnce(&mut At<'_>) -> T) -> T {
        read(&mut At { place: Location { outer: Some(&self.place), step }, issues: self.issues })
    }
}

/// A value under a name, however it was sent: in a JSON body, in a form, in a query. One declaration says how it is read
/// and how the document describes it.
pub trait Field: Sized {
    /// Whether it must be there.
    const REQUIRED: bool = true;
    /// Reads it.
    fn read(raw: Raw, at: &mut At<'_>) -> Option<Self>;
    /// What it is when it is not there; `None` where it must be.
    fn absent() -> Option<Self> {
        None
    }
    /// How the document describes it.
    fn schema() -> RefOr<Schema>;
    /// How the document describes it in a form or a query, where nothing is `null`.
    fn text_schema() -> RefOr<Schema> {
        Self::schema()
    }
    /// The schemas that the description refers to.
    fn referenced(_schemas: &mut Vec<(String, RefOr<Schema>)>) {}
}

/// The fields of an object that have not been read yet.
#[derive(Debug)]
pub struct Fields<'a, 'i> {
    at: &'a mut At<'i>,
    entries: BTreeMap<String, Raw>,
}

impl Fields<'_, '_> {
    /// Reads a field.
    pub fn field<T: Field>(&mut self, name: &'static str) -> Option<T> {
        match self.entries.remove(name) {
            None => T::absent().or_else(|| self.missing(name)),
            // A key of a query without a text.
            Some(Raw::Texts(texts)) if texts.is_empty() => T::absent().or_else(|| self.missing(name)),
            Some(raw) => self.at.inside(Step::Key(name), |at| T::read(raw, at)),
        }
    }

    /// Drops a field that means nothing here.
    pub fn ignore(&mut self, name: &str) {
        self.entries.remove(name);
    }

    fn missing<T>(&mut self, name: &'static str) -> Option<T> {
        self.at.inside(Step::Key(name), |at| at.fault(Fault::new("missing", "is required")))
    }

    /// Notes a fault with a field.
    pub fn fault(&mut self, name: &'static str, fault: Fault) {
        self.at.inside(Step::Key(name), |at| at.fail(fault));
    }

    fn finish(self) {
        for name in self.entries.keys() {
            self.at.inside(Step::Key(name), |at| at.fail(Fault::new("extra_forbidden", "is not known here")));
        }
    }
}

/// Fields that belong together: a JSON body or an object in one, a form, a query. [`input!`] declares one.
pub trait Object: Sized {
    /// What the document calls it.
    const NAME: &'static str = "";
    /// What the document says of it, line by line.
    const DOC: &'static [&'static str] = &[];
    /// Reads its fields.
    fn read_fields(fields: &mut Fields<'_, '_>) -> Option<Self>;
    /// What the document says of each.
    fn properties() -> Vec<Property>;
}

/// No field at all.
impl Object for () {
    fn read_fields(_: &mut Fields<'_, '_>) -> Option<Self> {
        Some(())
    }

    fn properties() -> Vec<Property> {
        Vec::new()
    }
}

/// The fields of one thing and those that it shares with others.
impl<A: Object, B: Object> Object for (A, B) {
    fn read_fields(fields: &mut Fields<'_, '_>) -> Option<Self> {
        // Both, so that the faults of both are reported.
        let (a, b) = (A::read_fields(fields), B::read_fields(fields));
        Some((a?, b?))
    }

    fn properties() -> Vec<Property> {
        A::properties().into_iter().chain(B::properties()).collect()
    }
}

/// Reads an object, and refuses what it does not know.
pub fn read_object<T: Object>(json: Raw, at: &mut At<'_>) -> Option<T> {
    let Raw::Object(entries) = json else { return at.fault(Fault::new("object_type", "must be an object")) };
    read_entries(entries.into_iter().collect(), at)
}

fn read_entries<T: Object>(entries: BTreeMap<String, Raw>, at: &mut At<'_>) -> Option<T> {
    let mut fields = Fields { at, entries };
    let object = T::read_fields(&mut fields);
    fields.finish();
    object
}

/// Reads a JSON body.
///
/// # Errors
/// Every fault found.
pub fn read_body<T: Object>(bytes: &[u8]) -> Result<T, Issues> {
    let refused = |kind, msg| Err(Fault::new(kind, msg).at(vec!["body".into()]).into());
    if bytes.is_empty() {
        return refused("missing", "a JSON body is required");
    }
    match serde_json::from_slice(bytes) {
        Ok(json) => read_json(json),
        Err(_) => refused("json_invalid", "must be JSON in UTF-8"),
    }
}

/// Reads an object that has been taken apart.
///
/// # Errors
/// Every fault found.
pub fn read_json<T: Object>(json: Raw) -> Result<T, Issues> {
    let mut issues = Issues::default();
    json.audit(1, &mut At::root("body", &mut issues));
    if !issues.is_empty() {
        return Err(issues);
    }
    let object = read_object(json, &mut At::root("body", &mut issues));
    match object {
        Some(object) if issues.is_empty() => Ok(object),
        _ => Err(issues),
    }
}
