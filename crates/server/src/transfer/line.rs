//! One line: read by the same rules as a body of the API, every fault of it reported at once.

use gatehouse_domain::{
    issue::{Issue, Issues, Loc},
    secret::PasswordHash,
    text::{DisplayName, Email, Phone, Username},
    time::Timestamp,
    user::{ImportedUser, UserStatus},
};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, schema::Type};

use crate::{
    app::transfer::imports::LineFault,
    input::{At, AttributesField, Field, Raw, input, read_json, text},
    security::password::adopt,
    transfer::REJECTED,
};

/// What a line may say.
pub const FIELDS: [&str; 9] = [
    "username",
    "email",
    "email_verified",
    "display_name",
    "phone",
    "status",
    "attributes",
    "password_hash",
    "created_at",
];
/// What an export says besides, and why a line was rejected: passed over.
pub(super) const PASSED_OVER: [&str; 4] = ["id", "updated_at", "last_login_at", REJECTED];

input! {
    /// A user from another system.
    pub struct ImportUserLine {
        /// The user name.
        username: Username,
        /// The e-mail address.
        email: Email,
        /// Whether the mailbox is known to be the user's.
        email_verified: Option<bool>,
        /// How the user is addressed.
        display_name: Option<DisplayName>,
        /// Where to call.
        phone: Option<Phone>,
        /// Where the user stands: `ACTIVE` unless given if there is a password, else `INVITED`.
        status: Option<UserStatus>,
        /// Free data for applications.
        attributes: Option<AttributesField>,
        /// The hash of the password, as the other system stored it.
        password_hash: Option<AdoptedHash>,
        /// When the account was opened.
        created_at: Option<Timestamp>,
    }
}

/// A hash of a format that is known.
#[derive(Debug)]
pub struct AdoptedHash(PasswordHash);

impl Field for AdoptedHash {
    fn read(raw: Raw, at: &mut At<'_>) -> Option<Self> {
        adopt(&text(raw, at)?).map_or_else(|fault| at.fault(fault), |hash| Some(Self(hash)))
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).into()
    }
}

/// Whom the fields of a line describe.
pub(super) fn read(mut fields: Vec<(String, Raw)>) -> Result<ImportedUser, Vec<LineFault>> {
    fields.retain(|(name, _)| !PASSED_OVER.contains(&&**name));
    let line: ImportUserLine = read_json(Raw::Object(fields)).map_err(faults)?;
    Ok(ImportedUser {
        username: line.username,
        email: line.email,
        email_verified: line.email_verified,
        display_name: line.display_name,
        phone: line.phone,
        status: line.status,
        attributes: line.attributes.map(AttributesField::into_inner),
        hash: line.password_hash.map(|hash| hash.0),
        created_at: line.created_at,
    })
}

/// The text of a cell as the field of that name has it in JSON; nothing for an empty one.
pub(super) fn cell(name: &str, text: &str) -> Option<Raw> {
    if text.is_empty() {
        return None;
    }
    let json = match name {
        "email_verified" => match text {
            "true" | "TRUE" | "1" => Raw::Bool(true),
            "false" | "FALSE" | "0" => Raw::Bool(false),
            other => Raw::String(other.to_owned()),
        },
        "attributes" => serde_json::from_str(text).unwrap_or_else(|_| Raw::String(text.to_owned())),
        _ => Raw::String(text.to_owned()),
    };
    Some(json)
}

fn faults(issues: Issues) -> Vec<LineFault> {
    issues.iter().map(fault).collect()
}

fn fault(issue: &Issue) -> LineFault {
    let steps = issue.loc.iter().skip(1).map(|step| match step {
        Loc::Key(key) => key.to_string(),
        Loc::Index(index) => index.to_string(),
    });
    LineFault::new(&steps.collect::<Vec<_>>().join("."), issue.kind, &*issue.msg)
}
