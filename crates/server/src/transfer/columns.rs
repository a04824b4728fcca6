//! What the columns of a table are, and the fields of a line of JSON.

use crate::{
    input::Raw,
    transfer::line::{FIELDS, PASSED_OVER},
};

/// What a column of another system is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// A field of a line.
    Field(&'static str),
    /// An attribute of this name.
    Attribute(String),
    /// Nothing.
    PassedOver,
    /// It has no heading, so it has no cells either.
    Unnamed,
}

/// Names of another system, and what they are here.
#[derive(Debug, Clone, Default)]
pub struct Names(Vec<(String, Column)>);

impl Names {
    /// `theirs=ours`, where ours is a field, or `attributes.` and the name of one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn map(&mut self, rule: &str) -> Result<(), String> {
        let (theirs, ours) = rule.rsplit_once('=').ok_or_else(|| format!("{rule:?} is not of the form theirs=ours"))?;
        let field = FIELDS.into_iter().find(|name| *name == ours).map(Column::Field);
        let attribute = ours.strip_prefix("attributes.").filter(|name| !name.is_empty());
        let column = field.or_else(|| attribute.map(|name| Column::Attribute(name.to_owned())));
        let known = || format!("{ours:?} is not known; known are {} and attributes.NAME", FIELDS.join(", "));
        self.0.push((theirs.to_owned(), column.ok_or_else(known)?));
        Ok(())
    }

    /// Passes over what has that name.
    pub fn ignore(&mut self, theirs: &str) {
        self.0.push((theirs.to_owned(), Column::PassedOver));
    }

    fn said(&self, theirs: &str) -> Option<Column> {
        self.0.iter().find(|(name, _)| name == theirs).map(|(_, column)| column.clone())
    }

    /// What a heading says: as it is mapped, or else without regard to case and white space around it. None is known of
    /// such a name.
    pub(super) fn column(&self, heading: &str) -> Option<Column> {
        let folded = heading.trim().to_ascii_lowercase();
        if let Some(said) = self.said(heading).or_else(|| self.said(heading.trim())) {
            return Some(said);
        }
        if folded.is_empty() {
            return Some(Column::Unnamed);
        }
        let field = FIELDS.into_iter().find(|name| *name == folded).map(Column::Field);
        field.or_else(|| PASSED_OVER.contains(&&*folded).then_some(Column::PassedOver))
    }

    /// The fields of a line of JSON under the names that they have here.
    pub(super) fn rename(&self, fields: Vec<(String, Raw)>) -> Vec<(String, Raw)> {
        let mut line = Line::default();
        for (name, value) in fields {
            match self.said(&name) {
                Some(column) => line.put(&column, value),
                None => line.fields.push((name, value)),
            }
        }
        line.fields()
    }
}

/// The fields of a line, as they come.
#[derive(Default)]
pub(super) struct Line {
    fields: Vec<(String, Raw)>,
    attributes: Vec<(String, Raw)>,
}

impl Line {
    pub(super) fn put(&mut self, column: &Column, value: Raw) {
        match column {
            Column::Field(name) => self.fields.push(((*name).to_owned(), value)),
            Column::Attribute(name) => self.attributes.push((name.clone(), value)),
            Column::PassedOver | Column::Unnamed => {}
        }
    }

    pub(super) fn fields(mut self) -> Vec<(String, Raw)> {
        let named = self.fields.iter_mut().find(|(name, _)| name == "attributes");
        match named {
            _ if self.attributes.is_empty() => {}
            Some((_, Raw::Object(attributes))) => attributes.append(&mut self.attributes),
            // What is no object there is a fault of the line.
            Some(_) => {}
            None => self.fields.push(("attributes".to_owned(), Raw::Object(self.attributes))),
        }
        self.fields
    }
}
