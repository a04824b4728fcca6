//! Lists: which page, in which order, with which filters; and how the answer leads to the next page.

use std::{
    collections::BTreeSet,
    future::{Ready, ready},
};

use actix_web::{FromRequest, HttpRequest, dev::Payload, web::Data};
use gatehouse_domain::{
    issue::{Fault, Issues},
    page::{Direction, Page, PageNumber, PageRequest, PerPage, Start},
};
use url::form_urlencoded;
use utoipa::openapi::{ObjectBuilder, schema::Type};

use crate::{
    app::App,
    http::{
        envelope::{PaginatedResponse, PaginationMeta},
        operation::{About, Describe},
        problem::Failure,
    },
    input::{Fields, Object, Opaque, Property, pairs, read_query},
    security::cursor::Cursor,
};

/// Filters that are those of a use case, written another way.
pub trait Narrow<F>: Object {
    /// As the use case takes them.
    fn narrow(&self) -> F;
}

/// The orders of a list.
pub trait Sort: Sized + Copy + 'static {
    /// Each field with its name; the first is the default.
    const FIELDS: &'static [(&'static str, Self)];
    /// Which way the list runs by default.
    const DIRECTION: Direction = Direction::Descending;
}

/// The order of lists that are sorted by creation only.
#[derive(Debug, Clone, Copy)]
pub struct ByCreation;

impl Sort for ByCreation {
    const FIELDS: &'static [(&'static str, Self)] = &[("created_at", Self)];
}

/// The order of lists that are sorted by creation or by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreationOrName {
    /// When it was made.
    Creation,
    /// Its name.
    Name,
}

impl Sort for CreationOrName {
    const FIELDS: &'static [(&'static str, Self)] = &[("created_at", Self::Creation), ("name", Self::Name)];
}

/// The words that such a list is sorted by.
pub(in crate::http) fn sort_words<S: Sort>() -> Vec<String> {
    S::FIELDS.iter().flat_map(|(name, _)| [format!("-{name}"), (*name).to_owned()]).collect()
}

/// The parameters that all lists have.
fn paging<S: Sort>() -> Vec<Property> {
    let sort = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(sort_words::<S>()));
    let default = sort_words::<S>().into_iter().nth(usize::from(S::DIRECTION == Direction::Ascending));
    vec![
        Property::of::<PageNumber>(
            "page",
            &["The number of the page, from 1; the first if there is no `cursor` either."],
        ),
        Property::of::<PerPage>("per_page", &["How many items a page has."]),
        Property::of::<Opaque<1024>>(
            "cursor",
            &["The `next_cursor` of another page of the same list; takes the place of `page`."],
        ),
        Property::of::<Opaque<64>>("sort", &["The order; `-` is descending."])
            .with(sort.default(default.map(Into::into))),
    ]
}

/// A list that was asked for.
#[derive(Debug)]
pub struct Listing<F, S> {
    /// The filters.
    pub filter: F,
    /// What it is sorted by.
    pub sort: S,
    /// Which way.
    pub direction: Direction,
    /// Which page.
    pub request: PageRequest,
    /// What the list is, for its cursors.
    name: String,
    /// The query without what says which page.
    query: String,
}

/// What an answer says of the list.
#[derive(Debug)]
pub struct Paging {
    number: u64,
    per_page: u64,
    total: u64,
    next_cursor: Option<String>,
    query: String,
}

/// How `page`, `per_page`, `cursor` and `sort` were given.
struct ListQuery<F, S> {
    filter: F,
    page: Option<PageNumber>,
    per_page: Option<PerPage>,
    cursor: Option<Opaque<1024>>,
    sort: (S, Direction),
}

impl<F: Object, S: Sort> Object for ListQuery<F, S> {
    fn read_fields(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let (page, per_page) = (fields.field("page"), fields.field("per_page"));
        let cursor = fields.field::<Option<Opaque<1024>>>("cursor");
        let sort = fields.field::<Option<Opaque<64>>>("sort");
        if matches!((&page, &cursor), (Some(Some(_)), Some(Some(_)))) {
            fields.fault("cursor", Fault::new("exclusive", "cannot be given together with page"));
        }
        let sort = match sort {
            Some(Some(Opaque(word))) => {
                let (name, direction) = match word.strip_prefix('-') {
                    Some(name) => (name, Direction::Descending),
                    None => (word.as_str(), Direction::Ascending),
                };
                let field = S::FIELDS.iter().find(|(known, _)| *known == name).map(|(_, field)| (*field, direction));
                if field.is_none() {
                    let words = sort_words::<S>().join(", ");
                    fields.fault("sort", Fault::new("enum", format!("must be one of {words}")));
                }
                field
            }
            Some(None) => S::FIELDS.first().map(|(_, field)| (*field, S::DIRECTION)),
            None => None,
        };
        let filter = F::read_fields(fields);
        Some(Self { filter: filter?, page: page?, per_page: per_page?, cursor: cursor?, sort: sort? })
    }

    fn properties() -> Vec<Property> {
        F::properties().into_iter().chain(paging::<S>()).collect()
    }
}

impl<F: Object, S: Sort> Listing<F, S> {
    fn parse(app: &App, path: &str, query: &str) -> Result<Self, Issues> {
        let pairs = pairs(query)?;
        let raw: ListQuery<F, S> = read_query(pairs.clone())?;
        // Two spellings of the same filters are the same list.
        let kept: BTreeSet<_> =
            pairs.into_iter().filter(|(key, text)| key != "page" && key != "cursor" && !text.is_empty()).collect();
        let listed = |skip: &str| {
            let kept = kept.iter().filter(|(key, _)| key != skip);
            form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).finish()
        };
        let name = format!("{path}?{}", listed("per_page"));
        let query = listed("");
        let (sort, direction) = raw.sort;
        let request = match raw.cursor {
            None => PageRequest {
                start: Start::Page(raw.page.unwrap_or(PageNumber::FIRST)),
                per_page: raw.per_page.unwrap_or(PerPage::DEFAULT),
            },
            Some(Opaque(text)) => {
                let cursor = app
                    .cursors()
                    .read(&name, &text)
                    .filter(|cursor| raw.per_page.is_none_or(|per_page| per_page == cursor.per_page));
                let fault = || {
                    Fault::new("invalid_cursor", "is not a cursor of this list, with these filters and this page size")
                };
                let cursor = cursor.ok_or_else(|| Issues::from(fault().at(vec!["query".into(), "cursor".into()])))?;
                PageRequest { start: Start::After(cursor.key, cursor.number), per_page: cursor.per_page }
            }
        };
        Ok(Self { filter: raw.filter, sort, direction, request, name, query })
    }
}

impl<F: Object + 'static, S: Sort> FromRequest for Listing<F, S> {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(app) = request.app_data::<Data<App>>() else { unreachable!("the application is part of every route") };
        ready(Self::parse(app, request.path(), request.query_string()).map_err(Failure::from))
    }
}

impl<F: Object, S: Sort> Describe for Listing<F, S> {
    const TAKES_QUERY: bool = true;

    fn describe(about: &mut About) {
        about.query(ListQuery::<F, S>::properties());
    }
}

impl<F, S> Listing<F, S> {
    /// The answer with a page of the list.
    pub fn respond<T, U>(self, app: &App, page: Page<T>, item: impl FnMut(T) -> U) -> PaginatedResponse<U> {
        let number = self.request.number();
        let cursor = |key| Cursor { key, number: number.next(), per_page: self.request.per_page };
        let paging = Paging {
            number: number.get(),
            per_page: self.request.per_page.get(),
            total: page.total,
            next_cursor: page.next.map(|key| app.cursors().write(&self.name, &cursor(key))),
            query: self.query,
        };
        PaginatedResponse { items: page.items.into_iter().map(item).collect(), paging }
    }
}

impl Paging {
    const fn pages(&self) -> u64 {
        self.total.div_ceil(self.per_page)
    }

    /// What the body says.
    #[must_use]
    pub fn meta(&self) -> PaginationMeta {
        PaginationMeta {
            page: u32::try_from(self.number).unwrap_or(u32::MAX),
            per_page: u32::try_from(self.per_page).unwrap_or(u32::MAX),
            total_items: self.total,
            total_pages: self.pages(),
            next_cursor: self.next_cursor.clone(),
        }
    }

    /// What the `Link` header says (RFC 8288).
    #[must_use]
    pub fn links(&self, path: &str) -> String {
        let and = if self.query.is_empty() { "" } else { "&" };
        let to =
            |rel: &str, key: &str, value: &str| format!("<{path}?{}{and}{key}={value}>; rel=\"{rel}\"", self.query);
        let mut links = vec![to("first", "page", "1")];
        if self.number > 1 {
            links.push(to("prev", "page", &(self.number - 1).to_string()));
        }
        if let Some(cursor) = &self.next_cursor {
            links.push(to("next", "cursor", cursor));
        }
        links.push(to("last", "page", &Ord::max(self.pages(), 1).to_string()));
        links.join(", ")
    }
}
