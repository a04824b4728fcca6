//! A database that was put back: nothing that began before is of use to anybody.

use std::time::Duration;

use gatehouse_domain::authz::SystemReason;
use gatehouse_server::app::{Error, StartError};
use serde_json::{Value, json};

use crate::{
    harness::{PASSWORD, Signed, Tenant, World, api_tests},
    user_imports::{acme, asked, many, shown},
};

const NEW: &str = "nineteen lanterns under the pier";

async fn reset(world: &World, token: &str) -> u16 {
    let body = json!({"token": token, "new_password": NEW});
    world.post("/auth/tenants/acme/password/reset").json(body).send().await.status
}

/// The token of a link that sets another password of the administrator of acme.
async fn link(world: &World) -> String {
    world.mails().await;
    let body = json!({"email": "boss@acme.example"});
    world.post("/auth/tenants/acme/password/forgot").json(body).send().await.expect(202);
    world.mail_to("boss@acme.example").await.token()
}

async fn sign_in(world: &World, device: &str) -> Value {
    let form = [("username", "boss"), ("password", PASSWORD), ("device_token", device)];
    world.post("/auth/tenants/acme/login").form(&form).send().await.expect(200).json()
}

async fn kids(world: &World, tenant: &Tenant) -> Vec<(String, String)> {
    let keys = world.app.keys().list(tenant.issuer(), SystemReason::Cli).await.unwrap();
    keys.iter().map(|key| (key.id.to_string(), key.state.to_string())).collect()
}

fn kid(pair: &Signed) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let head = pair.access.split('.').next().unwrap();
    let head: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(head).unwrap()).unwrap();
    head["kid"].as_str().unwrap().to_owned()
}

api_tests! {
    async fn nothing_that_began_before_a_restore_is_of_use(world) {
        world.tick();
        let (tenant, boss, before) = acme(&world).await;
        let rotated = Signed::of(&world.refresh("acme", &before.refresh).await.expect(200));
        let device = sign_in(&world, "").await["device_token"].as_str().unwrap().to_owned();
        let (link, import) = (link(&world).await, asked(&world, &tenant, &rotated, many(3)).await);
        let keys = kids(&world, &tenant).await;
        assert_eq!(world.me(&rotated).await, 200);

        let restored = world.app.restores().finish().await.unwrap();
        assert!(restored.sessions >= 2 && restored.keys >= 2 && restored.devices == 1 && restored.imports == 1, "{restored:?}");
        for (what, pair) in [("spent", &before), ("current", &rotated)] {
            assert_eq!(world.me(pair).await, 401, "{what}");
            assert_eq!(world.refresh("acme", &pair.refresh).await.status, 401, "{what}");
        }
        assert!(reset(&world, &link).await >= 400, "a link");
        let again = sign_in(&world, &device).await;
        assert_ne!(again.get("device_token"), None, "the device is not known any more");
        let after = kids(&world, &tenant).await;
        let is = |id: &str, state: &str| after.iter().any(|(other, of)| other == id && of == state);
        assert!(keys.len() == 2 && keys.iter().all(|(id, _)| is(id, "withdrawn")), "{after:?}");
        let current = after.iter().find(|(_, state)| state == "current").unwrap();
        assert_eq!((after.len(), after.iter().filter(|(_, state)| state == "next").count()), (4, 1));
        let signed = world.login(&boss).await;
        assert_eq!((world.me(&signed).await, kid(&signed)), (200, current.0.clone()));
        assert_eq!(shown(&world, &signed, &import).await["state"], "cancelled");
        assert_eq!(world.number("SELECT COUNT(*) FROM jobs").await, 0);
    }

    async fn restore_is_an_event_and_the_trail_verifies(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        world.login(&ada).await;
        world.app.restores().finish().await.unwrap();
        world.clock.advance(Duration::from_secs(1));
        // What came to its end is swept as everything is that does.
        assert!(world.app.maintenance().sweep().await.unwrap() > 0);
        world.app.trail().seal().await.unwrap();
        let report = world.app.trail().verify(None, None, SystemReason::Cli).await.unwrap();
        assert_eq!((report.damages, report.unsealed), (0, 0), "{report:?}");
        let admin = world.fresh_admin().await;
        let path = "/admin/audit-events?action=installation.restored";
        let events = world.get(path).bearer(&admin).send().await.expect(200).data();
        let counted: Vec<_> = events[0]["changes"].as_array().unwrap().iter().map(|it| it["field"].clone()).collect();
        assert!(counted.contains(&json!("session_count")) && counted.contains(&json!("key_count")), "{events}");
    }

    async fn database_that_goes_on_is_served_however_the_last_process_ended(world) {
        for _ in 0..2 {
            world.app.restores().must_not_be_put_back().await.unwrap();
            world.tenant(if world.number("SELECT COUNT(*) FROM tenants").await == 1 { "acme" } else { "other" }).await;
            world.app.trail().seal().await.unwrap();
            world.app.restores().note_newest().await.unwrap();
        }
        // A clock that goes back makes no earlier root.
        let noted = std::fs::read(world.config.data_dir.join("newest-instant")).unwrap();
        world.app.trail().seal().await.unwrap();
        world.app.restores().must_not_be_put_back().await.unwrap();
        assert_eq!(std::fs::read(world.config.data_dir.join("newest-instant")).unwrap(), noted);
    }

    async fn no_seal_hides_that_a_database_was_put_back(world) {
        world.app.restores().note_newest().await.unwrap();
        world.execute("CREATE TABLE earlier AS SELECT * FROM audit_root").await;
        world.tenant("acme").await;
        world.app.trail().seal().await.unwrap();
        world.app.restores().note_newest().await.unwrap();
        world.execute("DELETE FROM audit_root; INSERT INTO audit_root SELECT * FROM earlier; DROP TABLE earlier").await;
        // What every process asks before it seals.
        assert!(matches!(world.app.restores().note_newest().await, Err(Error::Conflict(_))));
        assert!(matches!(world.app.restores().must_not_be_put_back().await, Err(StartError::PutBack { .. })));
    }

    async fn instant_of_another_installation_is_no_instant(world) {
        let file = world.config.data_dir.join("newest-instant");
        world.app.restores().must_not_be_put_back().await.unwrap();
        std::fs::write(&file, "1 00000000000000000000000000000000\n").unwrap();
        let refused = world.app.restores().must_not_be_put_back().await;
        assert!(matches!(refused, Err(StartError::File(path, _)) if path == file));
    }
}
