//! Whatever an operation changes is in the trail, with who did it, from where, and in which request; and so is what was
//! refused.

use actix_web::http::Method;
use serde_json::{Value, json};

use super::{
    cast::{Cast, Whose, import},
    operation::{Operation, operations},
};
use crate::harness::{World, api_tests};

/// What needs a token that was handed out: the tests of these look at their events.
const WITH_TOKENS: [&str; 2] = ["auth.invitations.accept", "setup.create"];

async fn events(world: &World, request: &str) -> Vec<Value> {
    let path = "/admin/audit-events?per_page=50";
    let answer = world.get(path).bearer(world.admin().await).send().await.expect(200);
    answer.data().as_array().unwrap().iter().filter(|event| event["request_id"] == request).cloned().collect()
}

fn changes(operation: &Operation) -> bool {
    operation.method != Method::GET
}

api_tests! {
    async fn every_change_leaves_who_did_it_from_where_and_in_which_request(world) {
        let cast = Cast::new(&world).await;
        let platform = cast.actor("platform");
        let mut seen = 0;
        for operation in operations().into_iter().filter(changes) {
            if WITH_TOKENS.contains(&&*operation.id) {
                continue;
            }
            let own = operation.path.starts_with("/me");
            let actor = if own { cast.actor("plain") } else { platform };
            let with_session = operation.names("session_id") || matches!(&*operation.id, "auth.refresh" | "auth.logout");
            let mut target = cast.target(actor, if own { Whose::Own } else { Whose::Another }, with_session).await;
            prepare(&cast, &operation, &mut target).await;
            let token = if operation.secured { cast.token(actor).await } else { None };
            let answer = operation.good(&world, &target, token.as_deref()).await;
            assert!(answer.status < 300, "{}: {}", operation.id, answer.text);
            let request = answer.header("x-request-id").unwrap().to_owned();
            // What is asked for by mail is looked into when mail is sent.
            world.mails().await;
            let events = events(&world, &request).await;
            assert!(!events.is_empty(), "{} leaves nothing in the trail", operation.id);
            for event in events {
                let id = &operation.id;
                let [_, b, c, d] = target.serial.to_be_bytes();
                assert_eq!(event["ip_address"], format!("172.{b}.{c}.{d}"), "{id}: {event}");
                assert_eq!(event["user_agent"], "matrix/1", "{id}: {event}");
                assert_eq!(event["result"], "success", "{id}: {event}");
                match event["actor"]["type"].as_str().unwrap() {
                    "user" => assert!(event["actor"]["id"].is_string() && event["actor"]["acting_as"] != "system", "{id}: {event}"),
                    _ => assert!(event["reason"].is_string() && !operation.secured, "{id}: {event}"),
                }
                if operation.secured {
                    assert_eq!(event["actor"]["id"], json!(actor.person.as_ref().unwrap().id), "{id}: {event}");
                    assert!(event["actor"]["session_id"].is_string(), "{id}: {event}");
                }
            }
            seen += 1;
        }
        assert!(seen > 25, "{seen}");
    }

    async fn change_that_is_refused_leaves_who_asked_and_what_was_missing(world) {
        let cast = Cast::new(&world).await;
        let actor = cast.actor("reader");
        let mut seen = 0;
        for operation in operations().into_iter().filter(changes) {
            let target = cast.target(actor, Whose::Another, operation.names("session_id")).await;
            let token = cast.token(actor).await;
            let answer = operation.good(&world, &target, token.as_deref()).await;
            if answer.status != 403 {
                continue;
            }
            let events = events(&world, answer.header("x-request-id").unwrap()).await;
            assert_eq!(events.len(), 1, "{}: {events:?}", operation.id);
            let event = &events[0];
            assert_eq!((&event["action"], &event["result"], &event["failure"]), (&json!("access.denied"), &json!("failure"), &json!("missing_permission")));
            assert_eq!((&event["actor"]["id"], &event["tenant_id"]), (&json!(actor.person.as_ref().unwrap().id), &json!(cast.home.id)));
            let missing = answer.json()["detail"].as_str().unwrap().replace("Missing permission ", "");
            assert!(event["changes"].as_array().unwrap().contains(&json!({"field": "permission", "old": null, "new": missing})), "{event}");
            assert!(event["ip_address"].is_string() && event["user_agent"] == "matrix/1");
            seen += 1;
        }
        assert!(seen > 15, "{seen}");
    }

    async fn refused_sign_in_leaves_why_and_how_many_there_were(world) {
        world.tick();
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        for n in 1..=11 {
            let answer = world.try_login("acme", "ada", "wrong wrong wrong wrong").await.expect(401);
            let event = events(&world, answer.header("x-request-id").unwrap()).await.remove(0);
            let delay = (n >= 10).then(|| json!({"field": "delay_seconds", "old": null, "new": (1 << (n - 10)).to_string()}));
            let failures = json!({"field": "failures", "old": null, "new": n.to_string()});
            let expected: Vec<_> = delay.into_iter().chain([failures]).collect();
            assert_eq!((&event["action"], &event["changes"]), (&json!("session.login_failed"), &json!(expected)));
            assert_eq!((&event["resource"]["id"], event["ip_address"].is_string()), (&json!(ada.id), true));
            world.clock.advance(std::time::Duration::from_secs(5));
        }
        world.settings(&tenant, json!({"require_verified_email": true})).await;
        let answer = world.try_login("acme", "ada", crate::harness::PASSWORD).await.expect(403);
        let event = events(&world, answer.header("x-request-id").unwrap()).await.remove(0);
        assert_eq!((&event["failure"], &event["resource"]["id"]), (&json!("email_not_verified"), &json!(ada.id)));
    }
}

/// Brings about what an operation needs to succeed.
async fn prepare(cast: &Cast, operation: &Operation, target: &mut super::cast::Target) {
    let world = &cast.world;
    cast.spare(operation, target).await;
    if operation.path.ends_with("/invitation") {
        let name = format!("guest{}", target.serial);
        let body = json!({"tenant_id": target.tenant, "username": name, "email": format!("{name}@example.com"), "delivery": "link"});
        let made = world.post("/admin/users").bearer(world.admin().await).json(body).send().await.expect(201);
        let data = made.data();
        let user = if data["user"].is_object() { &data["user"] } else { &data };
        target.user = user["id"].as_str().unwrap().to_owned();
    }
    let asks = match &*operation.id {
        "auth.password.forgot" | "auth.password.reset" => Some("password/forgot"),
        "auth.email.resend" | "auth.email.verify" => Some("email/resend"),
        _ => None,
    };
    if let Some(asks) = asks {
        let person = world.person(&cast.home, &format!("reader{}", target.serial)).await;
        target.email = format!("{}@{}.example", person.name, person.slug);
        if matches!(&*operation.id, "auth.password.reset" | "auth.email.verify") {
            world.mails().await;
            let path = format!("/auth/tenants/{}/{asks}", person.slug);
            world.post(&path).json(json!({"email": target.email})).send().await.expect(202);
            target.link = world.mail_to(&target.email).await.token();
        }
    }
    if operation.path.contains("/role-assignments") {
        let person = world.person(&cast.home, &format!("holder{}", target.serial)).await;
        let anchor = json!({"level": "tenant", "tenant_id": target.tenant});
        target.assignment = world.give(&person, &target.role, anchor).await;
        target.user = person.id;
    }
    if operation.id.ends_with("users.unlock") {
        let person = world.person(&cast.home, &format!("locked{}", target.serial)).await;
        world.try_login(&person.slug, &person.name, "wrong wrong wrong wrong").await.expect(401);
        target.user = person.id;
    }
    if operation.id.ends_with("user_imports.cancel") {
        world.work(gatehouse_domain::job::JobKind::UserImport).await;
        target.import = import(world, &target.tenant).await;
    }
    if operation.id == "me.authorized_apps.delete" {
        let [tenant, partner, user, application] =
            [&target.tenant, &target.partner, &target.user, &target.application].map(|id| world.literal(id));
        let consent = format!(
            "INSERT INTO consents (tenant_id, partner_id, user_id, application_id, owner_id, resource, scope, consented_at) \
             VALUES ({tenant}, {partner}, {user}, {application}, {tenant}, '', 'openid', 1)"
        );
        world.execute(consent).await;
    }
    if operation.id == "me.sessions.revoke_all" {
        world.login(cast.actor("plain").person.as_ref().unwrap()).await;
    }
    if matches!(
        &*operation.id,
        "admin.sessions.revoke_all" | "tenants.sessions.users.revoke" | "tenants.sessions.revoke_all"
    ) {
        let person = cast.actor("platform").victim();
        world.login(person).await;
    }
}
