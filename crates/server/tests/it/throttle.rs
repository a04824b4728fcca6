//! Failed attempts: counted exactly, whatever races and by whatever name, and slowed down; successes count for nothing.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{StreamExt, future::join_all, stream::FuturesUnordered};
use gatehouse_domain::{
    authz::{Actor, Area, SystemReason, WriteUsers, authorize},
    issue::Parse,
    text::{LoginName, Slug},
};
use gatehouse_server::app::request::client::{ChangeContext, RequestMeta};
use serde_json::json;

use crate::harness::{Answer, PASSWORD, Person, Signed, World, api_tests};

const WRONG: &str = "mountain otter juggles 43 lamps";
/// Failures that cost nothing.
const FREE: usize = 10;
const DAY: Duration = Duration::from_secs(86_400);

/// An attempt from an address that the number stands for.
async fn attempt(world: &World, slug: &str, name: &str, password: &str, address: u32) -> Answer {
    let [_, b, c, d] = address.to_be_bytes();
    let path = format!("/auth/tenants/{slug}/login");
    world.post(&path).from([11, b, c, d]).form(&[("username", name), ("password", password)]).send().await
}

/// The same in one tenant, from a client that keeps a device token, or has none yet.
async fn with_device(world: &World, name: &str, password: &str, token: &str, address: u32) -> Answer {
    let [_, b, c, d] = address.to_be_bytes();
    let form = [("username", name), ("password", password), ("device_token", token)];
    world.post("/auth/tenants/acme/login").from([11, b, c, d]).form(&form).send().await
}

/// A world whose queue of passwords takes everything that a test offers at once.
async fn roomy(world: &World) -> World {
    world.replica(|config| config.hasher.queue = 1_024).await
}

async fn ada(world: &World) -> Person {
    let tenant = world.tenant("acme").await;
    world.person(&tenant, "ada").await
}

/// Fails under another name, each from an address of its own.
async fn fail_as(world: &World, name: &str, times: u32) {
    for i in 0..times {
        attempt(world, "acme", name, WRONG, 50_000 + i).await;
    }
}

/// The answer to an attempt that is sent when as many of others have theirs as are free. More of them wait.
async fn behind<A: Future<Output = Answer>>(
    others: impl Iterator<Item = A>,
    last: impl Future<Output = Answer>,
) -> Answer {
    let mut others: FuturesUnordered<_> = others.collect();
    for _ in 0..FREE {
        others.next().await.unwrap();
    }
    tokio::join!(last, others.collect::<Vec<_>>()).0
}

fn statuses(answers: &[Answer]) -> BTreeMap<u16, usize> {
    answers.iter().fold(BTreeMap::new(), |mut counts, answer| {
        *counts.entry(answer.status).or_default() += 1;
        counts
    })
}

fn retry_after(answer: &Answer) -> Duration {
    Duration::from_secs(answer.header("retry-after").unwrap().parse().unwrap())
}

/// The most failures that any counter has: that of the account, when each attempt comes from an address of its own.
async fn counted(world: &World) -> i64 {
    world.number("SELECT COALESCE(MAX(failures), 0) FROM throttles").await
}

/// Fails so often, each from an address of its own, waiting whenever told to.
async fn fail(world: &World, times: u32, first_address: u32) {
    for i in 0..times {
        let answer = attempt(world, "acme", "ada", WRONG, first_address + i).await;
        if answer.status == 429 {
            world.clock.advance(retry_after(&answer));
            attempt(world, "acme", "ada", WRONG, first_address + i).await.problem(401, "invalid_credentials");
        } else {
            answer.problem(401, "invalid_credentials");
        }
    }
}

api_tests! {
    async fn of_racing_wrong_passwords_only_as_many_get_an_answer_as_are_free(world) {
        ada(&world).await;
        let replicas = [roomy(&world).await, roomy(&world).await];
        let answers = join_all((0..64).map(|i| attempt(&replicas[i % 2], "acme", "ada", WRONG, i as u32))).await;
        assert_eq!(statuses(&answers), BTreeMap::from([(401, FREE), (429, 64 - FREE)]));
        assert_eq!(counted(&world).await, 10);
        // From then on one in each delay.
        for (failures, delay) in [(11, 1), (12, 2), (13, 4), (14, 8)] {
            let early = attempt(&world, "acme", "ada", PASSWORD, 1).await.problem(429, "rate_limited");
            assert_eq!(retry_after(&early), Duration::from_secs(delay));
            world.clock.advance(Duration::from_secs(delay));
            let answers = join_all((0..64).map(|i| attempt(&replicas[i % 2], "acme", "ada", WRONG, 100 + i as u32))).await;
            assert_eq!(statuses(&answers), BTreeMap::from([(401, 1), (429, 63)]));
            assert_eq!(counted(&world).await, failures);
        }
    }

    async fn right_password_behind_a_burst_of_wrong_ones_is_not_told_from_them(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        let signed = world.login(&ada).await;
        world.settings(&tenant, json!({"require_verified_email": true})).await;
        let roomy = roomy(&world).await;
        let sign_in = |password, i| attempt(&roomy, "acme", "ada", password, i);
        let answer = behind((0..39).map(|i| sign_in(WRONG, i)), sign_in(PASSWORD, 39)).await;
        assert_eq!(answer.status, 429, "not that the address is not verified");
        let change = async |password| {
            let body = json!({"current_password": password, "new_password": "some other words 77"});
            roomy.post("/me/password").bearer(&signed).json(body).send().await
        };
        assert_eq!(behind((0..39).map(|_| change(WRONG)), change(PASSWORD)).await.status, 429);
        let email = async |password| {
            let body = json!({"current_password": password, "email": "new@acme.example"});
            roomy.post("/me/email").bearer(&signed).json(body).send().await
        };
        assert_eq!(behind((0..39).map(|_| email(WRONG)), email(PASSWORD)).await.status, 429);
    }

    async fn racing_right_and_wrong_passwords_wait_for_each_other_in_no_circle(world) {
        let tenant = world.tenant("acme").await;
        let roomy = roomy(&world).await;
        // Several pairs of account and address, because in which order two counters are locked may depend on their
        // keys; one address for all attempts of an account, because then they all change the same two counters.
        for round in 0..6 {
            let name = world.person(&tenant, &format!("user{round}")).await.name;
            for _ in 0..2 {
                attempt(&roomy, "acme", &name, WRONG, round).await.problem(401, "invalid_credentials");
            }
            let password = |i: u32| if i.is_multiple_of(2) { PASSWORD } else { WRONG };
            // A device that is known, one that gets known, and clients that keep none.
            let token = with_device(&roomy, &name, PASSWORD, "", round).await.expect(200).json();
            let token = token["device_token"].as_str().unwrap();
            let answers = join_all((0..24).map(async |i| match i % 3 {
                0 => attempt(&roomy, "acme", &name, password(i / 3), round).await,
                1 => with_device(&roomy, &name, password(i / 3), "", round).await,
                _ => with_device(&roomy, &name, password(i / 3), token, round).await,
            }))
            .await;
            let counts = statuses(&answers);
            assert!(counts.keys().all(|status| [200, 401, 429].contains(status)), "{counts:?}");
        }
        if !world.app.db().is_sqlite() {
            // What a connection saw of deadlocks is known for certain once it is closed.
            world.app.db().close().await;
            roomy.app.db().close().await;
            let others = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
            while world.number(others).await > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
            assert_eq!(world.number(deadlocks).await, 0);
        }
    }

    async fn user_name_email_and_case_are_one_account(world) {
        ada(&world).await;
        for (i, name) in ["ada", "ADA", "ada@acme.example", "Ada@ACME.example", "aDa"].iter().cycle().take(FREE).enumerate() {
            attempt(&world, "acme", name, WRONG, i as u32).await.problem(401, "invalid_credentials");
        }
        for name in ["ada", "ADA", "ada@acme.example", "ADA@ACME.EXAMPLE"] {
            attempt(&world, "acme", name, PASSWORD, 99).await.problem(429, "rate_limited");
        }
    }

    async fn wrong_current_password_counts_like_a_failed_sign_in(world) {
        ada(&world).await;
        let signed = Signed::of(&attempt(&world, "acme", "ada", PASSWORD, 1).await.expect(200));
        for _ in 0..FREE {
            let body = json!({"current_password": WRONG, "new_password": PASSWORD.replace("42", "77")});
            world.post("/me/password").bearer(&signed).json(body).send().await.problem(401, "invalid_credentials");
        }
        attempt(&world, "acme", "ada", PASSWORD, 2).await.problem(429, "rate_limited");
    }

    async fn same_name_in_another_tenant_is_not_slowed_down(world) {
        ada(&world).await;
        let other = world.tenant("other").await;
        let body = json!({"username": "ada", "email": "ada@acme.example", "password": PASSWORD});
        world.post(&format!("/auth/tenants/{}/register", other.slug)).json(body).send().await.expect(201);
        fail(&world, 10, 0).await;
        attempt(&world, "acme", "ada@acme.example", PASSWORD, 99).await.problem(429, "rate_limited");
        for name in ["ada", "ada@acme.example"] {
            attempt(&world, "other", name, PASSWORD, 99).await.expect(200);
        }
    }

    async fn name_that_nobody_has_is_slowed_down_like_any_other(world) {
        world.tenant("acme").await;
        for i in 0..FREE {
            attempt(&world, "acme", "nobody", WRONG, i as u32).await.problem(401, "invalid_credentials");
        }
        let answer = attempt(&world, "acme", "Nobody", WRONG, 99).await.problem(429, "rate_limited");
        assert_eq!(retry_after(&answer), Duration::from_secs(1));
    }

    async fn delay_grows_to_fifteen_minutes_and_ends(world) {
        ada(&world).await;
        fail(&world, 10, 0).await;
        for (i, delay) in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900].into_iter().enumerate() {
            let answer = attempt(&world, "acme", "ada", WRONG, 99).await.problem(429, "rate_limited");
            assert_eq!(retry_after(&answer), Duration::from_secs(delay));
            world.clock.advance(Duration::from_secs(delay) - Duration::from_millis(1));
            attempt(&world, "acme", "ada", PASSWORD, 99).await.problem(429, "rate_limited");
            world.clock.advance(Duration::from_millis(1));
            attempt(&world, "acme", "ada", WRONG, 200 + i as u32).await.problem(401, "invalid_credentials");
        }
        world.clock.advance(Duration::from_secs(900));
        attempt(&world, "acme", "ada", PASSWORD, 99).await.expect(200);
    }

    async fn hundred_consecutive_failures_lock_the_account_until_it_is_activated(world) {
        let ada = ada(&world).await;
        fail(&world, 100, 0).await;
        assert_eq!(counted(&world).await, 100);
        for _ in 0..3 {
            world.clock.advance(Duration::from_secs(86_400));
            attempt(&world, "acme", "ada", PASSWORD, 1_000).await.problem(401, "invalid_credentials");
        }
        // The clean-up does not unlock.
        world.app.maintenance().clean_up().await.unwrap();
        attempt(&world, "acme", "ada", PASSWORD, 1_001).await.problem(401, "invalid_credentials");
        // Three days later the administrator signs in anew.
        let admin = Signed::of(&world.try_login("default", "root", PASSWORD).await.expect(200));
        let path = format!("/admin/users/{}", ada.id);
        world.patch(&path).bearer(&admin).json(json!({"status": "ACTIVE"})).send().await.expect(200);
        attempt(&world, "acme", "ada", PASSWORD, 1_002).await.expect(200);
    }

    async fn nine_guesses_a_day_add_up_until_they_lock_the_account(world) {
        ada(&world).await;
        for day in 0..30 {
            fail(&world, 9, 100 * day).await;
            world.clock.advance(DAY + Duration::from_secs(1));
            world.app.maintenance().clean_up().await.unwrap();
        }
        assert_eq!(counted(&world).await, 100);
        attempt(&world, "acme", "ada", PASSWORD, 9_999).await.problem(401, "invalid_credentials");
        // A name that nobody has answers alike.
        for day in 0..4 {
            for i in 0..2 {
                attempt(&world, "acme", "nobody", WRONG, 100 * day + i).await.problem(401, "invalid_credentials");
            }
            world.clock.advance(DAY + Duration::from_secs(1));
            world.app.maintenance().clean_up().await.unwrap();
        }
        assert_eq!(world.number("SELECT COUNT(*) FROM throttles WHERE failures = 8").await, 1);
    }

    async fn failures_are_forgotten_ninety_days_after_the_last_one_whether_cleaned_up_or_not(world) {
        ada(&world).await;
        fail(&world, 20, 0).await;
        world.clock.advance(DAY * 90 - Duration::from_secs(1));
        world.app.maintenance().clean_up().await.unwrap();
        attempt(&world, "acme", "ada", WRONG, 99).await.problem(401, "invalid_credentials");
        assert_eq!(counted(&world).await, 21);
        attempt(&world, "acme", "ada", PASSWORD, 99).await.problem(429, "rate_limited");
        world.clock.advance(DAY * 90 + Duration::from_secs(900));
        attempt(&world, "acme", "ada", WRONG, 99).await.problem(401, "invalid_credentials");
        assert_eq!(counted(&world).await, 1);
        world.clock.advance(DAY * 91);
        world.app.maintenance().clean_up().await.unwrap();
        assert_eq!(world.number("SELECT COUNT(*) FROM throttles").await, 0);
    }

    async fn administrator_unlocks_an_account_through_either_door_and_the_trail_says_so_once(world) {
        let tenant = world.tenant("acme").await;
        let (ada, boss) = (world.person(&tenant, "ada").await, world.tenant_admin(&tenant, "boss").await);
        let doors = ["/admin".to_owned(), format!("/tenants/{}", tenant.id)];
        for (round, door) in doors.iter().enumerate() {
            fail(&world, 100, 1_000 * round as u32).await;
            let token = if round == 0 { world.fresh_admin().await } else { world.login(&boss).await };
            let path = format!("{door}/users/{}", ada.id);
            let locked = async || world.get(&path).bearer(&token).send().await.expect(200).data()["locked"].clone();
            assert_eq!(locked().await, true);
            attempt(&world, "acme", "ada", PASSWORD, 9_000).await.problem(401, "invalid_credentials");
            for _ in 0..2 {
                let shown = world.post(&format!("{path}/unlock")).bearer(&token).send().await.expect(200).data();
                assert_eq!((&shown["locked"], &shown["id"]), (&json!(false), &json!(ada.id)));
            }
            assert_eq!(locked().await, false);
            attempt(&world, "acme", "ada", PASSWORD, 9_001).await.expect(200);
            let told = world.number("SELECT COUNT(*) FROM audit_events WHERE action = 'user.unlocked'").await;
            assert_eq!(told, round as i64 + 1, "what is not locked is not unlocked");
        }
    }

    async fn nobody_unlocks_somebody_who_may_do_more(world) {
        let tenant = world.tenant("acme").await;
        let boss = world.tenant_admin(&tenant, "boss").await;
        let above = world.partner_admin(&tenant, "above").await;
        fail_as(&world, "above", 12).await;
        let token = world.login(&boss).await;
        let path = format!("/tenants/{}/users/{}/unlock", tenant.id, above.id);
        world.post(&path).bearer(&token).send().await.problem(403, "missing_permission");
        let unknown = format!("/tenants/{}/users/usr_01h455vb4pex5vsknk084sn02q/unlock", tenant.id);
        world.post(&unknown).bearer(&token).send().await.problem(404, "not_found");
    }

    async fn operator_unlocks_the_last_administrator_from_the_command_line(world) {
        world.admin().await;
        for i in 0..100 {
            world.clock.advance(Duration::from_secs(901));
            attempt(&world, "default", "root", WRONG, i).await.problem(401, "invalid_credentials");
        }
        attempt(&world, "default", "root", PASSWORD, 1_000).await.problem(401, "invalid_credentials");
        let facts = world.app.session_states().tenant_by_slug(&Slug::parse("default").unwrap()).await.unwrap().unwrap();
        let name = LoginName::parse("root@example.com").unwrap();
        let user = world.app.users().find(&facts, &name, SystemReason::Cli).await.unwrap().unwrap();
        let operator = Arc::new(Actor::System(SystemReason::Cli));
        let grant = authorize::<WriteUsers>(&operator, &Area::Directory).unwrap();
        let origin = RequestMeta { ctx: ChangeContext::at(world.app.env().now()), declared_device: None, store_response: None, base_url: "".into() };
        world.app.users().unlock(&grant, user.id, &origin).await.unwrap();
        attempt(&world, "default", "root", PASSWORD, 1_001).await.expect(200);
        let nobody = LoginName::parse("nobody").unwrap();
        assert!(world.app.users().find(&facts, &nobody, SystemReason::Cli).await.unwrap().is_none());
        assert_eq!(world.number("SELECT COUNT(*) FROM audit_events WHERE action = 'user.unlocked' AND actor_type = 'system'").await, 1);
    }

    async fn success_clears_the_failures_of_the_account(world) {
        ada(&world).await;
        for round in 0..3 {
            fail(&world, 9, round * 10).await;
            attempt(&world, "acme", "ada", PASSWORD, 99).await.expect(200);
        }
    }

    async fn successes_count_for_nothing(world) {
        ada(&world).await;
        for _ in 0..120 {
            let answer = attempt(&world, "acme", "ada", PASSWORD, 7).await.expect(200);
            assert_eq!(answer.header("ratelimit"), Some("\"login\";r=100;t=600"));
        }
        assert_eq!(world.number("SELECT COUNT(*) FROM throttles WHERE failures > 0").await, 1, "the registration");
    }

    async fn address_is_let_through_a_hundred_failures_in_ten_minutes(world) {
        ada(&world).await;
        for i in 0..100 {
            let answer = attempt(&world, "acme", &format!("nobody{i}"), WRONG, 7).await.problem(401, "invalid_credentials");
            assert_eq!(answer.header("ratelimit-policy"), Some("\"login\";q=100;w=600"));
            assert_eq!(answer.header("ratelimit"), Some(format!("\"login\";r={};t=600", 100 - i).as_str()));
        }
        let answer = attempt(&world, "acme", "ada", PASSWORD, 7).await.problem(429, "rate_limited");
        assert_eq!(retry_after(&answer), Duration::from_secs(600));
        attempt(&world, "acme", "ada", PASSWORD, 8).await.expect(200);
        world.clock.advance(Duration::from_secs(600));
        attempt(&world, "acme", "ada", PASSWORD, 7).await.expect(200);
    }

    async fn of_racing_failures_of_an_address_no_more_than_the_limit_get_an_answer(world) {
        world.tenant("acme").await;
        let roomy = roomy(&world).await;
        let names: Vec<_> = (0..160).map(|i| format!("nobody{i}")).collect();
        let answers = join_all(names.iter().map(|name| attempt(&roomy, "acme", name, WRONG, 7))).await;
        assert_eq!(statuses(&answers), BTreeMap::from([(401, 100), (429, 60)]));
        assert_eq!(counted(&world).await, 100);
    }

    async fn address_registers_twenty_accounts_an_hour(world) {
        world.tenant("acme").await;
        let register = async |i: usize| {
            let body = json!({"username": format!("user{i}"), "email": format!("user{i}@acme.example"), "password": PASSWORD});
            world.post("/auth/tenants/acme/register").json(body).send().await
        };
        let answers = join_all((0..24).map(&register)).await;
        assert_eq!(statuses(&answers), BTreeMap::from([(201, 20), (429, 4)]));
        let answer = register(99).await.problem(429, "rate_limited");
        assert_eq!(retry_after(&answer), Duration::from_secs(3_600));
        assert_eq!(answer.header("ratelimit"), Some("\"registration\";r=0;t=3600"));
        world.clock.advance(Duration::from_secs(3_600));
        register(99).await.expect(201);
    }

    async fn delay_holds_on_every_replica(world) {
        ada(&world).await;
        let replica = world.replica(|_| {}).await;
        fail(&world, 10, 0).await;
        attempt(&replica, "acme", "ada", PASSWORD, 99).await.problem(429, "rate_limited");
        replica.clock.advance(Duration::from_secs(1));
        attempt(&replica, "acme", "ada", PASSWORD, 99).await.expect(200);
        attempt(&world, "acme", "ada", PASSWORD, 99).await.expect(200);
    }
}
