//! What a body may not say has no effect, and is not passed over in silence either: every column of every table, sent
//! along with a good body, is a fault of its own.

use std::collections::BTreeSet;

use gatehouse_persistence::Target;
use serde_json::{Map, Value, json};
use sqlx::{Connection, PgConnection, SqliteConnection};

use super::{
    cast::{Cast, Whose},
    operation::operations,
};
use crate::harness::{PASSWORD, World, api_tests};

/// Names that attackers try besides those of columns.
const TRIED: [&str; 12] = [
    "__proto__",
    "anchor_level",
    "constructor",
    "is_admin",
    "is_superuser",
    "password",
    "permission",
    "rol_id",
    "role",
    "roles",
    "scope",
    "verified",
];

/// The name of every column there is.
async fn columns(world: &World) -> BTreeSet<String> {
    let names: Vec<String> = match world.target() {
        Target::Sqlite(path) => {
            let mut connection = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
            let sql = "SELECT DISTINCT c.name FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table'";
            sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap()
        }
        Target::Postgres(url) => {
            let mut connection = PgConnection::connect(url.expose()).await.unwrap();
            let sql = "SELECT DISTINCT column_name::text FROM information_schema.columns WHERE table_schema = current_schema()";
            sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap()
        }
    };
    assert!(names.iter().any(|name| name == "password_hash"), "{names:?}");
    names.into_iter().chain(TRIED.map(str::to_owned)).collect()
}

fn document() -> Value {
    serde_json::from_str(gatehouse_server::http::openapi::COMMITTED).unwrap()
}

/// The schema behind a reference, also behind one that admits null.
fn resolved<'d>(document: &'d Value, schema: &'d Value) -> &'d Value {
    let alternatives = schema["oneOf"].as_array().into_iter().flatten();
    let reference = alternatives.chain([schema]).find_map(|one| one["$ref"].as_str());
    reference.map_or(schema, |path| document.pointer(path.trim_start_matches('#')).unwrap())
}

/// Adds to an object, and to the objects in it, every name that its schema does not have; returns the faults to come.
fn spoil(
    document: &Value,
    schema: &Value,
    body: &mut Map<String, Value>,
    names: &BTreeSet<String>,
    at: &str,
) -> Vec<String> {
    let schema = resolved(document, schema);
    assert_eq!(schema["additionalProperties"], json!(false), "{at}: {schema}");
    let properties = schema["properties"].as_object().unwrap();
    let mut faults = Vec::new();
    for (name, property) in properties {
        let property = resolved(document, property);
        if property.get("properties").is_some() {
            let inner = body.entry(name.clone()).or_insert_with(|| json!({})).as_object_mut().unwrap();
            faults.extend(spoil(document, property, inner, names, &format!("{at}.{name}")));
        }
    }
    for name in names.iter().filter(|name| !properties.contains_key(*name)) {
        body.insert(name.clone(), json!("ACTIVE"));
        faults.push(format!("{at}.{name} extra_forbidden"));
    }
    faults
}

api_tests! {
    async fn names_that_no_body_may_say_are_each_refused_by_every_operation(world) {
        let cast = Cast::new(&world).await;
        let (names, document) = (columns(&world).await, document());
        let actor = cast.actor("platform");
        let token = cast.token(actor).await.unwrap();
        let target = cast.target(actor, Whose::Another, true).await;
        let before = cast.everything().await;
        for operation in operations().iter().filter(|operation| operation.takes_body && operation.id != "auth.login") {
            let item = &document["paths"][format!("/api/v1{}", operation.path)];
            let content = &item[operation.method.as_str().to_lowercase()]["requestBody"]["content"];
            let schema = &content["application/json"]["schema"];
            // An answer tells 50 faults, and a body has up to four objects.
            for names in Vec::from_iter(&names).chunks(12) {
                let names = names.iter().map(|name| (*name).clone()).collect();
                let Value::Object(mut body) = operation.body(&target) else { unreachable!("a body is an object") };
                let mut expected = spoil(&document, schema, &mut body, &names, "body");
                if expected.is_empty() {
                    continue;
                }
                let call = world.call(operation.method.clone(), &operation.path(&target)).json(body.into());
                let mut faults = call.bearer(&token).send().await.faults();
                faults.sort();
                expected.sort();
                assert_eq!(faults, expected, "{}", operation.id);
            }
        }
        assert_eq!(cast.everything().await, before);
    }

    async fn names_that_no_sign_in_form_may_say_are_each_refused(world) {
        let tenant = world.tenant("acme").await;
        world.person(&tenant, "ada").await;
        let names: Vec<_> = columns(&world).await.into_iter().filter(|name| !known_to_sign_in(name)).collect();
        // A form has at most 32 fields.
        for names in names.chunks(25) {
            let mut fields = vec![("username", "ada"), ("password", PASSWORD)];
            fields.extend(names.iter().map(|name| (name.as_str(), "ACTIVE")));
            let mut faults = world.post("/auth/tenants/acme/login").form(&fields).send().await.faults();
            faults.sort();
            let mut expected: Vec<_> = names.iter().map(|name| format!("body.{name} extra_forbidden")).collect();
            expected.sort();
            assert_eq!(faults, expected);
        }
    }
}

/// What the form takes, and what clients of the OAuth 2.0 password grant send along.
fn known_to_sign_in(name: &str) -> bool {
    ["username", "password", "grant_type", "scope", "client_id", "client_secret"].contains(&name)
}
