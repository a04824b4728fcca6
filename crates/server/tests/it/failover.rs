//! PostgreSQL fails over to a standby.

use std::time::{Duration, Instant};

use gatehouse_domain::secret::Secret;
use gatehouse_persistence::{Target, testing::Fresh};
use gatehouse_server::config::Database;
use sqlx::{Connection, Executor, PgConnection};

use crate::harness::{Proxy, Signed, World};

/// How soon writes are taken again.
const BACK: Duration = Duration::from_secs(30);

#[actix_web::test]
async fn failover_loses_nothing_that_was_acknowledged_and_signs_nobody_out() {
    let Some(fresh) = Fresh::alone() else { return };
    let direct = World::on(fresh).await;
    let standby = direct.cluster().standby();
    let Target::Postgres(url) = direct.target() else { unreachable!("it is PostgreSQL") };
    direct.execute("ALTER DATABASE postgres SET synchronous_commit = on").await;
    direct.execute("ALTER SYSTEM SET synchronous_standby_names = '*'").await;
    direct.execute("SELECT pg_reload_conf()").await;
    let (mut proxy, by_proxy) = Proxy::to(url.expose()).await;
    let world = direct.replica(|config| config.database = Database::Postgres(Secret::new(by_proxy))).await;
    let tenant = world.tenant("acme").await;
    let ada = world.person(&tenant, "ada").await;
    let (ended, mut signed) = (world.login(&ada).await, world.login(&ada).await);
    for _ in 0..20 {
        signed = Signed::of(&world.refresh("acme", &signed.refresh).await.expect(200));
    }
    world.delete(&format!("/me/sessions/{}", ended.session())).bearer(&signed).send().await.expect(200);

    direct.cluster().kill();
    proxy.turn_to(standby.url()).await;
    // The standby takes no writes yet.
    for _ in 0..5 {
        world.refresh("acme", &signed.refresh).await.problem(503, "unavailable");
    }
    let mut admin = PgConnection::connect(standby.url()).await.unwrap();
    admin.execute("SELECT pg_promote()").await.unwrap();
    let promoted = Instant::now();
    let again = loop {
        let answer = world.refresh("acme", &signed.refresh).await;
        if answer.status == 200 {
            break Signed::of(&answer);
        }
        answer.problem(503, "unavailable");
        assert!(promoted.elapsed() < BACK, "no writes yet");
    };
    assert_eq!((world.me(&again).await, world.me(&ended).await), (200, 401));
    assert_eq!(world.refresh("acme", &ended.refresh).await.status, 401);
    world.login(&ada).await;
}
