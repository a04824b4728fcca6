//! The master key is replaced while servers run.

use std::{path::PathBuf, time::Duration};

use gatehouse_domain::{authz::SystemReason, job::JobKind};
use gatehouse_server::{
    app::{App, StartError},
    security::master_key::MasterKey,
};
use serde_json::json;

use crate::{
    harness::{PASSWORD, Signed, World, api_tests},
    user_imports::{acme, asked, many, pieces, shown},
};

fn file(world: &World) -> PathBuf {
    world.config.data_dir.join("master.key")
}

/// The key with a new part, in its file, as every server has taken it up.
async fn with_new_part(worlds: &[&World]) -> MasterKey {
    let key = MasterKey::load(&file(worlds[0])).unwrap().rotated(worlds[0].app.env()).unwrap();
    key.save(&file(worlds[0])).unwrap();
    follow(worlds).await;
    key
}

async fn follow(worlds: &[&World]) {
    for world in worlds {
        assert!(world.app.master_keys().follow().await.unwrap());
    }
}

async fn assert_sound(world: &World) {
    world.clock.advance(Duration::from_secs(1));
    world.app.trail().seal().await.unwrap();
    let report = world.app.trail().verify(None, None, SystemReason::Cli).await.unwrap();
    assert_eq!((report.damages, report.unsealed), (0, 0), "{report:?}");
}

api_tests! {
    async fn master_key_is_replaced_while_two_replicas_serve_and_nobody_notices(world) {
        let other = world.replica(|_| {}).await;
        let (tenant, boss, signed) = acme(&world).await;
        let import = asked(&world, &tenant, &signed, many(3)).await;
        let make = |world: &World| {
            let call = world.post(&format!("/tenants/{}/users", tenant.id)).bearer(&signed);
            call.header("idempotency-key", "once").json(json!({"username": "bob", "email": "bob@acme.example"}))
        };
        let made = make(&world).send().await.expect(201).data();
        world.app.trail().seal().await.unwrap();
        let noted = world.app.db().trail_root().await.unwrap();

        let key = with_new_part(&[&world, &other]).await;
        world.app.master_keys().rotate(&key.newest_check()).await.unwrap();
        // A replica that does not know yet goes on as before, and does not undo what the other one did.
        other.tenant("late").await;
        other.app.trail().seal().await.unwrap();
        follow(&[&other]).await;
        let first = world.app.master_keys().reseal().await.unwrap();
        // Four signing keys, the answer, the letter, and the import: its job and at least one piece of its file.
        assert!(first.rows >= 7 && pieces(&world).await > 0, "{first:?}");
        assert_eq!(world.app.master_keys().reseal().await.unwrap(), Default::default());
        key.settled().save(&file(&world)).unwrap();
        follow(&[&world, &other]).await;

        for world in [&world, &other] {
            assert_eq!(world.me(&signed).await, 200);
            assert_eq!(make(world).send().await.expect(201).data(), made);
        }
        let refreshed = Signed::of(&other.refresh("acme", &signed.refresh).await.expect(200));
        world.login(&boss).await;
        assert_eq!(other.work(JobKind::UserImport).await, 1);
        assert_eq!(shown(&world, &refreshed, &import).await["state"], "completed");
        world.mail_to("bob@acme.example").await;
        let events = world.get("/admin/audit-events?action=installation.master_key_rotated").bearer(world.admin().await);
        assert_eq!(events.send().await.expect(200).data().as_array().unwrap().len(), 1);
        for world in [&world, &other] {
            assert_sound(world).await;
            let report = world.app.trail().verify(None, noted, SystemReason::Cli).await.unwrap();
            assert_eq!(report.damages, 0, "a root of before is in the history: {report:?}");
        }
        let later = world.replica(|_| {}).await;
        later.login(&boss).await;
        assert_sound(&later).await;
    }

    async fn old_master_key_opens_and_signs_nothing_any_more(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        world.login(&ada).await;
        world.app.trail().seal().await.unwrap();
        world.execute("CREATE TABLE kept AS SELECT i.key_check, r.* FROM audit_root r, installation i").await;
        let key = with_new_part(&[&world]).await;
        world.app.master_keys().rotate(&key.newest_check()).await.unwrap();
        world.app.master_keys().reseal().await.unwrap();
        key.settled().save(&file(&world)).unwrap();
        follow(&[&world]).await;
        assert_sound(&world).await;
        // Whoever has the old key and the database puts back what it was signed with.
        world.execute("UPDATE installation SET key_check = (SELECT key_check FROM kept)").await;
        let config = (*world.config).clone();
        assert!(matches!(App::open(&config, world.app.env().clone()).await, Err(StartError::WrongMasterKey)));
        world.execute("UPDATE audit_root SET version = (SELECT version FROM kept), mac = (SELECT mac FROM kept)").await;
        assert!(!world.app.master_keys().follow().await.unwrap(), "a server that is told so stops");
        assert!(world.app.trail().seal().await.is_err());
        world.try_login("acme", &ada.name, PASSWORD).await.expect(200);
    }

    async fn key_is_not_given_up_for_one_that_the_installation_does_not_know(world) {
        let first = with_new_part(&[&world]).await;
        let settled = MasterKey::load(&file(&world)).unwrap();
        // Somebody else has begun as well, and was faster.
        let other = MasterKey::parse(first.line().expose().split_once(',').unwrap().1).unwrap();
        let other = other.rotated(world.app.env()).unwrap();
        let here = world.app.master_keys();
        here.rotate(&first.newest_check()).await.unwrap();
        assert!(here.rotate(&other.newest_check()).await.is_err());
        other.save(&file(&world)).unwrap();
        assert!(here.follow().await.unwrap(), "what is in use stays");
        assert!(here.must_know_the_newest(&other.newest_check()).await.is_err());
        settled.save(&file(&world)).unwrap();
        here.must_know_the_newest(&first.newest_check()).await.unwrap();
    }

    async fn file_that_is_lost_or_of_before_changes_nothing_for_a_server_that_runs(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        world.login(&ada).await;
        let old = std::fs::read(file(&world)).unwrap();
        let key = with_new_part(&[&world]).await;
        world.app.master_keys().rotate(&key.newest_check()).await.unwrap();
        world.app.master_keys().reseal().await.unwrap();
        key.settled().save(&file(&world)).unwrap();
        follow(&[&world]).await;
        std::fs::write(file(&world), old).unwrap();
        follow(&[&world]).await;
        std::fs::remove_file(file(&world)).unwrap();
        follow(&[&world]).await;
        world.login(&ada).await;
        assert_sound(&world).await;
    }

    async fn rotation_goes_on_where_it_was_stopped(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        let signed = world.login(&ada).await;
        let key = with_new_part(&[&world]).await;
        world.app.master_keys().rotate(&key.newest_check()).await.unwrap();
        // It stops here. A server that starts now has both parts, and so has whoever goes on.
        let again = world.replica(|_| {}).await;
        assert_eq!(again.me(&signed).await, 200);
        again.login(&ada).await;
        again.app.master_keys().rotate(&key.newest_check()).await.unwrap();
        assert!(again.app.master_keys().reseal().await.unwrap().rows > 0);
        key.settled().save(&file(&world)).unwrap();
        follow(&[&world, &again]).await;
        world.login(&ada).await;
        assert_sound(&again).await;
    }
}
