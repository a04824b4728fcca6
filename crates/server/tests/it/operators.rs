//! Who comes from above is an operator to a tenant: it sees what was done, not by whom and from where.

use std::sync::Arc;

use gatehouse_domain::{
    authz::{Actor, Area, Presence, ReadUsers, Right, TenantRef, UserActor, authorize},
    id::{JobId, PartnerId, SessionId, TenantId, UserId},
    import::Asker,
    issue::Parse,
    role::{Anchor, BuiltinRole},
};
use gatehouse_server::http::openapi;
use serde_json::{Value, json};

use crate::harness::{Person, Signed, Tenant, World, api_tests};

/// What the filters of the trail ask for, by where an event shows it.
const FILTERS: [(&str, &str); 6] = [
    ("actor_id", "/actor/id"),
    ("action", "/action"),
    ("resource_type", "/resource/type"),
    ("resource_id", "/resource/id"),
    ("result", "/result"),
    ("ip_address", "/ip_address"),
];
/// What else a list of events may be asked: where, when, and how it is cut.
const OTHERS: [&str; 8] =
    ["tenant_id", "partner_id", "created_after", "created_before", "page", "per_page", "cursor", "sort"];

/// A tenant, in which its own administrator, one of its partner and one of the platform have done the same, and another
/// tenant of the partner, where that one is at home.
struct Cast {
    tenant: Tenant,
    ada: Person,
    boss: Signed,
    carla: Signed,
    root: Signed,
}

impl Cast {
    async fn new(world: &World) -> Self {
        world.tick();
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        let boss = world.login(&world.tenant_admin(&tenant, "boss").await).await;
        let head = world.tenant_of(&tenant.partner_id, "head").await;
        let carla = world.login(&world.partner_admin(&head, "carla").await).await;
        let cast = Self { tenant, ada, boss, carla, root: world.admin().await };
        for (n, (by, ip)) in [(&cast.root, 1), (&cast.carla, 2), (&cast.boss, 3)].into_iter().enumerate() {
            let path = format!("/tenants/{}/settings", cast.tenant.id);
            let call =
                world.patch(&path).bearer(by).from([198, 51, 100, ip]).header("user-agent", &format!("agent {ip}"));
            call.json(json!({"max_sessions_per_user": 50 + n})).send().await.expect(200);
        }
        cast
    }

    /// The trail of the tenant by both doors, for whom each opens.
    fn doors(&self) -> [(&Signed, String); 5] {
        let inside = format!("/tenants/{}/audit-events", self.tenant.id);
        let above = "/admin/audit-events".to_owned();
        [
            (&self.boss, inside.clone()),
            (&self.carla, inside.clone()),
            (&self.carla, above.clone()),
            (&self.root, inside),
            (&self.root, above),
        ]
    }

    /// What tells who that is: user, session, address and agent.
    fn tells(&self, by: &Signed, ip: u8) -> [String; 4] {
        [by.user(), by.session(), format!("198.51.100.{ip}"), format!("agent {ip}")]
    }

    /// What the reader must not be shown.
    fn secrets(&self, reader: &Signed) -> Vec<String> {
        let (root, carla) = (self.tells(&self.root, 1), self.tells(&self.carla, 2));
        match reader.user() {
            user if user == self.boss.user() => root.into_iter().chain(carla).collect(),
            user if user == self.carla.user() => root.to_vec(),
            _ => Vec::new(),
        }
    }
}

async fn read(world: &World, reader: &Signed, path: &str) -> Vec<Value> {
    let answer = world.get(path).bearer(reader).send().await.expect(200);
    assert_eq!(answer.total(), answer.len() as u64, "{path}");
    answer.data().as_array().unwrap().clone()
}

fn shows<'e>(event: &'e Value, place: &str) -> Option<&'e str> {
    event.pointer(place).unwrap().as_str()
}

api_tests! {
    async fn tenant_sees_an_operator_where_those_above_see_who_it_was(world) {
        let cast = Cast::new(&world).await;
        let nobody = json!({"type": "operator", "id": null, "session_id": null, "acting_as": "tenant"});
        for (reader, door) in cast.doors() {
            let resource = format!("action=tenant.updated&resource_id={}", cast.tenant.id);
            let events = read(&world, reader, &format!("{door}?{resource}")).await;
            assert_eq!(events.len(), 3, "{door}");
            let secrets = cast.secrets(reader);
            for (event, (by, ip)) in events.iter().zip([(&cast.boss, 3), (&cast.carla, 2), (&cast.root, 1)]) {
                let [user, session, address, agent] = cast.tells(by, ip);
                if secrets.contains(&user) {
                    assert_eq!((&event["actor"], &event["ip_address"], &event["user_agent"]), (&nobody, &Value::Null, &Value::Null), "{door}");
                } else {
                    let actor = json!({"type": "user", "id": user, "session_id": session, "acting_as": "tenant"});
                    assert_eq!((&event["actor"], &event["ip_address"], &event["user_agent"]), (&actor, &json!(address), &json!(agent)), "{door}");
                }
                let one = world.get(&format!("{door}/{}", event["id"].as_str().unwrap())).bearer(reader).send().await.expect(200);
                assert_eq!(&one.data(), event, "{door}");
            }
            for form in ["ndjson", "csv"] {
                let file = world.get(&format!("{door}/export?format={form}&{resource}")).bearer(reader).send().await.expect(200);
                assert!(file.text.contains("agent 3") && secrets.iter().all(|it| !file.text.contains(it)), "{door} {form}: {}", file.text);
                assert_eq!(file.text.contains("operator"), !secrets.is_empty(), "{door} {form}");
            }
        }
    }

    async fn nothing_of_a_trail_names_an_operator_to_those_below(world) {
        let cast = Cast::new(&world).await;
        for (reader, door) in cast.doors() {
            let all = format!("{door}?per_page=200&tenant_id={}", cast.tenant.id);
            let all = if door.starts_with("/tenants") { format!("{door}?per_page=200") } else { all };
            let text = world.get(&all).bearer(reader).send().await.expect(200).text;
            for secret in cast.secrets(reader) {
                assert!(!text.contains(&secret), "{door}: {secret}");
            }
        }
    }

    async fn every_filter_of_a_trail_finds_what_it_shows_and_no_more(world) {
        let cast = Cast::new(&world).await;
        let document: Value = serde_json::from_str(openapi::COMMITTED).unwrap();
        let truth = read(&world, &cast.root, &format!("/tenants/{}/audit-events?per_page=200", cast.tenant.id)).await;
        let mut asked = 0;
        for (reader, door) in cast.doors() {
            let operation = if door.starts_with("/tenants") { "/api/v1/tenants/{tenant_id}/audit-events" } else { "/api/v1/admin/audit-events" };
            let all = read(&world, reader, &format!("{door}?per_page=200")).await;
            for parameter in document["paths"][operation]["get"]["parameters"].as_array().unwrap() {
                let name = parameter["name"].as_str().unwrap();
                let Some((_, place)) = FILTERS.into_iter().find(|(filter, _)| *filter == name) else {
                    assert!(OTHERS.contains(&name), "{name}: say where an event shows what this asks for");
                    continue;
                };
                let mut values: Vec<_> = truth.iter().filter_map(|event| shows(event, place)).collect();
                values.sort_unstable();
                values.dedup();
                for value in values {
                    for result in ["", "&result=success", "&result=failure"] {
                        let is_asked = |event: &&Value| shows(event, place) == Some(value) && (result.is_empty() || result.ends_with(shows(event, "/result").unwrap()));
                        if name == "result" && !result.is_empty() {
                            continue;
                        }
                        let found = read(&world, reader, &format!("{door}?per_page=200&{name}={value}{result}")).await;
                        let expected: Vec<_> = all.iter().filter(is_asked).cloned().collect();
                        assert_eq!(found, expected, "{door}: {name}={value}{result}");
                        asked += 1;
                        if !result.is_empty() {
                            continue;
                        }
                        let file = world.get(&format!("{door}/export?{name}={value}{result}")).bearer(reader).send().await.expect(200);
                        assert_eq!(file.text.lines().count(), expected.len(), "{door}: {name}={value}{result}");
                    }
                }
            }
        }
        assert!(asked > 100, "{asked}");
    }

    async fn session_that_an_operator_ended_does_not_say_who_that_was(world) {
        let cast = Cast::new(&world).await;
        for (by, seen) in [(&cast.root, [false, false, true]), (&cast.carla, [false, true, true]), (&cast.boss, [true; 3])] {
            let (ended, other) = (world.login(&cast.ada).await, world.login(&cast.ada).await);
            let inside = format!("/tenants/{}/sessions/{}", cast.tenant.id, ended.session());
            world.delete(&inside).bearer(by).send().await.expect(204);
            for (reader, seen) in [(&cast.boss, seen[0]), (&other, seen[0]), (&cast.carla, seen[1]), (&cast.root, seen[2])] {
                let session = world.get(&inside).bearer(reader).send().await.expect(200).data();
                assert_eq!(session["revoked_by"], if seen { json!(by.user()) } else { json!("operator") });
            }
            let own = world.get(&format!("/me/sessions/{}", ended.session())).bearer(&other).send().await.expect(200).data();
            assert_eq!(own["revoked_by"], if seen[0] { json!(by.user()) } else { json!("operator") });
        }
    }

    async fn import_of_an_operator_who_is_not_shown_is_not_one_of_the_command_line(world) {
        let cast = Cast::new(&world).await;
        let path = format!("/tenants/{}/user-imports", cast.tenant.id);
        let line = "{\"username\":\"u\",\"email\":\"u@x.example\"}\n";
        let made = world.post(&path).bearer(&cast.root).body("application/x-ndjson", line).send().await.expect(202);
        let id = JobId::parse(made.data()["id"].as_str().unwrap()).unwrap();
        let home = TenantRef { id: TenantId::parse(&cast.tenant.id).unwrap(), partner_id: PartnerId::parse(&cast.tenant.partner_id).unwrap() };
        let right = Right { anchor: Anchor::Tenant(home.id), permissions: BuiltinRole::TenantAdmin.permissions(), expires_at: None };
        let boss = Arc::new(Actor::User(UserActor {
            user_id: UserId::parse(&cast.boss.user()).unwrap(),
            tenant_id: home.id,
            partner_id: home.partner_id,
            session_id: SessionId::parse(&cast.boss.session()).unwrap(),
            presence: Presence::SignedIn,
            rights: vec![right],
            scope: None,
        }));
        let grant = authorize::<ReadUsers>(&boss, &Area::Tenant(home)).unwrap();
        let scope = world.app.db().scope(&grant);
        let session_id = SessionId::parse(&cast.root.session()).unwrap();
        for import in [scope.import(id).await.unwrap(), scope.active_import(home.id).await.unwrap()] {
            assert_eq!(import.unwrap().asker, Some(Asker::User { user_id: None, session_id, narrowed: None }));
        }
    }

    async fn import_that_an_operator_asked_for_does_not_say_who_that_was(world) {
        let cast = Cast::new(&world).await;
        let path = format!("/tenants/{}/user-imports", cast.tenant.id);
        for (n, (by, seen)) in [(&cast.root, [false, false, true]), (&cast.carla, [false, true, true]), (&cast.boss, [true; 3])].into_iter().enumerate() {
            let line = format!("{{\"username\":\"u{n}\",\"email\":\"u{n}@x.example\"}}\n");
            world.post(&path).bearer(by).body("application/x-ndjson", line).send().await.expect(202);
            world.work(gatehouse_domain::job::JobKind::UserImport).await;
            for (reader, seen) in [(&cast.boss, seen[0]), (&cast.carla, seen[1]), (&cast.root, seen[2])] {
                let import = world.get(&path).bearer(reader).send().await.expect(200).data()[0].clone();
                assert_eq!(import["created_by"], if seen { json!(by.user()) } else { Value::Null });
                let one = world.get(&format!("{path}/{}", import["id"].as_str().unwrap())).bearer(reader).send().await.expect(200);
                assert_eq!(one.data(), import);
            }
        }
    }
}
