//! Pages of lists.

use uuid::Uuid;

use crate::{
    issue::{Fault, Parse},
    time::Timestamp,
};

/// How many items one page holds: 1 to 200.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PerPage(u16);

impl PerPage {
    /// What a caller gets who does not ask.
    pub const DEFAULT: Self = Self(50);
    /// The most a caller may ask for.
    pub const MAX: u16 = 200;
    /// The least a caller may ask for.
    pub const LEAST: Self = Self(1);
    /// The most a caller may ask for.
    pub const GREATEST: Self = Self(Self::MAX);

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0 as u64
    }
}

impl Parse for PerPage {
    fn parse(text: &str) -> Result<Self, Fault> {
        match whole(text)? {
            n @ 1..=200 => Ok(Self(n as u16)),
            _ => Err(Fault::new("page_size", "must be a whole number from 1 to 200")),
        }
    }
}

/// The number of a page, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageNumber(u32);

impl PageNumber {
    /// The first page.
    pub const FIRST: Self = Self(1);
    /// The greatest number that is accepted; with it no offset overflows.
    pub const MAX: u32 = 2_147_483_647;

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0 as u64
    }

    /// The page after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(Ord::min(self.0 + 1, Self::MAX))
    }
}

impl Parse for PageNumber {
    fn parse(text: &str) -> Result<Self, Fault> {
        match whole(text)? {
            n @ 1..=2_147_483_647 => Ok(Self(n as u32)),
            _ => Err(Fault::new("page_number", "must be a whole number from 1 to 2147483647")),
        }
    }
}

fn whole(text: &str) -> Result<u64, Fault> {
    // `u64::from_str` would take a leading `+`.
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().map_err(|_| Fault::new("int_parsing", "must be a whole number"));
    }
    Err(Fault::new("int_parsing", "must be a whole number"))
}

/// The place of an item in a list: its value of the sort field, and its id where values are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The value of the sort field.
    pub value: KeyValue,
    /// The item's id.
    pub id: Uuid,
}

/// A value that lists are sorted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyValue {
    /// An instant.
    At(Timestamp),
    /// A text, compared byte by byte.
    Text(String),
    /// A number.
    Number(u64),
}

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// By its number: skips `(page - 1) × per_page` items.
    Page(PageNumber),
    /// Behind an item; the number is carried along for display.
    After(Key, PageNumber),
}

/// Which page of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// Where it begins.
    pub start: Start,
    /// How long it is.
    pub per_page: PerPage,
}

impl PageRequest {
    /// The number of the page.
    #[must_use]
    pub const fn number(&self) -> PageNumber {
        match &self.start {
            Start::Page(number) | Start::After(_, number) => *number,
        }
    }

    /// How many items lie before it, when it is asked for by number.
    #[must_use]
    pub fn offset(&self) -> u64 {
        match &self.start {
            Start::Page(number) => (number.get() - 1) * self.per_page.get(),
            Start::After(..) => 0,
        }
    }

    /// The item that it begins behind, when it is asked for by cursor.
    #[must_use]
    pub const fn after(&self) -> Option<&Key> {
        match &self.start {
            Start::Page(_) => None,
            Start::After(key, _) => Some(key),
        }
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, in order.
    pub items: Vec<T>,
    /// How many items the whole list has, as far as the caller may see it.
    pub total: u64,
    /// The place of the last item, if more follow.
    pub next: Option<Key>,
}

impl<T> Page<T> {
    /// The page of a list that has nothing the caller may see.
    #[must_use]
    pub const fn empty() -> Self {
        Self { items: Vec::new(), total: 0, next: None }
    }

    /// The same page with each item made into another.
    #[must_use]
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(f).collect(), total: self.total, next: self.next }
    }
}

/// Which way a list runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Greatest first.
    Descending,
}

/// A page of a short list that is known as a whole, sorted by names that are unique.
pub fn of<T: Clone, N: Ord + AsRef<str>>(
    items: impl Iterator<Item = T>,
    direction: Direction,
    request: &PageRequest,
    name: impl Fn(&T) -> N,
) -> Page<T> {
    let mut all: Vec<_> = items.collect();
    all.sort_by_key(&name);
    if direction == Direction::Descending {
        all.reverse();
    }
    let start = match request.after() {
        Some(Key { value: KeyValue::Text(last), .. }) => match direction {
            Direction::Ascending => all.partition_point(|item| name(item).as_ref() <= last.as_str()),
            Direction::Descending => all.partition_point(|item| name(item).as_ref() >= last.as_str()),
        },
        _ => usize::try_from(request.offset()).unwrap_or(usize::MAX),
    };
    let per_page = usize::from(request.per_page.0);
    let items: Vec<_> = all.iter().skip(start).take(per_page).cloned().collect();
    let is_last = start.saturating_add(per_page) >= all.len();
    let key = |item: &T| Key { value: KeyValue::Text(name(item).as_ref().to_owned()), id: Uuid::nil() };
    Page { next: items.last().filter(|_| !is_last).map(key), total: all.len() as u64, items }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_list_is_walked_by_number_and_by_place_both_ways() {
        let names = ["c", "a", "e", "b", "d"];
        for (direction, expected) in [(Direction::Ascending, "abcde"), (Direction::Descending, "edcba")] {
            let (mut walked, mut start) = (String::new(), Start::Page(PageNumber::FIRST));
            for number in 1..=3 {
                let request = PageRequest { start, per_page: PerPage(2) };
                let page = of(names.into_iter(), direction, &request, |name| *name);
                assert_eq!(page.total, 5);
                let by_number = PageRequest { start: Start::Page(PageNumber(number)), ..request.clone() };
                assert_eq!(of(names.into_iter(), direction, &by_number, |name| *name), page);
                walked.extend(page.items);
                let Some(next) = page.next else { break };
                start = Start::After(next, request.number().next());
            }
            assert_eq!(walked, expected);
        }
        let beyond = PageRequest { start: Start::Page(PageNumber(PageNumber::MAX)), per_page: PerPage(200) };
        assert_eq!(of(names.into_iter(), Direction::Ascending, &beyond, |name| *name).items.len(), 0);
    }

    #[test]
    fn page_size_is_1_to_200() {
        assert_eq!(PerPage::parse("200").unwrap().get(), 200);
        for bad in ["0", "201", "-1", "+5", "1.0", "", " 1", "99999999999999999999"] {
            assert!(PerPage::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn page_number_is_positive_and_bounded() {
        assert_eq!(PageNumber::parse("2147483647").unwrap().next().get(), 2_147_483_647);
        for bad in ["0", "2147483648", "-1", "x"] {
            assert!(PageNumber::parse(bad).is_err(), "{bad}");
        }
    }
}
