//! Instants, exact to the microsecond.
//!
//! Both databases store the same integer, so a value read back equals the value written and text order never
//! matters. Durations are [`std::time::Duration`].

use std::{fmt, time::Duration};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::issue::{Fault, Parse};

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(i64);

/// A minute.
pub const MINUTE: Duration = Duration::from_secs(60);
/// One hour, the grain of statistics.
pub const HOUR: Duration = Duration::from_secs(3_600);
/// One day.
pub const DAY: Duration = Duration::from_secs(86_400);

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl Timestamp {
    /// Takes a stored instant back.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The stored form.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since 1970, as UUIDv7 wants them; zero before 1970.
    #[must_use]
    pub fn unix_millis(self) -> u64 {
        u64::try_from(self.0 / 1_000).unwrap_or(0)
    }

    /// Whole seconds since 1970, as JWT wants them (RFC 7519 section 2, NumericDate).
    #[must_use]
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The instant `duration` later, saturating.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }

    /// The instant `duration` earlier, saturating.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(micros(duration)))
    }

    /// How long after `earlier` this is; zero if it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The number of the hour since 1970 that this instant lies in.
    #[must_use]
    pub const fn hour(self) -> i64 {
        self.0.div_euclid(3_600_000_000)
    }

    /// The first instant of an hour counted since 1970.
    #[must_use]
    pub const fn from_hour(hour: i64) -> Self {
        Self(hour * 3_600_000_000)
    }
}

/// How an instant is shown that RFC 3339 cannot write. None is ever read; if one is stored, it must not spoil a list.
const FAR: &[u8; 27] = b"9999-12-31T23:59:59.999999Z";

impl Timestamp {
    /// RFC 3339 in UTC with six decimals; `None` outside the years 0 to 9999. Written digit by digit: every answer has
    /// several of these, and the formatting machinery costs several times as much.
    fn text(self) -> Option<[u8; 27]> {
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000).ok()?;
        let (year, month, day) = at.to_calendar_date();
        let (hour, minute, second, micro) = at.to_hms_micro();
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        let mut put = |end: usize, digits: usize, mut n: u32| {
            for slot in text[end - digits..end].iter_mut().rev() {
                *slot = b'0' + (n % 10) as u8;
                n /= 10;
            }
        };
        put(4, 4, u32::try_from(year).ok()?);
        put(7, 2, u8::from(month).into());
        put(10, 2, day.into());
        put(13, 2, hour.into());
        put(16, 2, minute.into());
        put(19, 2, second.into());
        put(26, 6, micro);
        Some(text)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with six decimals: `2026-01-31T09:30:00.000000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text().unwrap_or(*FAR)).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The offset of a time as RFC 3339 writes it, where generated clients do not: `+0000` (Python), and behind a blank (Rust).
fn respelt(text: &str) -> String {
    let (time, offset) = text.split_at_checked(19).unwrap_or((text, ""));
    let at = offset.rfind(['+', '-']).unwrap_or(offset.len());
    let (fraction, offset) = offset.split_at(at);
    let (time, fraction) = (time.replacen(' ', "T", 1), fraction.strip_suffix(' ').unwrap_or(fraction));
    match offset.split_at_checked(3) {
        Some((hours, minutes)) if minutes.len() == 2 => format!("{time}{fraction}{hours}:{minutes}"),
        _ => format!("{time}{fraction}{offset}"),
    }
}

impl Parse for Timestamp {
    fn parse(text: &str) -> Result<Self, Fault> {
        let fault = || Fault::new("datetime_parsing", "not an RFC 3339 date and time such as 2026-01-31T09:30:00Z");
        let at = OffsetDateTime::parse(text, &Rfc3339);
        let at = at.or_else(|_| OffsetDateTime::parse(&respelt(text), &Rfc3339)).map_err(|_| fault())?;
        let micros = at.unix_timestamp_nanos().div_euclid(1_000);
        // What cannot be written again is not read: an offset can lead out of the years 0 to 9999.
        i64::try_from(micros).map(Self).ok().filter(|at| at.text().is_some()).ok_or_else(fault)
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.text().unwrap_or(*FAR);
        serializer.serialize_str(std::str::from_utf8(&text).map_err(serde::ser::Error::custom)?)
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for Timestamp {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::DateTime)))
            .examples([serde_json::json!("2026-01-31T09:30:00.000000Z")])
            .into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for Timestamp {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_is_utc_and_keeps_microseconds() {
        let at = Timestamp::parse("2026-01-31T10:30:00.123456789+01:00").unwrap();
        assert_eq!(at.to_string(), "2026-01-31T09:30:00.123456Z");
    }

    #[test]
    fn text_without_a_zone_is_refused() {
        for bad in ["", "2026-01-31", "2026-01-31T09:30:00", "1769851800", "2026-13-01T00:00:00Z"] {
            assert!(Timestamp::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn offset_is_read_as_generated_clients_write_it() {
        let at = Timestamp::parse("2026-11-20T09:30:00.5+01:00").unwrap();
        for same in ["2026-11-20T09:30:00.5+0100", "2026-11-20T09:30:00.5 +01:00", "2026-11-20 09:30:00.5 +01:00"] {
            assert_eq!(Timestamp::parse(same).unwrap(), at, "{same}");
        }
        assert!(Timestamp::parse("2026-11-20T09:30:00-0000").is_ok());
        for bad in
            ["2026-11-20 09:30:00", "2026-11-20T09:30:00 ", "2026-11-20T09:30:00+01", "2026-11-20T09:30:00 Z", "ä"]
        {
            assert!(Timestamp::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Timestamp(i64::MAX).plus(DAY), Timestamp(i64::MAX));
        assert_eq!(Timestamp(5).since(Timestamp(9)), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn every_instant_of_this_era_survives_its_text(micros in -62_167_219_200_000_000i64..=253_402_300_799_999_999) {
            let at = Timestamp::from_micros(micros);
            prop_assert_eq!(Timestamp::parse(&at.to_string()).unwrap(), at);
        }
    }

    #[test]
    fn instant_that_cannot_be_written_is_not_read_and_is_shown_as_the_last_that_can() {
        for text in ["9999-12-31T23:59:59-00:01", "0000-01-01T00:00:00+00:01"] {
            assert!(Timestamp::parse(text).is_err(), "{text}");
        }
        for text in ["9999-12-31T23:59:59Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59+01:00"] {
            assert!(Timestamp::parse(text).is_ok(), "{text}");
        }
        assert_eq!(Timestamp::from_micros(i64::MAX).to_string(), "9999-12-31T23:59:59.999999Z");
        assert_eq!(
            serde_json::to_string(&Timestamp::from_micros(i64::MAX)).unwrap(),
            "\"9999-12-31T23:59:59.999999Z\""
        );
    }
}
