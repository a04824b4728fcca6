//! One line: read by the same rules as a body of the API, every fault of it reported at once.

use gatehouse_domain::{
    issue::{Issue, Issues, Loc, Parse},
    secret::PasswordHash,
    text::{DisplayName, Email, Phone, Username},
    time::Timestamp,
    user::{ImportedUser, ORIGINAL_USERNAME, UserStatus},
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
        /// The user name: the address if there is none.
        username: Option<Username>,
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

/// Whom the fields of a line describe. A hash that cannot be checked is a fault, unless its user comes without a password.
pub(super) fn read(mut fields: Vec<(String, Raw)>, without_password: bool) -> Result<ImportedUser, Vec<LineFault>> {
    fields.retain(|(name, _)| !PASSED_OVER.contains(&&**name));
    for (_, value) in fields.iter_mut().filter(|(name, _)| name == "attributes") {
        scalars_to_texts(value);
    }
    let original_username = original_name(&mut fields);
    if without_password {
        drop_unsupported_hash(&mut fields);
    }
    let line: ImportUserLine = read_json(Raw::Object(fields)).map_err(faults)?;
    if line.username.as_ref().is_some_and(|name| !name.suits(&line.email)) {
        let message = "is an address, and not the user's own: only that may be a user name";
        return Err(vec![LineFault::new("username", "username_address", message)]);
    }
    let has_room = |name: &String| match &line.attributes {
        Some(attributes) => attributes.has_room(ORIGINAL_USERNAME, name),
        None => AttributesField::default().has_room(ORIGINAL_USERNAME, name),
    };
    if original_username.as_ref().is_some_and(|name| !has_room(name)) {
        let message = "cannot be a user name here, and there is no room for it among the attributes";
        return Err(vec![LineFault::new("username", "username_unfit", message)]);
    }
    Ok(ImportedUser {
        original_username,
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

/// Attributes are texts here. A number too large to be exact is none, as it may be an id.
fn scalars_to_texts(attributes: &mut Raw) {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let Raw::Object(entries) = attributes else { return };
    entries.retain(|(_, value)| !matches!(value, Raw::Null));
    for (_, value) in entries {
        let text = match value {
            Raw::Bool(value) => value.to_string(),
            Raw::Number(number) if !number.is_f64() || number.as_f64().is_some_and(|n| n.abs() < EXACT) => {
                number.to_string()
            }
            _ => continue,
        };
        *value = Raw::String(text);
    }
}

/// The text of a field, and where it is; none if it is there twice, which is a fault.
fn only<'a>(fields: &'a [(String, Raw)], name: &str) -> Option<(usize, &'a str)> {
    let mut all = fields.iter().enumerate().filter(|(_, (field, _))| field == name);
    match (all.next(), all.next()) {
        (Some((at, (_, Raw::String(text)))), None) => Some((at, text)),
        _ => None,
    }
}

/// Takes a name out that cannot be a user name here. The address takes its place, with which its user signs in anyway, so
/// only a line with one may have such a name.
fn original_name(fields: &mut Vec<(String, Raw)>) -> Option<String> {
    let (at, name) = only(fields, "username").filter(|(_, name)| !name.contains('@'))?;
    let (_, email) = only(fields, "email")?;
    if Username::parse(name).is_ok() || Email::parse(email).is_err() {
        return None;
    }
    let name = name.trim().to_owned();
    fields.remove(at);
    Some(name).filter(|name| !name.is_empty())
}

/// Takes a hash out that cannot be checked.
fn drop_unsupported_hash(fields: &mut Vec<(String, Raw)>) {
    if let Some((at, _)) = only(fields, "password_hash").filter(|(_, hash)| adopt(hash).is_err()) {
        fields.remove(at);
    }
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
