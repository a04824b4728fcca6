//! What holds between the fields of a body, which its type cannot say. Written as `if`, `then` and `else`: generators of
//! clients pass them over and still get one plain type, where alternatives (`oneOf`) would make several.

use serde_json::{Map, Value, json};

use crate::http::extract::file::MAX_FILE;

/// Adds the rules to the schemas.
pub(super) fn add(schemas: &mut Value) {
    let given = |name: &str, kind: &str| json!({ "required": [name], "properties": { name: { "type": kind } } });
    let user = "usr_01h455vb4pex5vsknk084sn02q";
    let session = "ses_01h455vb4pex5vsknk084sn02q";

    extend(
        &mut schemas["AdminRevokeRequest"],
        json!({
            "if": given("user_id", "string"),
            "then": { "properties": { "tenant_id": { "type": "null" } } },
            "else": given("tenant_id", "string"),
            "examples": [{ "user_id": user }],
        }),
    );
    extend(
        &mut schemas["SessionRevokeRequest"],
        json!({
            "if": { "required": ["session_ids"], "properties": { "session_ids": { "type": "array", "items": {} } } },
            "then": { "properties": { "revoke_all": { "const": false } } },
            "else": { "required": ["revoke_all"], "properties": { "revoke_all": { "const": true } } },
            "examples": [{ "session_ids": [session] }],
        }),
    );
    let level = |word: &str| json!({ "properties": { "level": { "const": word } } });
    let only = |one: &str, other: &str| {
        let mut rule = given(one, "string");
        rule["properties"][other] = json!({ "type": "null" });
        rule
    };
    extend(
        &mut schemas["AnchorRequest"],
        json!({
            "if": level("platform"),
            "then": { "properties": { "partner_id": { "type": "null" }, "tenant_id": { "type": "null" } } },
            "else": {
                "if": level("partner"),
                "then": only("partner_id", "tenant_id"),
                "else": only("tenant_id", "partner_id"),
            },
        }),
    );
    extend(&mut schemas["UserImportFile"], json!({ "minLength": 1, "maxLength": MAX_FILE }));
    // The form is described by hand, and its reader refuses what it does not know.
    extend(&mut schemas["LoginRequest"], json!({ "additionalProperties": false }));
}

fn extend(schema: &mut Value, mut rules: Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    let names: Vec<_> = schema.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::keys).collect();
    mention(&mut rules, &names);
    if let Value::Object(rules) = rules {
        schema.extend(rules);
    }
}

/// Names all fields in every branch: validators that look for forgotten fields judge each branch by itself.
fn mention(rule: &mut Value, names: &[&String]) {
    for word in ["if", "then", "else"] {
        let Some(branch) = rule.get_mut(word) else { continue };
        mention(branch, names);
        if let Some(fields) = branch.get_mut("properties").and_then(Value::as_object_mut) {
            for name in names {
                fields.entry(name.as_str()).or_insert(Value::Bool(true));
            }
        }
    }
}
