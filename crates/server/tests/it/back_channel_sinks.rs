//! Applications that hang, lie, never stop or lead elsewhere, and processes that die: nobody else waits, nothing is called
//! that may not be, and what one process leaves another makes.

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use futures_util::future::{Either, join, select};
use gatehouse_domain::{authz::SystemReason, id::ApplicationId, issue::Parse};
use gatehouse_persistence::{ChangeContext, WriteTx, testing::Engine};
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    back_channel::{Told, app_at, boss, calling, tell},
    harness::{Browser, Manner, Receiver, World, api_tests, oauth::Site},
};

/// Counts who connects to it.
async fn canary(address: &str) -> (u16, Rc<Cell<usize>>) {
    let listener = TcpListener::bind(format!("{address}:0")).await.unwrap();
    let (port, hits) = (listener.local_addr().unwrap().port(), Rc::new(Cell::new(0)));
    let counting = Rc::clone(&hits);
    actix_web::rt::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counting.set(counting.get() + 1);
            drop(stream);
        }
    });
    (port, hits)
}

/// The applications that a session was used with, all at the same time.
async fn signed_in(site: &Site, receivers: &[&Receiver]) -> Browser {
    let browser = Browser::new(&site.world);
    for (n, receiver) in receivers.iter().enumerate() {
        let app = app_at(site, receiver, json!({"name": format!("App {n}")})).await;
        site.tokens(&browser, &app, &[]).await;
    }
    browser
}

async fn end_all(site: &Site) {
    let path = format!("/tenants/{}/sessions/users/{}/revoke", site.tenant.id, site.ada.id);
    let boss = boss(&site.world).await;
    site.world.post(&path).bearer(boss).json(json!({"revoke_all": true})).send().await.expect(200);
}

/// Ends sessions with 3 applications each that are told, and says how long that took and how many statements.
async fn revoke_all(world: &World, site: &Site, sessions: u64, used: bool) -> (Duration, u64) {
    crate::cost::fill(world, &site.ada, sessions).await;
    if used {
        world
            .execute(format!(
                "INSERT INTO session_applications (tenant_id, partner_id, session_id, application_id, owner_id, accessed_at) \
                 SELECT s.tenant_id, s.partner_id, s.id, a.id, a.owner_id, s.created_at FROM sessions s, applications a \
                 WHERE s.ended_at IS NULL AND s.user_id = {user} AND a.name LIKE 'App %' AND a.owner_id = s.tenant_id",
                user = world.literal(&site.ada.id)
            ))
            .await;
    }
    if !world.app.db().is_sqlite() {
        world.execute("ANALYZE").await;
    }
    let path = format!("/tenants/{}/sessions/users/{}/revoke", site.tenant.id, site.ada.id);
    let boss = boss(world).await;
    world.get("/me").bearer(&boss).send().await.expect(200);
    let before = world.app.db().statements().0;
    let began = Instant::now();
    world.post(&path).bearer(&boss).json(json!({"revoke_all": true})).send().await.expect(200);
    (began.elapsed(), world.app.db().statements().0 - before)
}

api_tests! {
    async fn application_that_hangs_holds_up_no_other(world) {
        let world = calling(&world).await;
        let site = Site::new(&world).await;
        let (hanging, silent, good) = (Receiver::start().await, Receiver::start().await, Receiver::start().await);
        hanging.becomes(Manner::Hangs);
        silent.becomes(Manner::HangsUp);
        for _ in 0..3 {
            signed_in(&site, &[&hanging, &silent]).await;
        }
        signed_in(&site, &[&hanging, &good]).await;
        end_all(&site).await;
        let (telling, heard) = (Box::pin(tell(&world)), Box::pin(good.hears(1)));
        match select(telling, heard).await {
            Either::Left(_) => unreachable!("it was told after the one that hangs"),
            Either::Right(((), telling)) => assert_eq!(telling.await, 1),
        }
        assert_eq!((hanging.connections(), world.number("SELECT COUNT(*) FROM logout_deliveries").await), (4, 7));
    }

    async fn loop_tells_whoever_comes_while_another_hangs(world) {
        let world = world.replica(|config| {
            config.public_url = Some(crate::back_channel::PUBLIC.parse().unwrap());
            config.outbound.allow = vec!["127.0.0.0/8".parse().unwrap()];
            config.outbound.timeout = Duration::from_secs(60);
        }).await;
        let site = Site::new(&world).await;
        let (hanging, good) = (Receiver::start().await, Receiver::start().await);
        hanging.becomes(Manner::Hangs);
        signed_in(&site, &[&hanging]).await;
        end_all(&site).await;
        let app = world.app.clone();
        let looping = actix_web::rt::spawn(async move { app.back_channel().run().await });
        hanging.hears(1).await;
        let began = Instant::now();
        signed_in(&site, &[&good]).await;
        end_all(&site).await;
        good.hears(1).await;
        assert!(began.elapsed() < Duration::from_secs(20) && !looping.is_finished());
        looping.abort();
    }

    async fn answer_that_does_not_end_is_not_read(world) {
        let told = Told::new(&world, json!({})).await;
        told.receiver.becomes(Manner::Floods);
        told.end().await;
        assert_eq!((told.tell().await, told.waiting().await), (1, 0));
        assert!(told.receiver.sent.get() < 32 * 1024 * 1024, "{}", told.receiver.sent.get());
    }

    async fn redirect_is_not_followed(world) {
        let told = Told::new(&world, json!({})).await;
        let (port, hits) = canary("127.0.0.1").await;
        for status in [301, 302, 303, 307, 308] {
            told.receiver.becomes(Manner::Answers(status, format!("Location: http://127.0.0.1:{port}/\r\n")));
            let browser = Browser::new(&told.world);
            told.site.tokens(&browser, &told.app, &[]).await;
            end_all(&told.site).await;
            told.tell().await;
        }
        assert_eq!((hits.get(), told.waiting().await), (0, 0));
        assert!(told.given_up().await.iter().all(|why| why == "redirected"));
    }

    async fn private_address_is_not_called_however_it_is_written(world) {
        let world = world.replica(|config| config.public_url = Some(crate::back_channel::PUBLIC.parse().unwrap())).await;
        let site = Site::new(&world).await;
        let (v4, hits) = canary("127.0.0.1").await;
        let (v6, hits_v6) = canary("[::1]").await;
        let uris = [
            format!("https://127.0.0.1:{v4}/"), format!("https://localhost:{v4}/"),
            format!("https://[::ffff:7f00:1]:{v4}/"), format!("https://0.0.0.0:{v4}/"), format!("https://127.1.2.3:{v4}/"),
            format!("https://[::1]:{v6}/"), format!("https://[::]:{v6}/"), format!("https://localhost:{v6}/"),
            "https://169.254.169.254/latest".to_owned(), format!("https://[64:ff9b::7f00:1]:{v4}/"), "https://[fd00:ec2::254]/".to_owned(),
        ];
        let browser = Browser::new(&world);
        for (n, uri) in uris.iter().enumerate() {
            let app = site.app(json!({"name": format!("App {n}"), "backchannel_logout_uri": uri})).await;
            site.tokens(&browser, &app, &[]).await;
        }
        end_all(&site).await;
        assert_eq!(tell(&world).await, 0);
        let given_up = world.text("SELECT failure FROM audit_events WHERE action = 'application.logout_given_up'").await;
        assert_eq!(given_up, vec!["address_not_allowed"; uris.len()]);
        assert_eq!((hits.get(), hits_v6.get()), (0, 0));
    }

    async fn address_that_was_allowed_once_is_not_called_any_more(world) {
        let told = Told::new(&world, json!({})).await;
        told.end().await;
        let closed = told.world.replica(|config| config.outbound.allow.clear()).await;
        assert_eq!((tell(&closed).await, told.receiver.connections(), told.waiting().await), (0, 0, 0));
        assert_eq!(told.given_up().await, ["address_not_allowed"]);
    }

    async fn replicas_share_what_is_to_be_told(world) {
        let told = Told::new(&world, json!({})).await;
        for _ in 0..12 {
            told.site.tokens(&Browser::new(&told.world), &told.app, &[]).await;
        }
        end_all(&told.site).await;
        let other = told.world.replica(|_| {}).await;
        let (here, there) = join(Box::pin(tell(&told.world)), Box::pin(tell(&other))).await;
        assert_eq!((here + there, told.receiver.connections()), (13, 13));
        let mut heard = told.receiver.sessions();
        heard.dedup();
        assert_eq!(heard.len(), 13);
    }

    async fn what_a_dead_process_had_taken_is_told_by_another_after_its_lease(world) {
        let told = Told::new(&world, json!({})).await;
        told.end().await;
        let id = ApplicationId::parse(&told.app.id).unwrap();
        let claim = async move |tx: &WriteTx<'_>| tx.system(SystemReason::Job).claim_deliveries(id, 10).await;
        let now = || ChangeContext::at(told.world.app.env().now());
        let dead = told.world.app.db().write(now(), claim).await.unwrap();
        assert_eq!((dead.len(), told.tell().await), (1, 0));
        told.world.clock.advance(Duration::from_secs(30));
        assert_eq!((told.tell().await, told.receiver.sessions()), (1, vec![told.sid()]));
        // Who only seemed dead changes nothing.
        let late = async move |tx: &WriteTx<'_>| tx.system(SystemReason::Job).drop_deliveries(&dead).await;
        assert_eq!(told.world.app.db().write(now(), late).await.unwrap(), 0);
    }
}

/// Prints what it measures.
async fn measure(engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let world = calling(&world).await;
    let (site, receiver) = (Site::new(&world).await, Receiver::start().await);
    for n in 0..3 {
        app_at(&site, &receiver, json!({"name": format!("App {n}")})).await;
    }
    revoke_all(&world, &site, 10_000, false).await;
    for _ in 0..3 {
        let (without, few) = revoke_all(&world, &site, 10_000, false).await;
        let (with, many) = revoke_all(&world, &site, 10_000, true).await;
        let ratio = with.as_secs_f64() / without.as_secs_f64();
        println!("{engine:?}: {without:?} and {few} statements without, {with:?} and {many} with: {ratio:.2}");
        assert!(many <= few + 3);
        assert_eq!(world.number("SELECT COUNT(*) FROM logout_deliveries").await, 30_000);
        let began = Instant::now();
        let told = tell(&world).await;
        println!(
            "{told} deliveries in {:?}: {:.0} a second",
            began.elapsed(),
            30_000.0 / began.elapsed().as_secs_f64()
        );
        assert_eq!((told, receiver.sessions().len()), (30_000, 30_000));
    }
}

#[actix_web::test]
#[ignore = "measures, for minutes: revoking 10,000 sessions and telling 3 applications of each, on SQLite"]
async fn thirty_thousand_deliveries_on_sqlite() {
    Box::pin(measure(Engine::Sqlite)).await;
}

#[actix_web::test]
#[ignore = "measures, for minutes: revoking 10,000 sessions and telling 3 applications of each, on PostgreSQL"]
async fn thirty_thousand_deliveries_on_postgres() {
    Box::pin(measure(Engine::Postgres)).await;
}
