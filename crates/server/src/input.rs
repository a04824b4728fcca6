//! From bytes to values: the border where everything hostile stops.
//!
//! A body or query is read field by field into types that cannot be invalid, collecting every fault on the way.
//! Unknown fields, repeated keys and a depth beyond 64 are faults like any other, so nothing a caller sends is
//! silently without effect.

mod declare;
mod json;
mod pairs;
mod presence;
mod value;

use std::collections::BTreeMap;

use gatehouse_domain::issue::{Fault, Issues, Loc, Parse, beginning};
use utoipa::openapi::{RefOr, Schema};

pub(crate) use declare::{body, describe, parameter, query, sentence};
pub use json::Json;
pub use pairs::{no_query, read_pairs, read_query, read_urlencoded};
pub use presence::{Flag, Many, Patch, Set};
pub use value::Opaque;

/// A place in the input, and where faults found there go. A place is built only for a fault: an input can have many
/// thousands of values, deep down, under long keys.
#[derive(Debug)]
pub struct At<'a> {
    place: Place<'a>,
    issues: &'a mut Issues,
}

/// A step on the way to a value, behind those before it.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    outer: Option<&'a Place<'a>>,
    step: Step<'a>,
}

/// A key or a position.
#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

impl Place<'_> {
    fn loc(&self) -> Vec<Loc> {
        let step = |place: &Place<'_>| match place.step {
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
        Self { place: Place { outer: None, step: Step::Key(name) }, issues }
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
        read(&mut At { place: Place { outer: Some(&self.place), step }, issues: self.issues })
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
            Some(json) => self.at.inside(Step::Key(name), |at| T::read(json, at)),
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
        self.at.inside(Step::Key(name), |at| T::read(texts, at))
    }

    /// Reads a text of a form that must be given once.
    pub fn text<T: Parse>(&mut self, name: &'static str) -> Option<T> {
        match self.entries.remove(name).as_deref() {
            None | Some([]) => self.missing(name),
            Some([text]) => {
                self.at.inside(Step::Key(name), |at| T::parse(text).map_or_else(|fault| at.fault(fault), Some))
            }
            Some(_) => {
                self.at.inside(Step::Key(name), |at| at.fault(Fault::new("duplicate_key", "must not be repeated")))
            }
        }
    }

    /// Reads a text of a form that may be left out.
    pub fn optional_text<T: Parse>(&mut self, name: &'static str) -> Option<Option<T>> {
        if self.entries.contains_key(name) { self.text(name).map(Some) } else { Some(None) }
    }

    /// Drops a field that means nothing here.
    pub fn ignore(&mut self, name: &str) {
        self.entries.remove(name);
    }
}

impl<V> Fields<'_, '_, V> {
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
    let refused = |kind, msg| Err(Fault::new(kind, msg).at(vec!["body".into()]).into());
    if bytes.is_empty() {
        return refused("missing", "a JSON body is required");
    }
    match serde_json::from_slice(bytes) {
        Ok(json) => read_json(json),
        Err(_) => refused("json_invalid", "must be JSON in UTF-8"),
    }
}

/// Reads JSON that has been taken apart.
///
/// # Errors
/// Every fault found.
pub fn read_json<T: Object>(json: Json) -> Result<T, Issues> {
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
