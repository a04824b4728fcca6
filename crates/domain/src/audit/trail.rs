//! The audit trail as it is read.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    audit::ResourceKind,
    authz::ActorId,
    id::{AuditEventId, PartnerId, SessionId, TenantId},
    issue::{Fault, Parse},
    time::Timestamp,
    word::{Word, words},
};

words! {
    /// What came of it.
    AuditResult {
        /// It was refused.
        Failure = "failure",
        /// It was done.
        Success = "success",
    }
}

/// One thing that happened, as it is stored. Words are texts: rows outlive the releases that knew them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// Its id.
    pub id: AuditEventId,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// The tenant it happened in, unless it concerns none.
    pub tenant_id: Option<TenantId>,
    /// The partner of that tenant at the time, or the one it concerns.
    pub partner_id: Option<PartnerId>,
    /// `user`, `application` or `system`, or [`AuditEvent::OPERATOR`].
    pub actor_type: String,
    /// The user or application, if it was one.
    pub actor_id: Option<ActorId>,
    /// The session that was used.
    pub actor_session_id: Option<SessionId>,
    /// As what the actor acted: `platform`, `partner`, `tenant`, `own` or `system`.
    pub acting_as: String,
    /// What.
    pub action: String,
    /// To what kind of thing.
    pub resource_type: String,
    /// To which, as text.
    pub resource_id: Option<String>,
    /// `success` or `failure`.
    pub result: String,
    /// Why it failed, if it did.
    pub failure: Option<String>,
    /// Why it was done.
    pub reason: Option<String>,
    /// What changed, by field.
    pub changes: Vec<FieldChange>,
    /// Where it was asked for.
    pub ip_address: Option<String>,
    /// With what.
    pub user_agent: Option<String>,
    /// In which request.
    pub request_id: Option<String>,
}

impl AuditEvent {
    /// The type of an actor of whom the reader is shown no more than that.
    pub const OPERATOR: &str = "operator";

    /// Without who it was, from where, and through which session.
    #[must_use]
    pub fn by_operator(self) -> Self {
        Self {
            actor_type: Self::OPERATOR.to_owned(),
            actor_id: None,
            actor_session_id: None,
            ip_address: None,
            user_agent: None,
            ..self
        }
    }
}

/// Old and new value of one field. Texts are as they are; anything else is JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// The field; one in an object has its path: `settings.session_max_days`.
    pub field: String,
    /// What it was; `None` where there was nothing.
    pub old: Option<String>,
    /// What it is; `None` where there is nothing.
    pub new: Option<String>,
}

impl FieldChange {
    /// What [`crate::audit::Fields::to_json`] wrote, by field in alphabetical order. Of objects, only what differs.
    ///
    /// # Errors
    /// When the text is none of that form.
    pub fn read(stored: &str) -> serde_json::Result<Vec<Self>> {
        Ok(Self::of(&serde_json::from_str(stored)?))
    }

    pub(super) fn of(fields: &Map<String, Value>) -> Vec<Self> {
        let mut changes = Vec::new();
        for (field, change) in fields {
            // What has been erased leaves its name.
            if change.as_object().is_some_and(Map::is_empty) {
                changes.push(Self { field: field.clone(), old: None, new: None });
                continue;
            }
            let side = |name: &str| change.get(name).unwrap_or(&Value::Null);
            compare(field.clone(), side("old"), side("new"), &mut changes);
        }
        changes.sort_by(|a, b| a.field.cmp(&b.field));
        changes
    }
}

fn compare(field: String, old: &Value, new: &Value, changes: &mut Vec<FieldChange>) {
    let empty = Map::new();
    let inside = match (old, new) {
        (Value::Object(old), Value::Object(new)) => Some((old, new)),
        (Value::Null, Value::Object(new)) => Some((&empty, new)),
        (Value::Object(old), Value::Null) => Some((old, &empty)),
        _ => None,
    };
    let Some((old_inside, new_inside)) = inside else {
        if old != new {
            changes.push(FieldChange { field, old: text(old), new: text(new) });
        }
        return;
    };
    let added = new_inside.keys().filter(|key| !old_inside.contains_key(*key));
    for key in old_inside.keys().chain(added) {
        let side = |object: &Map<String, Value>| object.get(key).cloned().unwrap_or(Value::Null);
        compare(format!("{field}.{key}"), &side(old_inside), &side(new_inside), changes);
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// The id of anything that events are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceId {
    /// Of what kind it is.
    pub kind: ResourceKind,
    /// The form that is stored.
    pub uuid: Uuid,
}

impl Parse for ResourceId {
    fn parse(text: &str) -> Result<Self, Fault> {
        let of = |kind: ResourceKind| kind.parse(text).map(|uuid| Self { kind, uuid });
        let known = ResourceKind::ALL.iter().find_map(|(kind, _)| of(*kind));
        known.ok_or(Fault::new("id_parsing", "not an id of anything that events are about"))
    }
}

impl ResourceId {
    /// What the text form matches (ECMA-262).
    #[must_use]
    pub fn pattern() -> String {
        let prefixes: Vec<_> = ResourceKind::ALL.iter().filter_map(|(kind, _)| kind.prefix()).collect();
        format!("^({})_[0-7][0-9a-hjkmnp-tv-z]{{25}}$", prefixes.join("|"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Fields;

    fn read(fields: &Fields) -> Vec<(String, Option<String>, Option<String>)> {
        let changes = FieldChange::read(&fields.to_json()).unwrap();
        changes.into_iter().map(|change| (change.field, change.old, change.new)).collect()
    }

    #[test]
    fn changes_read_back_as_texts_by_field() {
        let mut fields = Fields::default();
        fields.change("phone", None::<&str>, "+34 600").change("email_verified", true, false).set("name", "Ada");
        let some = |text: &str| Some(text.to_owned());
        let expected = [
            ("email_verified".to_owned(), some("true"), some("false")),
            ("name".to_owned(), None, some("Ada")),
            ("phone".to_owned(), None, some("+34 600")),
        ];
        assert_eq!(read(&fields), expected);
    }

    #[test]
    fn change_of_an_object_shows_only_the_parts_that_differ() {
        let mut fields = Fields::default();
        let (old, new) =
            (serde_json::json!({"a": 1, "b": {"c": [1]}}), serde_json::json!({"a": 1, "b": {"c": [2]}, "d": "x"}));
        fields.change("settings", old, new);
        let some = |text: &str| Some(text.to_owned());
        let expected =
            [("settings.b.c".to_owned(), some("[1]"), some("[2]")), ("settings.d".to_owned(), None, some("x"))];
        assert_eq!(read(&fields), expected);
    }

    #[test]
    fn id_of_a_resource_tells_its_kind() {
        for (kind, _) in ResourceKind::ALL.iter().filter(|(kind, _)| kind.prefix().is_some()) {
            let uuid = Uuid::from_u128(7);
            assert_eq!(ResourceId::parse(&kind.text(uuid)).unwrap(), ResourceId { kind: *kind, uuid });
        }
        assert!(ResourceId::parse("whk_01h455vb4pex5vsknk084sn02q").is_err());
    }
}
