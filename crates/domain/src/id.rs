//! Typed identifiers.
//!
//! Outside the database an id is a [TypeID](https://github.com/jetify-com/typeid): a prefix that names the kind and
//! 26 characters of Crockford base32 over a UUIDv7. Ids are sortable by creation, random in 74 bits, never reused,
//! and never a credential.

use std::fmt;

use uuid::Uuid;

use crate::issue::{Fault, Parse};

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Length of the part after the prefix and its underscore.
pub const SUFFIX_LEN: usize = 26;

fn encode(uuid: Uuid) -> [u8; SUFFIX_LEN] {
    let mut bits = uuid.as_u128();
    let mut out = [0; SUFFIX_LEN];
    for slot in out.iter_mut().rev() {
        *slot = ALPHABET[(bits & 31) as usize];
        bits >>= 5;
    }
    out
}

fn decode(suffix: &str) -> Option<Uuid> {
    let bytes = suffix.as_bytes();
    // 26 × 5 bits hold 130; a first character above 7 would overflow 128.
    if bytes.len() != SUFFIX_LEN || bytes[0] > b'7' {
        return None;
    }
    bytes
        .iter()
        .try_fold(0u128, |bits, byte| ALPHABET.iter().position(|c| c == byte).map(|digit| (bits << 5) | digit as u128))
        .map(Uuid::from_u128)
}

/// An id as text.
pub(crate) fn text(prefix: &str, id: Uuid) -> String {
    format!("{prefix}_{}", String::from_utf8_lossy(&encode(id)))
}

/// The id that a text with this prefix stands for.
pub(crate) fn parse(prefix: &str, text: &str) -> Option<Uuid> {
    text.strip_prefix(prefix)?.strip_prefix('_').and_then(decode)
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// The prefix of the text form, without its underscore.
            pub const PREFIX: &'static str = $prefix;
            /// What the text form matches (ECMA-262).
            pub const PATTERN: &'static str = concat!("^", $prefix, "_[0-7][0-9a-hjkmnp-tv-z]{25}$");

            /// A UUIDv7 from the milliseconds since 1970 and ten random bytes.
            #[must_use]
            pub fn from_parts(unix_millis: u64, random: [u8; 10]) -> Self {
                Self(uuid::Builder::from_unix_timestamp_millis(unix_millis, &random).into_uuid())
            }

            /// Takes a stored id back.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The form that is stored.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let suffix = encode(self.0);
                f.write_str(concat!($prefix, "_"))?;
                f.write_str(std::str::from_utf8(&suffix).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Parse for $name {
            fn parse(text: &str) -> Result<Self, Fault> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(decode)
                    .map(Self)
                    .ok_or(Fault::new("id_parsing", concat!("not an id of the form ", $prefix, "_ and 26 characters")))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut text = [0; $prefix.len() + 1 + SUFFIX_LEN];
                text[..$prefix.len()].copy_from_slice($prefix.as_bytes());
                text[$prefix.len()] = b'_';
                text[$prefix.len() + 1..].copy_from_slice(&encode(self.0));
                serializer.serialize_str(std::str::from_utf8(&text).map_err(serde::ser::Error::custom)?)
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .min_length(Some($prefix.len() + 1 + SUFFIX_LEN))
                    .max_length(Some($prefix.len() + 1 + SUFFIX_LEN))
                    .pattern(Some(Self::PATTERN))
                    .examples([serde_json::json!(concat!($prefix, "_01h455vb4pex5vsknk084sn02q"))])
                    .into()
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $name {}
    )*};
}

ids! {
    /// A partner: owner of tenants.
    PartnerId = "prt";
    /// A tenant: owner of users.
    TenantId = "tnt";
    /// A user of one tenant.
    UserId = "usr";
    /// A role, built-in or a tenant's own.
    RoleId = "rol";
    /// A role given to a user at an anchor.
    AssignmentId = "asg";
    /// A sign-in of a user on a device.
    SessionId = "ses";
    /// A device that a user signed in from before.
    DeviceId = "dev";
    /// An OAuth client.
    ApplicationId = "app";
    /// What an authorization code was exchanged for.
    FamilyId = "fam";
    /// A row of the audit trail.
    AuditEventId = "aud";
    /// A signing key; its text form is the JWK `kid`.
    KeyId = "key";
    /// Work that takes longer than a request.
    JobId = "job";
    /// A mail that waits to be sent.
    MailId = "eml";
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_form_is_the_typeid_of_the_uuid() {
        // The example of the TypeID specification.
        let uuid = Uuid::parse_str("01890a5d-ac96-774b-bcce-b302099a8057").unwrap();
        assert_eq!(SessionId::from_uuid(uuid).to_string(), "ses_01h455vb4pex5vsknk084sn02q");
    }

    #[test]
    fn foreign_prefixes_lengths_cases_and_overflows_are_refused() {
        for bad in [
            "",
            "ses_",
            "usr_01h455vb4pex5vsknk084sn02q",
            "ses_01h455vb4pex5vsknk084sn02",
            "ses_01h455vb4pex5vsknk084sn02qq",
            "ses_01H455VB4PEX5VSKNK084SN02Q",
            "ses_81h455vb4pex5vsknk084sn02q",
            "ses_01h455vb4pex5vsknk084sn02i",
            "ses-01h455vb4pex5vsknk084sn02q",
            "ses_01h455vb4pex5vsknk084sn02é",
        ] {
            assert!(SessionId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ids_made_later_sort_later() {
        let early = SessionId::from_parts(1, [255; 10]);
        let late = SessionId::from_parts(2, [0; 10]);
        assert!(early < late && early.to_string() < late.to_string());
    }

    proptest! {
        #[test]
        fn every_uuid_survives_the_text_form(bits in any::<u128>()) {
            let id = UserId::from_uuid(Uuid::from_u128(bits));
            prop_assert_eq!(UserId::parse(&id.to_string()).unwrap(), id);
        }
    }
}
