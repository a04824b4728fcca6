//! Searching by the beginnings of words, without regard to case and accents.
//!
//! A thing is found by its terms, each of which begins where a word of its names begins and goes on to the next white
//! space: `ada.lovelace@example.com` has `ada.lovelace@example.com`, `lovelace@example.com`, `@example.com` and
//! `example.com`. So what is searched for is compared literally, dots and all, and an ordered index answers.

use std::collections::BTreeSet;

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use crate::issue::{Fault, Parse};

/// The most terms that one thing has; the first ones count.
const TERMS_MAX: usize = 64;

/// What is searched for: words, all of which must be found; without any, everything is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search(Vec<String>);

impl Search {
    /// The longest text.
    pub const MAX: usize = 254;
    /// How many words count: the first ones.
    const WORDS_MAX: usize = 8;

    /// What terms must begin with, each with one of them at least.
    pub fn prefixes(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl Parse for Search {
    fn parse(text: &str) -> Result<Self, Fault> {
        if text.chars().count() > Self::MAX {
            return Err(Fault::new("string_too_long", format!("must have at most {} characters", Self::MAX)));
        }
        if text.chars().any(char::is_control) {
            return Err(Fault::new("string_control_characters", "must not contain control characters"));
        }
        let words: BTreeSet<_> = fold(text).split_whitespace().take(Self::WORDS_MAX).map(str::to_owned).collect();
        Ok(Self(without_beginnings(&words)))
    }
}

/// Something that can be searched for.
pub trait Searchable {
    /// The texts that it is found by.
    fn texts(&self) -> impl Iterator<Item = &str>;

    /// The terms that it is found by.
    fn terms(&self) -> Vec<String> {
        let mut terms = BTreeSet::new();
        for text in self.texts() {
            for word in fold(text).split_whitespace() {
                terms.extend(beginnings(word).map(str::to_owned));
            }
        }
        let mut terms = without_beginnings(&terms);
        terms.truncate(TERMS_MAX);
        terms
    }
}

/// The same text for all spellings of it: no case, no accents, no ligatures. Letters that are one to Unicode are what a
/// reader takes them for. Names are sorted by it, too, and so in the same order in every database.
#[must_use]
pub fn fold(text: &str) -> String {
    let lower: String = text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).collect();
    let mut key = String::new();
    // Lower case can bring marks back: the Turkish capital I with a dot.
    for letter in lower.nfkd().filter(|c| !is_combining_mark(*c)) {
        match letter {
            'ß' => key.push_str("ss"),
            'æ' => key.push_str("ae"),
            'œ' => key.push_str("oe"),
            'þ' => key.push_str("th"),
            'ø' => key.push('o'),
            'đ' | 'ð' => key.push('d'),
            'ł' => key.push('l'),
            'ı' => key.push('i'),
            letter => key.push(letter),
        }
    }
    key
}

/// A word from each place where one begins in it. The last part of a host is none: whoever types `co` is not looking for
/// everybody whose address ends in `.com`.
fn beginnings(word: &str) -> impl Iterator<Item = &str> {
    let last_part = word.rfind('@').and_then(|host| Some(host + word[host..].rfind('.')?)).unwrap_or(word.len());
    let mut inside = false;
    word.char_indices().filter_map(move |(at, c)| {
        let begins = at == 0 || c == '@' || (c.is_alphanumeric() && !inside && at < last_part);
        inside = c.is_alphanumeric();
        begins.then(|| &word[at..])
    })
}

/// Drops what another one begins with: whatever finds it finds that one. In order, such a one comes next.
fn without_beginnings(terms: &BTreeSet<String>) -> Vec<String> {
    let next = terms.iter().skip(1).map(Some).chain([None]);
    let pairs = terms.iter().zip(next);
    pairs
        .filter(|(term, next)| !next.is_some_and(|next| next.starts_with(*term)))
        .map(|(term, _)| term.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_without_regard_to_case_and_accents() {
        let mut names =
            ["zebra", "Zorn", "Ähre", "apple", "Østby", "oslo", "Straße 2", "strasse 1", "ÉCLAIR", "łódź", "lodge"];
        names.sort_by_key(|name| fold(name));
        let sorted =
            ["Ähre", "apple", "ÉCLAIR", "lodge", "łódź", "oslo", "Østby", "strasse 1", "Straße 2", "zebra", "Zorn"];
        assert_eq!(names, sorted);
    }

    struct Thing(&'static [&'static str]);

    impl Searchable for Thing {
        fn texts(&self) -> impl Iterator<Item = &str> {
            self.0.iter().copied()
        }
    }

    fn finds(search: &str, texts: &'static [&'static str]) -> bool {
        let terms = Thing(texts).terms();
        Search::parse(search).unwrap().prefixes().all(|prefix| terms.iter().any(|term| term.starts_with(prefix)))
    }

    const ADA: &[&str] = &["ada", "ada.lovelace@example.com", "Ada King-Noël"];

    #[test]
    fn words_are_found_by_their_beginnings_whatever_their_case_and_accents() {
        for search in [
            "a",
            "ADA",
            "love",
            "ada.love",
            "king",
            "king-noel",
            "NOËL",
            "noe\u{308}l",
            "ada noel",
            "@exa",
            "@EXAMPLE.COM",
            "ada.lovelace@example.com",
            "ada example.com",
            "exam",
        ] {
            assert!(finds(search, ADA), "{search}");
        }
        for search in ["da", "lace", "com", "ample.com", "ada bob", "kingnoel", "ada lovelace@example.org"] {
            assert!(!finds(search, ADA), "{search}");
        }
    }

    #[test]
    fn parts_of_hosts_and_letters_in_other_spellings_are_found() {
        const STAFF: &[&str] = &["wei\u{df}", "jo@sub.acme.example", "Işık Yıldız", "Łukasz Sørensen"];
        for search in [
            "sub",
            "acme",
            "acme.example",
            "sub.acme.example",
            "@sub",
            "weiss",
            "WEISS",
            "isik",
            "yildiz",
            "lukasz soren",
        ] {
            assert!(finds(search, STAFF), "{search}");
        }
        assert!(!finds("example", STAFF) && !finds("cme", STAFF));
        assert!(finds("localhost", &["jo@localhost"]));
    }

    #[test]
    fn what_other_searches_take_for_wildcards_is_compared_literally() {
        for search in ["%", "_", "a%", "a_a", "*", "ad?", "\\", "'", "[a-z]"] {
            assert!(!finds(search, ADA), "{search}");
        }
        assert!(
            finds("100%", &["100% Cotton"])
                && finds("%", &["% off"])
                && finds("a_b", &["a_b"])
                && !finds("a_b", &["a-b"])
        );
    }

    #[test]
    fn terms_are_few_and_none_begins_another() {
        assert_eq!(
            Thing(ADA).terms(),
            ["@example.com", "ada.lovelace@example.com", "example.com", "king-noel", "lovelace@example.com", "noel"]
        );
        let long: &'static str = Box::leak("a-b-".repeat(500).into_boxed_str());
        assert!(Thing(Box::leak(Box::new([long]))).terms().len() <= TERMS_MAX);
    }

    #[test]
    fn search_is_a_bounded_line_of_up_to_eight_words() {
        for bad in ["a\u{0}", "a\nb", &"x".repeat(255)] {
            assert!(Search::parse(bad).is_err(), "{bad:?}");
        }
        let words = |text| Search::parse(text).unwrap().prefixes().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(" Ada  ada ad "), ["ada"]);
        assert_eq!(words("8 7 6 5 4 3 2 1 0").len(), 8);
        assert!(words("  ").is_empty() && words("\u{301}").is_empty());
    }

    #[test]
    fn folding_is_stable() {
        for text in ["İstanbul", "STRASSE", "ﬁle", "Ǆ", "Ω", "ϓ"] {
            assert_eq!(fold(&fold(text)), fold(text), "{text}");
        }
    }
}
