//! Changes and answers on condition: nobody overwrites what they have not seen.

use serde_json::{Value, json};

use crate::harness::{Answer, Signed, Tenant, World, api_tests};

/// Everything that can be changed: its path, and two changes that differ.
async fn things(world: &World, tenant: &Tenant) -> Vec<(String, Value, Value)> {
    let ada = world.person(tenant, "ada").await;
    let role = world.role(tenant, "reader", &["sessions:read"]).await;
    let assignment = world.give(&ada, &role, json!({"level": "tenant", "tenant_id": tenant.id})).await;
    let name = |name: &str| json!({"name": name});
    let called = |name: &str| json!({"display_name": name});
    let ends = |year: u32| json!({"expires_at": format!("{year}-01-01T00:00:00Z")});
    let idle = |minutes: u32| json!({"session_idle_minutes": minutes});
    let inside = format!("/tenants/{}", tenant.id);
    vec![
        (format!("/admin/partners/{}", tenant.partner_id), name("One"), name("Two")),
        (format!("/admin/tenants/{}", tenant.id), name("One"), name("Two")),
        (format!("/admin/users/{}", ada.id), called("One"), called("Two")),
        (format!("{inside}/users/{}", ada.id), called("Three"), called("Four")),
        (format!("/admin/roles/{role}"), name("One"), name("Two")),
        (format!("{inside}/roles/{role}"), name("Three"), name("Four")),
        (format!("/admin/role-assignments/{assignment}"), ends(2100), ends(2101)),
        (format!("{inside}/role-assignments/{assignment}"), ends(2102), ends(2103)),
        (format!("{inside}/settings"), idle(60), idle(61)),
        ("/me".to_owned(), called("One"), called("Two")),
    ]
}

fn tag(answer: &Answer) -> String {
    let tag = answer.header("etag").unwrap_or_else(|| unreachable!("no ETag: {}", answer.text)).to_owned();
    if answer.status == 200 {
        assert_eq!(answer.json()["meta"]["etag"], tag);
    }
    tag
}

async fn get(world: &World, token: &Signed, path: &str) -> Answer {
    world.get(path).bearer(token).send().await.expect(200)
}

async fn change(world: &World, token: &Signed, path: &str, if_match: &str, body: &Value) -> Answer {
    world.patch(path).bearer(token).header("if-match", if_match).json(body.clone()).send().await
}

api_tests! {
    async fn settings_and_what_has_them_do_not_take_the_tags_of_each_other(world) {
        let (tenant, admin) = (world.tenant("acme").await, world.admin().await);
        let paths = [format!("/admin/tenants/{}", tenant.id), format!("/admin/tenants/{}/settings", tenant.id)];
        let bodies = [json!({"name": "One"}), json!({"session_idle_minutes": 60})];
        let tags = [tag(&get(&world, &admin, &paths[0]).await), tag(&get(&world, &admin, &paths[1]).await)];
        for (at, other) in [(0, 1), (1, 0)] {
            change(&world, &admin, &paths[at], &tags[other], &bodies[at]).await.problem(412, "precondition_failed");
        }
        change(&world, &admin, &paths[1], &tags[1], &bodies[1]).await.expect(200);
    }

    async fn change_is_made_only_to_what_its_author_has_seen(world) {
        let tenant = world.tenant("acme").await;
        let admin = world.admin().await;
        for (path, one, two) in things(&world, &tenant).await {
            let seen = tag(&get(&world, &admin, &path).await);
            assert!(seen.starts_with('"') && seen.len() == 46, "{path} {seen}");
            let changed = change(&world, &admin, &path, &seen, &one).await.expect(200);
            let now = tag(&changed);
            assert_ne!(now, seen, "{path}");
            assert_eq!(tag(&get(&world, &admin, &path).await), now, "{path}");
            let before = get(&world, &admin, &path).await.data();
            // The half of the version alone, with what no answer had.
            let made_up = format!("\"{}AAAAAAAAAAAAAAAAAAAAAA\"", &now[1..23]);
            let mixed = format!("{}{}", &now[..23], &seen[23..]);
            for stale in [seen.clone(), format!("W/{now}"), "\"nonsense\"".into(), format!("W/{now}, {seen}"), "\"\"".into(), made_up, mixed] {
                change(&world, &admin, &path, &stale, &two).await.problem(412, "precondition_failed");
            }
            assert_eq!(get(&world, &admin, &path).await.data(), before, "{path}");
            for good in [format!("{seen}, W/\"x\" , {now}"), now, "*".into()] {
                change(&world, &admin, &path, &good, &one).await.expect(200);
            }
            assert_eq!(get(&world, &admin, &path).await.data(), before, "{path}: the same once more changes nothing");
            for bad in ["nonsense", "\"open", "", "*, \"a\"", "\"a\" \"b\""] {
                assert_eq!(change(&world, &admin, &path, bad, &two).await.faults(), ["header.If-Match entity_tags"], "{path} {bad}");
            }
            change(&world, &admin, &path, "*", &two).await.expect(200);
        }
    }

    async fn tag_of_one_thing_is_none_of_another_and_shows_no_number(world) {
        let tenant = world.tenant("acme").await;
        let admin = world.admin().await;
        let things = things(&world, &tenant).await;
        let mut halves = Vec::new();
        for (path, ..) in &things {
            halves.push(tag(&get(&world, &admin, path).await)[1..23].to_owned());
        }
        // The same thing by two doors has the same versions; settings have their own beside those of the tenant.
        assert!(halves[2] == halves[3] && halves[4] == halves[5] && halves[6] == halves[7] && halves[1] != halves[8]);
        halves.sort();
        halves.dedup();
        assert_eq!(halves.len(), things.len() - 3);
        let other = tag(&get(&world, &admin, &things[0].0).await);
        change(&world, &admin, &things[1].0, &other, &things[1].1).await.problem(412, "precondition_failed");
    }

    async fn taking_a_role_away_on_condition_happens_once(world) {
        let tenant = world.tenant("acme").await;
        let admin = world.admin().await;
        let path = things(&world, &tenant).await.remove(6).0;
        let seen = tag(&get(&world, &admin, &path).await);
        let delete = async |if_match: &str| world.delete(&path).bearer(&admin).header("if-match", if_match).send().await;
        delete("\"other\"").await.problem(412, "precondition_failed");
        get(&world, &admin, &path).await;
        delete(&seen).await.expect(204);
        delete(&seen).await.problem(412, "precondition_failed");
        delete("*").await.problem(412, "precondition_failed");
        world.delete(&path).bearer(&admin).send().await.expect(204);
    }

    async fn dry_run_is_refused_like_the_change(world) {
        let tenant = world.tenant("acme").await;
        let admin = world.admin().await;
        let (path, one, two) = things(&world, &tenant).await.remove(1);
        let seen = tag(&get(&world, &admin, &path).await);
        let tried = format!("{path}?dry_run=true");
        change(&world, &admin, &tried, &seen, &one).await.expect(200);
        change(&world, &admin, &path, &seen, &one).await.expect(200);
        change(&world, &admin, &tried, &seen, &two).await.problem(412, "precondition_failed");
    }

    async fn refusals_come_before_conditions(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.login(&world.person(&tenant, "eve").await).await;
        let admin = world.admin().await;
        for (path, one, _) in things(&world, &tenant).await {
            if path != "/me" {
                let refused = change(&world, &ada, &path, "\"x\"", &one).await;
                assert!(matches!(refused.status, 403 | 404), "{path} {}", refused.status);
            }
            assert_eq!(world.patch(&path).header("if-match", "\"x\"").json(one).send().await.status, 401, "{path}");
        }
        let gone = "/admin/users/usr_01h455vb4pex5vsknk084sn02q";
        change(&world, &admin, gone, "*", &json!({"display_name": "x"})).await.problem(404, "not_found");
    }

    async fn what_is_known_already_is_not_sent_again(world) {
        let tenant = world.tenant("acme").await;
        let admin = world.admin().await;
        for (path, one, _) in things(&world, &tenant).await {
            let seen = tag(&get(&world, &admin, &path).await);
            let ask = async |if_none_match: &str| world.get(&path).bearer(&admin).header("if-none-match", if_none_match).send().await;
            for known in [seen.clone(), format!("W/{seen}"), "*".into(), format!("\"x\", {seen}")] {
                let answer = ask(&known).await.expect(304);
                assert_eq!((answer.text.as_str(), tag(&answer)), ("", seen.clone()), "{path}");
            }
            world.get(&path).bearer(&admin).header("if-none-match", &"x".repeat(5_000)).send().await.expect(422);
            for unknown in ["\"x\"", "nonsense", ""] {
                assert_eq!(tag(&ask(unknown).await.expect(200)), seen, "{path}");
            }
            world.patch(&path).bearer(&admin).header("if-none-match", &seen).json(one).send().await.expect(200);
            ask(&seen).await.expect(200);
        }
    }

    async fn sign_in_is_news_but_in_the_way_of_no_change(world) {
        let tenant = world.tenant("acme").await;
        let (ada, admin) = (world.person(&tenant, "ada").await, world.admin().await);
        let path = format!("/admin/users/{}", ada.id);
        let seen = tag(&get(&world, &admin, &path).await);
        world.login(&ada).await;
        let news = world.get(&path).bearer(&admin).header("if-none-match", &seen).send().await.expect(200);
        assert_ne!(tag(&news), seen);
        change(&world, &admin, &path, &seen, &json!({"display_name": "Ada"})).await.expect(200);
        change(&world, &admin, &path, &tag(&news), &json!({"display_name": "Eve"})).await.problem(412, "precondition_failed");
    }

    async fn of_many_who_have_seen_the_same_one_changes_it(world) {
        let tenant = world.tenant("acme").await;
        let admin = world.admin().await;
        let path = format!("/admin/tenants/{}", tenant.id);
        let seen = tag(&get(&world, &admin, &path).await);
        let bodies: Vec<_> = (0..16).map(|n| json!({"name": format!("Name {n}")})).collect();
        let answers = futures_util::future::join_all(bodies.iter().map(|body| change(&world, &admin, &path, &seen, body))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 412)), "{:?}", answers.iter().map(|a| a.status).collect::<Vec<_>>());
    }

    async fn what_somebody_has_seen_is_deleted_and_erased_on_that_condition(world) {
        let tenant = world.tenant("acme").await;
        let (ada, admin) = (world.person(&tenant, "ada").await, world.admin().await);
        let path = format!("/admin/users/{}", ada.id);
        let seen = tag(&get(&world, &admin, &path).await);
        change(&world, &admin, &path, &seen, &json!({"display_name": "Ada"})).await.expect(200);
        let erase = async |seen: &str| world.delete(&format!("{path}?erase=true")).bearer(&admin).header("if-match", seen).send().await;
        erase(&seen).await.problem(412, "precondition_failed");
        erase(&tag(&get(&world, &admin, &path).await)).await.expect(204);
        assert_eq!(world.number("SELECT COUNT(*) FROM audit_events WHERE changes LIKE '%\"Ada\"%'").await, 0);
    }
}
