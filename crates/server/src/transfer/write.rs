//! Users as lines.

use gatehouse_domain::user::UserCredentials;
use serde_json::{Value, json};

use crate::transfer::{
    FIELDS, Format,
    line::PASSED_OVER,
    table::{json_line, row},
};

/// How users are written: in which form, and whether with the hashes of their passwords.
#[derive(Debug, Clone, Copy)]
pub struct UserFile {
    /// The form.
    pub format: Format,
    /// Whether hashes are written.
    pub password_hashes: bool,
}

impl UserFile {
    fn columns(self) -> impl Iterator<Item = &'static str> {
        let besides = PASSED_OVER.into_iter().take(PASSED_OVER.len() - 1);
        let fields = FIELDS.into_iter().filter(move |name| self.password_hashes || *name != "password_hash");
        fields.chain(besides)
    }

    /// What comes before the first user.
    #[must_use]
    pub fn head(self) -> String {
        match self.format {
            Format::Ndjson => String::new(),
            Format::Csv => row(&self.columns().map(|name| Some(name.to_owned())).collect::<Vec<_>>()),
        }
    }

    /// A user.
    #[must_use]
    pub fn line(self, UserCredentials { user, hash }: &UserCredentials) -> String {
        let mut all = json!({
            "username": user.username,
            "email": user.email,
            "email_verified": user.email_verified,
            "display_name": user.display_name,
            "phone": user.phone,
            "status": user.status,
            "attributes": user.attributes,
            "password_hash": hash.as_ref().map(|hash| hash.as_str()),
            "created_at": user.created_at,
            "id": user.id,
            "updated_at": user.updated_at,
            "last_login_at": user.last_login_at,
        });
        match self.format {
            Format::Ndjson => {
                let fields: serde_json::Map<_, _> =
                    self.columns().map(|name| (name.to_owned(), all[name].take())).collect();
                json_line(Value::Object(fields).to_string())
            }
            Format::Csv => row(&self.columns().map(|name| text(&all[name])).collect::<Vec<_>>()),
        }
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Object(fields) if fields.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
