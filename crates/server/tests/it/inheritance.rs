//! What the platform, partners and tenants decide: how it comes down, and what it does to the sessions that are there.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Answer, PASSWORD, Person, Signed, Tenant, World, api_tests};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
const PLATFORM: &str = "/admin/settings";

fn of_partner(tenant: &Tenant) -> String {
    format!("/admin/partners/{}/settings", tenant.partner_id)
}

fn of_tenant(tenant: &Tenant) -> String {
    format!("/tenants/{}/settings", tenant.id)
}

async fn change(world: &World, path: &str, settings: Value) -> Answer {
    world.patch(path).bearer(world.fresh_admin().await).json(settings).send().await.expect(200)
}

async fn effective(world: &World, path: &str) -> Value {
    world.get(&format!("{path}/effective")).bearer(world.fresh_admin().await).send().await.expect(200).data()
}

/// Users and sessions that a change ended, or would.
fn ended(answer: &Answer) -> (u64, u64) {
    let effects = &answer.json()["meta"]["effects"];
    (effects["users"].as_u64().unwrap(), effects["sessions"].as_u64().unwrap())
}

fn changes(answer: &Answer) -> Value {
    answer.json()["meta"]["changes"].clone()
}

/// What every caller would learn of a session: both tokens.
async fn lives(world: &World, slug: &str, signed: &Signed) -> bool {
    let lives = world.me(signed).await == 200;
    if !lives {
        assert_eq!(world.refresh(slug, &signed.refresh).await.status, 401);
    }
    lives
}

async fn ada(world: &World, slug: &str) -> (Tenant, Person) {
    let tenant = world.tenant(slug).await;
    let ada = world.person(&tenant, "ada").await;
    (tenant, ada)
}

/// A refreshed session whose last refresh token was made now.
async fn refreshed(world: &World, slug: &str, signed: &Signed) -> Signed {
    Signed::of(&world.refresh(slug, &signed.refresh).await.expect(200))
}

api_tests! {
    async fn effective_values_say_who_decided_them_and_what_may_be_decided(world) {
        let (tenant, _) = ada(&world, "acme").await;
        change(&world, PLATFORM, json!({"session_max_days": 20, "password_min_length": 18, "require_verified_email": false})).await;
        change(&world, &of_partner(&tenant), json!({"session_max_days": 10, "registration": "invite"})).await;
        change(&world, &of_tenant(&tenant), json!({"session_max_days": 5, "session_limit_action": "refuse"})).await;
        let at = effective(&world, &of_tenant(&tenant)).await;
        let partner = json!({"level": "partner", "partner_id": tenant.partner_id});
        let own = json!({"level": "tenant", "tenant_id": tenant.id});
        for (field, expected) in [
            ("session_max_days", json!({"value": 5, "source": own, "bounds": {"minimum": 1, "maximum": 10}})),
            ("password_min_length", json!({"value": 18, "source": {"level": "platform"}, "bounds": {"minimum": 18, "maximum": 128}})),
            // What the tenant had decided before is looser, and stays without effect.
            ("registration", json!({"value": "invite", "source": partner, "bounds": {"allowed": ["closed", "invite"]}})),
            ("session_limit_action", json!({"value": "refuse", "source": own, "bounds": {"allowed": ["end_oldest", "refuse"]}})),
            ("require_verified_email", json!({"value": false, "source": {"level": "platform"}, "bounds": {"allowed": [false, true]}})),
            ("refresh_token_days", json!({"value": 7, "source": {"level": "configuration"}, "bounds": {"minimum": 1, "maximum": 30}})),
            ("session_idle_minutes", json!({"value": null, "source": {"level": "default"}, "bounds": {"minimum": 1, "maximum": 43_200}})),
        ] {
            assert_eq!(at[field], expected, "{field}");
        }
        let above = effective(&world, &of_partner(&tenant)).await;
        assert_eq!(above["session_max_days"], json!({"value": 10, "source": partner, "bounds": {"minimum": 1, "maximum": 20}}));
        assert_eq!(effective(&world, PLATFORM).await["session_max_days"]["value"], 20);
        let stored = world.get(&of_tenant(&tenant)).bearer(world.admin().await).send().await.expect(200).data();
        assert_eq!((&stored["registration"], &stored["password_min_length"]), (&json!("open"), &Value::Null));
        let other = world.tenant("other").await;
        assert_eq!(effective(&world, &of_tenant(&other)).await["session_max_days"]["value"], 20);
    }

    async fn looser_than_what_is_decided_above_is_refused_wherever_it_is_asked_for(world) {
        let (tenant, _) = ada(&world, "acme").await;
        change(&world, PLATFORM, json!({"session_max_days": 20})).await;
        change(&world, &of_partner(&tenant), json!({"password_min_length": 22})).await;
        let admin = world.admin().await;
        let body = json!({"session_max_days": 21, "password_min_length": 19, "session_idle_minutes": 5});
        let refused = |answer: Answer, place: &str| {
            let said = answer.text.clone();
            assert_eq!(answer.faults(), ["session_max_days", "password_min_length"].map(|field| format!("{place}{field} looser_than_inherited")));
            for (bound, level) in [(20, "platform"), (22, "partner")] {
                assert!(said.contains(&format!("{bound}, which the {level} decides")), "{said}");
            }
        };
        for path in [of_tenant(&tenant), format!("/admin{}", of_tenant(&tenant)), format!("{}?dry_run=true", of_tenant(&tenant))] {
            refused(world.patch(&path).bearer(&admin).json(body.clone()).send().await, "body.");
        }
        let path = format!("/admin/tenants/{}", tenant.id);
        refused(world.patch(&path).bearer(&admin).json(json!({"settings": body})).send().await, "body.settings.");
        let new = json!({"name": "new", "slug": "new", "partner_id": tenant.partner_id, "settings": body});
        refused(world.post("/admin/tenants").bearer(&admin).json(new).send().await, "body.settings.");
        let faults = world.patch(&of_partner(&tenant)).bearer(&admin).json(json!({"session_max_days": 30})).send().await.faults();
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert_eq!(effective(&world, &of_tenant(&tenant)).await["session_idle_minutes"]["value"], Value::Null, "nothing of it took effect");
        // Nobody is made to mend what was decided before the bound was.
        change(&world, &of_partner(&tenant), json!({"registration": "closed"})).await;
        change(&world, &of_tenant(&tenant), json!({"registration": "open", "session_max_days": 20})).await;
    }

    async fn decision_above_holds_at_once_here_and_within_a_second_elsewhere(world) {
        let (tenant, _) = ada(&world, "acme").await;
        let other = world.replica(|_| {}).await;
        let lifetime = async |world: &World| world.try_login("acme", "ada", PASSWORD).await.expect(200).json()["expires_in"].as_u64().unwrap() / 60;
        assert_eq!((lifetime(&world).await, lifetime(&other).await), (15, 15));
        for (path, minutes) in [(PLATFORM.to_owned(), 10), (of_partner(&tenant), 5)] {
            change(&world, &path, json!({"access_token_minutes": minutes})).await;
            let changed = std::time::Instant::now();
            assert_eq!(lifetime(&world).await, minutes);
            loop {
                let asked = changed.elapsed();
                if lifetime(&other).await == minutes {
                    break;
                }
                assert!(asked < Duration::from_secs(1), "still not {minutes} after {asked:?}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    async fn shorter_life_ends_what_has_had_it_and_shortens_the_rest(world) {
        world.tick();
        let (tenant, ada) = ada(&world, "acme").await;
        let (_, eve) = self::ada(&world, "other").await;
        let mut old = world.login(&ada).await;
        let mut kept = world.login(&eve).await;
        world.clock.advance(6 * DAY);
        (old, kept) = (refreshed(&world, "acme", &old).await, refreshed(&world, "other", &kept).await);
        world.clock.advance(4 * DAY);
        (old, kept) = (refreshed(&world, "acme", &old).await, refreshed(&world, "other", &kept).await);
        let young = world.login(&ada).await;
        let path = of_partner(&tenant);
        let tried = change(&world, &format!("{path}?dry_run=true"), json!({"session_max_days": 8})).await;
        assert_eq!((ended(&tried), lives(&world, "acme", &old).await), ((1, 1), true));
        assert_eq!(changes(&tried), json!([{"field": "session_max_days", "old": "30", "new": "8"}]));
        let real = change(&world, &path, json!({"session_max_days": 8})).await;
        assert_eq!((ended(&real), changes(&real)), (ended(&tried), changes(&tried)));
        assert_eq!((lives(&world, "acme", &old).await, world.me(&young).await, world.me(&kept).await), (false, 200, 200));
        world.clock.advance(5 * DAY);
        let young = refreshed(&world, "acme", &young).await;
        world.clock.advance(3 * DAY + MINUTE);
        assert!(!lives(&world, "acme", &young).await);
    }

    async fn shorter_refresh_tokens_end_those_that_are_older(world) {
        world.tick();
        let (tenant, ada) = ada(&world, "acme").await;
        let old = world.login(&ada).await;
        world.clock.advance(3 * DAY);
        let young = world.login(&ada).await;
        let answer = change(&world, &of_tenant(&tenant), json!({"refresh_token_days": 2})).await;
        assert_eq!(ended(&answer), (1, 1));
        assert!(!lives(&world, "acme", &old).await);
        world.clock.advance(2 * DAY - MINUTE);
        let young = refreshed(&world, "acme", &young).await;
        world.clock.advance(2 * DAY + MINUTE);
        assert!(!lives(&world, "acme", &young).await);
    }

    async fn shorter_idleness_ends_those_that_are_idle_at_every_level(world) {
        world.tick();
        let (tenant, ada) = ada(&world, "acme").await;
        // At the platform, two idle sessions of its administrator end besides.
        for (path, expected) in [(of_tenant(&tenant), (1, 1)), (of_partner(&tenant), (1, 1)), (PLATFORM.to_owned(), (2, 3))] {
            let idle = world.login(&ada).await;
            world.clock.advance(25 * MINUTE);
            let busy = world.login(&ada).await;
            let answer = change(&world, &path, json!({"session_idle_minutes": 20})).await;
            assert_eq!(ended(&answer), expected, "{path}");
            assert_eq!((lives(&world, "acme", &idle).await, world.me(&busy).await), (false, 200), "{path}");
            // It has the shorter time as well, and a refresh does not give the longer one back.
            let busy = refreshed(&world, "acme", &busy).await;
            change(&world, &path, json!({"session_idle_minutes": null})).await;
            world.clock.advance(25 * MINUTE);
            assert!(!lives(&world, "acme", &busy).await, "{path}");
        }
    }

    async fn fewer_sessions_end_the_oldest_of_each(world) {
        world.tick();
        let (tenant, ada) = ada(&world, "acme").await;
        let bob = world.person(&tenant, "bob").await;
        let (_, eve) = self::ada(&world, "other").await;
        let mut signed = Vec::new();
        for _ in 0..4 {
            signed.push(world.login(&ada).await);
        }
        let (bobs, eves) = (world.login(&bob).await, [world.login(&eve).await, world.login(&eve).await]);
        let tried = change(&world, &format!("{}?dry_run=true", of_partner(&tenant)), json!({"max_sessions_per_user": 1})).await;
        let real = change(&world, &of_partner(&tenant), json!({"max_sessions_per_user": 1})).await;
        assert_eq!((ended(&tried), ended(&real)), ((1, 3), (1, 3)));
        for (nth, session) in signed.iter().enumerate() {
            assert_eq!(lives(&world, "acme", session).await, nth == 3, "{nth}");
        }
        assert_eq!((world.me(&bobs).await, world.me(&eves[0]).await), (200, 200));
        let path = format!("/admin/sessions/{}", signed[0].session());
        let shown = world.get(&path).bearer(world.fresh_admin().await).send().await.expect(200).data();
        assert_eq!((&shown["status"], &shown["revoke_reason"]), (&json!("revoked"), &json!("session_limit")));
    }

    async fn what_ends_for_two_reasons_counts_once(world) {
        world.tick();
        let (tenant, ada) = ada(&world, "acme").await;
        for _ in 0..2 {
            world.login(&ada).await;
        }
        world.clock.advance(2 * DAY);
        for _ in 0..3 {
            world.login(&ada).await;
        }
        let settings = json!({"session_max_days": 1, "max_sessions_per_user": 2});
        let tried = change(&world, &format!("{}?dry_run=true", of_tenant(&tenant)), settings.clone()).await;
        let before = world.number("SELECT COUNT(*) FROM audit_events WHERE action = 'session.revoked_all'").await;
        let real = change(&world, &of_tenant(&tenant), settings).await;
        assert_eq!((ended(&tried), ended(&real)), ((1, 3), (1, 3)));
        assert_eq!(world.number("SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL AND user_id = (SELECT user_id FROM sessions ORDER BY created_at LIMIT 1)").await.min(2), 2);
        assert_eq!(world.number("SELECT COUNT(*) FROM audit_events WHERE action = 'session.revoked_all'").await, before + 1);
    }

    async fn looser_settings_never_make_a_session_longer_than_it_was_promised(world) {
        world.tick();
        let (tenant, ada) = ada(&world, "acme").await;
        change(&world, &of_tenant(&tenant), json!({"session_idle_minutes": 10, "session_max_days": 2, "refresh_token_days": 1})).await;
        let (idle, mut used) = (world.login(&ada).await, world.login(&ada).await);
        let answer = change(&world, &of_tenant(&tenant), json!({"session_idle_minutes": null, "session_max_days": null, "refresh_token_days": 30})).await;
        assert_eq!(ended(&answer), (0, 0));
        used = refreshed(&world, "acme", &used).await;
        world.clock.advance(11 * MINUTE);
        assert_eq!((lives(&world, "acme", &idle).await, lives(&world, "acme", &used).await), (false, false));
        let late = world.login(&ada).await;
        world.clock.advance(25 * DAY);
        assert!(world.refresh("acme", &late.refresh).await.status == 200, "who signs in later has what is allowed then");
    }

    async fn administrators_keep_their_own_shorter_limits(world) {
        world.tick();
        let tenant = world.tenant("acme").await;
        let boss = world.login(&world.tenant_admin(&tenant, "boss").await).await;
        change(&world, &of_tenant(&tenant), json!({"session_max_days": 20, "session_idle_minutes": 600, "refresh_token_days": 6})).await;
        assert_eq!(world.me(&boss).await, 200);
        world.clock.advance(61 * MINUTE);
        assert!(!lives(&world, "acme", &boss).await);
    }

    async fn decision_that_is_taken_back_binds_those_who_decide_nothing(world) {
        world.tick();
        let (silent, ada) = ada(&world, "acme").await;
        let speaking = world.tenant_of(&silent.partner_id, "other").await;
        let eve = world.person(&speaking, "eve").await;
        change(&world, PLATFORM, json!({"refresh_token_days": 20})).await;
        change(&world, &of_tenant(&speaking), json!({"refresh_token_days": 15})).await;
        let (adas, eves) = (world.login(&ada).await, world.login(&eve).await);
        world.clock.advance(10 * DAY);
        // Now the configuration holds: 7 days.
        let answer = change(&world, PLATFORM, json!({"refresh_token_days": null})).await;
        assert_eq!((ended(&answer), changes(&answer)), ((1, 1), json!([{"field": "refresh_token_days", "old": "20", "new": "7"}])));
        assert_eq!((lives(&world, "acme", &adas).await, world.refresh("other", &eves.refresh).await.status), (false, 200));
    }

    async fn tenant_that_moves_comes_under_what_its_new_partner_decides(world) {
        world.tick();
        let (tenant, ada) = ada(&world, "acme").await;
        let strict = world.tenant("strict").await;
        change(&world, &of_partner(&strict), json!({"session_idle_minutes": 5})).await;
        let idle = world.login(&ada).await;
        world.clock.advance(6 * MINUTE);
        let path = format!("/admin/tenants/{}", tenant.id);
        let moved = change(&world, &path, json!({"partner_id": strict.partner_id})).await;
        assert_eq!((ended(&moved), lives(&world, "acme", &idle).await), ((1, 1), false));
    }

    async fn each_change_is_one_event_that_names_level_and_values(world) {
        let (tenant, _) = ada(&world, "acme").await;
        let admin = world.admin().await;
        for (kind, id, path) in [
            ("platform", Value::Null, PLATFORM.to_owned()),
            ("partner", json!(tenant.partner_id), of_partner(&tenant)),
            ("tenant", json!(tenant.id), of_tenant(&tenant)),
        ] {
            let days = |n: u32| json!({"session_retention_days": n});
            let events = async || world.number("SELECT COUNT(*) FROM audit_events WHERE action NOT LIKE 'session.%'").await;
            change(&world, &path, days(50)).await;
            let before = events().await;
            change(&world, &format!("{path}?dry_run=true"), days(60)).await;
            change(&world, &path, days(50)).await;
            assert_eq!(events().await, before, "{kind}: nothing changed");
            change(&world, &path, days(60)).await;
            assert_eq!(events().await, before + 1, "{kind}");
            let event = world.get(&format!("/admin/audit-events?action={kind}.updated&per_page=1")).bearer(&admin).send().await.expect(200).data()[0].clone();
            assert_eq!(event["resource"], json!({"type": kind, "id": id}));
            assert_eq!(event["changes"], json!([{"field": "settings.session_retention_days", "old": "50", "new": "60"}]));
        }
    }

    async fn last_administrator_is_not_shut_out_by_what_is_decided_above(world) {
        world.tick();
        let admin = world.admin().await;
        // Another address is not verified.
        let path = format!("/admin/users/{}", admin.user());
        world.patch(&path).bearer(&admin).json(json!({"email": "new@example.com"})).send().await.expect(200);
        let home = world.get("/me").bearer(&admin).send().await.data();
        let partner = format!("/admin/partners/{}/settings", home["partner_id"].as_str().unwrap());
        for path in [PLATFORM.to_owned(), partner, format!("/tenants/{}/settings", home["tenant_id"].as_str().unwrap())] {
            let body = json!({"require_verified_email": true});
            world.patch(&path).bearer(&admin).json(body).send().await.problem(409, "conflict");
        }
    }

    async fn delegated_administrator_reaches_neither_up_nor_sideways(world) {
        let (tenant, _) = ada(&world, "acme").await;
        let stranger = world.tenant("other").await;
        let carla = world.login(&world.partner_admin(&tenant, "carla").await).await;
        let boss = world.login(&world.tenant_admin(&tenant, "boss").await).await;
        let body = json!({"session_idle_minutes": 5});
        let status = async |who: &Signed, path: &str| {
            let read = world.get(path).bearer(who).send().await.status;
            let effective = world.get(&format!("{path}/effective")).bearer(who).send().await.status;
            let write = world.patch(path).bearer(who).json(body.clone()).send().await.status;
            assert_eq!((read, effective), (write, write), "{path}");
            write
        };
        for (path, partners, tenants) in [
            (PLATFORM.to_owned(), 403, 403),
            (of_partner(&tenant), 200, 403),
            (of_partner(&stranger), 404, 403),
            (of_partner(&Tenant { partner_id: "prt_01h455vb4pex5vsknk084sn02q".to_owned(), ..stranger.clone() }), 404, 403),
            (format!("/admin{}", of_tenant(&tenant)), 200, 403),
            (format!("/admin{}", of_tenant(&stranger)), 404, 403),
            (of_tenant(&tenant), 200, 200),
            (of_tenant(&stranger), 404, 404),
        ] {
            assert_eq!((status(&carla, &path).await, status(&boss, &path).await), (partners, tenants), "{path}");
        }
    }

    async fn no_credential_survives_settings_that_end_it_while_it_is_refreshed(world) {
        let (tenant, _) = ada(&world, "acme").await;
        let roomy = world.replica(|config| config.hasher.queue = 200).await;
        for round in 0..6u32 {
            change(&world, &of_tenant(&tenant), json!({"session_max_days": null, "session_idle_minutes": null, "refresh_token_days": 30})).await;
            let signed: Vec<_> = join_all((0..64).map(|_| roomy.try_login("acme", "ada", PASSWORD))).await.iter().map(Signed::of).collect();
            world.clock.advance(2 * DAY);
            let settings = [json!({"session_max_days": 1}), json!({"refresh_token_days": 1}), json!({"session_idle_minutes": 60})][round as usize % 3].clone();
            let admin = world.fresh_admin().await;
            let refreshes = join_all(signed.iter().enumerate().map(|(n, signed)| {
                // Half of them through a process that has yet to learn of the change.
                let through = if n % 2 == 0 { &world } else { &roomy };
                async move { through.refresh("acme", &signed.refresh).await }
            }));
            let path = of_tenant(&tenant);
            let change = world.patch(&path).bearer(&admin).json(settings.clone()).send();
            let (answers, changed) = futures_util::join!(refreshes, change);
            changed.expect(200);
            // Whatever came first: no session has more than is allowed now.
            for (signed, answer) in signed.iter().zip(answers) {
                let held = match answer.status {
                    200 => Signed::of(&answer),
                    status => {
                        assert_eq!(status, 401, "{}", answer.text);
                        signed.clone()
                    }
                };
                let lives = lives(&world, "acme", &held).await;
                // A life counts from its beginning; the other two from the exchange, if that came first.
                assert!(!lives || answer.status == 200 && round % 3 != 0, "{settings}");
            }
            let longest = "SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL AND \
                (ends_at > last_activity_at + 86400000000 + 20000000 OR max_expires_at > created_at + 30 * 86400000000)";
            assert_eq!(world.number(longest).await, 0, "{settings}");
            world.clock.advance(2 * DAY);
            world.app.maintenance().sweep().await.unwrap();
        }
    }
}
