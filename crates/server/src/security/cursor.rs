//! Cursors: the place in a list behind which the next page begins, opaque and authenticated.
//!
//! A cursor is bound to the list it came from: the route, the caller's filters and the order. It carries the number
//! and length of the page it leads to.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gatehouse_domain::{
    issue::Parse,
    page::{Key, KeyValue, PageNumber, PerPage},
    time::Timestamp,
};
use uuid::Uuid;

use crate::security::keyring::{Keyring, TAG_LEN, equal};

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The last item before it.
    pub key: Key,
    /// Its number.
    pub number: PageNumber,
    /// Its length.
    pub per_page: PerPage,
}

fn tag(keyring: &Keyring, body: &[u8], list: &str) -> [u8; TAG_LEN] {
    keyring.cursor_tag(&[body, &[0], list.as_bytes()].concat())
}

/// Writes a cursor for a list.
#[must_use]
pub fn write(keyring: &Keyring, list: &str, cursor: &Cursor) -> String {
    let value = match &cursor.key.value {
        KeyValue::At(at) => format!("t{}", at.micros()),
        KeyValue::Text(text) => format!("s{text}"),
        KeyValue::Number(number) => format!("n{number}"),
    };
    let body = format!("1 {} {} {} {value}", cursor.number.get(), cursor.per_page.get(), cursor.key.id.simple());
    let mut bytes = tag(keyring, body.as_bytes(), list).to_vec();
    bytes.extend_from_slice(body.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads a cursor of ours for the same list; `None` for anything else.
#[must_use]
pub fn read(keyring: &Keyring, list: &str, text: &str) -> Option<Cursor> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (sent, body) = bytes.split_first_chunk::<TAG_LEN>()?;
    if !equal(sent, &tag(keyring, body, list)) {
        return None;
    }
    let mut parts = std::str::from_utf8(body).ok()?.splitn(5, ' ');
    if parts.next() != Some("1") {
        return None;
    }
    let number = PageNumber::parse(parts.next()?).ok()?;
    let per_page = PerPage::parse(parts.next()?).ok()?;
    let id = Uuid::try_parse(parts.next()?).ok()?;
    let (kind, value) = parts.next()?.split_at_checked(1)?;
    let value = match kind {
        "t" => KeyValue::At(Timestamp::from_micros(value.parse().ok()?)),
        "s" => KeyValue::Text(value.to_owned()),
        "n" => KeyValue::Number(value.parse().ok()?),
        _ => return None,
    };
    Some(Cursor { key: Key { value, id }, number, per_page })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::master_key::MasterKey;

    fn cursor(value: KeyValue) -> Cursor {
        Cursor {
            key: Key { value, id: Uuid::from_u128(5) },
            number: PageNumber::parse("3").unwrap(),
            per_page: PerPage::parse("50").unwrap(),
        }
    }

    #[test]
    fn cursor_reads_back_for_its_own_list_only() {
        let keyring = Keyring::new(&MasterKey::new([1; 32]));
        let text = KeyValue::Text("a name with blanks".into());
        for value in [KeyValue::At(Timestamp::from_micros(-7)), text, KeyValue::Number(7)] {
            let cursor = cursor(value);
            let text = write(&keyring, "sessions?active", &cursor);
            assert_eq!(read(&keyring, "sessions?active", &text), Some(cursor));
            assert_eq!(read(&keyring, "sessions?all", &text), None);
            assert_eq!(read(&Keyring::new(&MasterKey::new([2; 32])), "sessions?active", &text), None);
        }
    }

    #[test]
    fn edited_cursor_is_refused() {
        let keyring = Keyring::new(&MasterKey::new([1; 32]));
        let bytes = URL_SAFE_NO_PAD.decode(write(&keyring, "l", &cursor(KeyValue::At(Timestamp::default())))).unwrap();
        for i in 0..bytes.len() {
            let mut edited = bytes.clone();
            edited[i] ^= 1;
            assert_eq!(read(&keyring, "l", &URL_SAFE_NO_PAD.encode(edited)), None);
        }
        for bad in ["", "AAAA", "not base64!", &"A".repeat(10_000)] {
            assert_eq!(read(&keyring, "l", bad), None);
        }
    }
}
