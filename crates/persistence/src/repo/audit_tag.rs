//! What authenticates an event: a code over all of it. Address and user agent, and the values of what changed, are in it by
//! digests of their own, so that they can be erased and leave these.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use uuid::Uuid;

use crate::{
    db::mac::{Mac, Message, Use},
    entity::audit_event::Model,
};

/// A code.
pub(crate) type Code = [u8; 32];

/// The names of the fields that changed: what is left of them when their values are erased.
pub(crate) fn field_names(changes: &str) -> Option<Vec<String>> {
    serde_json::from_str::<BTreeMap<String, IgnoredAny>>(changes).ok().map(|fields| fields.into_keys().collect())
}

/// What erasing the values leaves.
pub(crate) fn without_values(names: &[String]) -> String {
    let fields: serde_json::Map<_, _> = names.iter().map(|name| (name.clone(), serde_json::json!({}))).collect();
    serde_json::Value::Object(fields).to_string()
}

/// The digest of where an event came from.
pub(crate) fn origin_digest(mac: &Mac, row: &Model) -> Code {
    let [ip, agent] = [&row.ip_address, &row.user_agent].map(|text| text.as_deref().map(str::as_bytes));
    mac.of(&Message::new(Use::Origin).fixed(row.id.as_bytes()).maybe(ip).maybe(agent))
}

/// The digest of what an event changed.
pub(crate) fn changes_digest(mac: &Mac, row: &Model) -> Code {
    let changes = row.changes.as_deref().map(str::as_bytes);
    mac.of(&Message::new(Use::Changes).fixed(row.id.as_bytes()).maybe(changes))
}

/// The tag that an event must have; none if it cannot have any: something was erased, and yet is there.
pub(crate) fn tag(mac: &Mac, row: &Model) -> Option<Code> {
    let names = row.changes.as_deref().map(field_names);
    let names = match names {
        Some(names) => names?,
        None => Vec::new(),
    };
    let origin = match &row.origin_digest {
        None => origin_digest(mac, row),
        Some(_) if row.ip_address.is_some() || row.user_agent.is_some() => return None,
        Some(digest) => digest.as_slice().try_into().ok()?,
    };
    let changes = match &row.changes_digest {
        None => changes_digest(mac, row),
        Some(_) if row.changes.as_ref().is_some_and(|changes| *changes != without_values(&names)) => return None,
        Some(digest) => digest.as_slice().try_into().ok()?,
    };
    let id = |id: &Option<Uuid>| id.map(Uuid::into_bytes);
    let text = |text: &Option<String>| text.as_ref().map(|text| text.as_bytes().to_vec());
    let mut message = Message::new(Use::Event)
        .fixed(row.id.as_bytes())
        .number(row.occurred_at)
        .fixed(row.tenant_id.as_bytes())
        .fixed(row.partner_id.as_bytes());
    for word in [&row.actor_type, &row.acting_as, &row.action, &row.resource_type, &row.result] {
        message = message.bytes(word.as_bytes());
    }
    for id in [id(&row.actor_id), id(&row.actor_session_id), id(&row.resource_id)] {
        message = message.maybe(id.as_ref().map(<[u8; 16]>::as_slice));
    }
    for text in [text(&row.failure), text(&row.reason), text(&row.request_id)] {
        message = message.maybe(text.as_deref());
    }
    message = message.number(i64::try_from(names.len()).unwrap_or(i64::MAX));
    for name in &names {
        message = message.bytes(name.as_bytes());
    }
    Some(mac.of(&message.fixed(&origin).fixed(&changes)))
}
