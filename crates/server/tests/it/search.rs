//! Searching, and what all administrative lists have in common: orders, cursors, links, bounds, and totals that count what
//! the caller may see.

use serde_json::{Value, json};

use crate::harness::{Signed, Tenant, World, api_tests};

/// Two tenants of two partners with a few people each, and the administrator of the first.
async fn populated(world: &World) -> (Tenant, Tenant, Signed) {
    let (acme, beta) = (world.tenant("acme").await, world.tenant("beta").await);
    for (tenant, names) in [(&acme, ["ada", "alan", "grace"]), (&beta, ["ada", "edsger", "barbara"])] {
        for name in names {
            world.person(tenant, name).await;
        }
    }
    let boss = world.tenant_admin(&acme, "boss").await;
    let role = world.role(&acme, "reader", &["sessions:read"]).await;
    world.give(&boss, &role, json!({"level": "tenant", "tenant_id": acme.id})).await;
    let token = world.login(&boss).await;
    (acme, beta, token)
}

async fn names(world: &World, token: &Signed, path: &str, field: &str) -> Vec<String> {
    let answer = world.get(path).bearer(token).send().await.expect(200);
    let data = answer.data();
    let mut names: Vec<_> =
        data.as_array().unwrap().iter().map(|item| item[field].as_str().unwrap().to_owned()).collect();
    assert_eq!(answer.total(), names.len() as u64, "{path}");
    names.sort();
    names
}

/// Every administrative list, of the platform and of a tenant, with an order that it has.
fn lists(tenant: &Tenant) -> Vec<(String, &'static str)> {
    let mut lists = vec![("/admin/permissions".to_owned(), "name")];
    for list in ["partners", "tenants"] {
        lists.push((format!("/admin/{list}"), "name"));
    }
    for list in ["users", "roles", "role-assignments"] {
        lists.push((format!("/admin/{list}"), "created_at"));
        lists.push((format!("/tenants/{}/{list}", tenant.id), "created_at"));
    }
    lists
}

api_tests! {
    async fn search_finds_users_by_beginnings_of_words_within_reach_only(world) {
        let (acme, beta, token) = populated(&world).await;
        let admin = world.admin().await;
        let inside = |words: &str| format!("/tenants/{}/users?search={words}", acme.id);
        for (words, found) in [
            ("AD", vec!["ada"]), ("acme%20a", vec!["ada", "alan", "boss", "grace"]), ("acme.example%20ada", vec!["ada"]), ("ADA", vec!["ada"]), ("al", vec!["alan"]), ("alan@acme.ex", vec!["alan"]), ("@beta.example", vec![]),
            ("lan", vec![]), ("ada%20alan", vec![]), ("%25", vec![]), ("_", vec![]), ("a%25", vec![]), ("", vec!["ada", "alan", "boss", "grace"]),
        ] {
            assert_eq!(names(&world, &token, &inside(words), "username").await, found, "{words}");
        }
        assert_eq!(names(&world, &admin, "/admin/users?search=ada", "tenant_id").await.len(), 2);
        let path = format!("/admin/users?search=ada&tenant_id={}&status=ACTIVE", beta.id);
        assert_eq!(names(&world, &admin, &path, "tenant_id").await, *std::slice::from_ref(&beta.id));
        let path = format!("/admin/users?search=ada&partner_id={}", acme.partner_id);
        assert_eq!(names(&world, &admin, &path, "tenant_id").await, *std::slice::from_ref(&acme.id));
        let role = world.builtin("tenant_admin").await;
        assert_eq!(names(&world, &admin, &format!("/admin/users?search=@beta&role={role}"), "username").await, [""; 0]);
        assert_eq!(names(&world, &admin, &format!("/admin/users?search=@acme.example&role={role}"), "username").await, ["boss"]);
        for (query, fault) in [("search=a&search=b", "query.search duplicate"), ("search=a%00", "query.search string_control_characters")] {
            let faults = world.get(&format!("/admin/users?{query}")).bearer(&admin).send().await.faults();
            assert!(faults.len() == 1 && faults[0].starts_with(fault.split(' ').next().unwrap()), "{faults:?} {fault}");
        }
        let long = format!("/admin/users?search={}", "x".repeat(255));
        assert_eq!(world.get(&long).bearer(&admin).send().await.faults(), ["query.search string_too_long"]);
    }

    async fn search_finds_tenants_and_partners_by_name_and_slug(world) {
        world.tenant("north-star").await;
        world.tenant("south").await;
        let admin = world.admin().await;
        for list in ["tenants", "partners"] {
            for (query, found) in [("search=STAR", vec!["north-star"]), ("search=tar", vec![]), ("search=s&status=ACTIVE", vec!["north-star", "south"]), ("search=s&status=SUSPENDED", vec![])] {
                assert_eq!(names(&world, &admin, &format!("/admin/{list}?{query}"), "slug").await, found, "{list} {query}");
            }
        }
    }

    async fn every_list_is_walked_by_cursor_and_by_link_both_ways_without_gap_or_overlap(world) {
        world.tick();
        let (acme, ..) = populated(&world).await;
        let admin = world.admin().await;
        for (path, field) in lists(&acme) {
            for sort in [field.to_owned(), format!("-{field}")] {
                let all = world.get(&format!("{path}?per_page=200&sort={sort}")).bearer(&admin).send().await.expect(200);
                let all: Vec<Value> = all.data().as_array().unwrap().clone();
                let (mut walked, mut next) = (Vec::new(), format!("{path}?per_page=3&sort={sort}"));
                loop {
                    let answer = world.get(&next).bearer(&admin).send().await.expect(200);
                    assert_eq!(answer.total(), all.len() as u64, "{next}");
                    walked.extend(answer.data().as_array().unwrap().clone());
                    let link = answer.header("link").unwrap().to_owned();
                    assert!(["first", "last"].iter().all(|rel| link.contains(&format!("rel=\"{rel}\""))), "{link}");
                    assert_eq!(link.contains("rel=\"prev\""), walked.len() > 3, "{link}");
                    let to = link.split(", ").find(|part| part.contains("rel=\"next\""));
                    let Some(to) = to.and_then(|to| to.split(['<', '>']).nth(1)) else { break };
                    next = to.split_once("/api/v1").unwrap().1.to_owned();
                }
                assert_eq!(walked, all, "{path} {sort}");
            }
        }
    }

    async fn every_list_refuses_foreign_orders_and_edited_cursors(world) {
        world.tick();
        let (acme, ..) = populated(&world).await;
        let admin = world.admin().await;
        for (path, field) in lists(&acme) {
            for sort in ["password_hash", "id", "version", "-", "--name", "name,id", "created_at%20desc", "1;drop%20table%20users", field.to_uppercase().as_str()] {
                let answer = world.get(&format!("{path}?sort={sort}")).bearer(&admin).send().await;
                assert_eq!(answer.faults(), ["query.sort enum"], "{path} {sort}");
            }
            let first = world.get(&format!("{path}?per_page=1")).bearer(&admin).send().await.expect(200);
            let cursor = first.json()["pagination"]["next_cursor"].as_str().unwrap_or_else(|| unreachable!("{path} has more than one")).to_owned();
            for at in 0..cursor.len() {
                let mut edited = cursor.clone().into_bytes();
                edited[at] = if edited[at] == b'A' { b'Q' } else { b'A' };
                let edited = String::from_utf8(edited).unwrap();
                assert_eq!(world.get(&format!("{path}?per_page=1&cursor={edited}")).bearer(&admin).send().await.faults(), ["query.cursor invalid_cursor"], "{path} {at}");
            }
            for query in [format!("cursor={cursor}&per_page=2"), format!("cursor={cursor}&sort={field}x"), format!("cursor={cursor}&page=1"), "cursor=%00".into(), "cursor=%27%20OR%201=1".into()] {
                assert!(!world.get(&format!("{path}?{query}")).bearer(&admin).send().await.faults().is_empty(), "{path} {query}");
            }
            let other = if path == "/admin/users" { "/admin/tenants" } else { "/admin/users" };
            let answer = world.get(&format!("{other}?per_page=1&cursor={cursor}")).bearer(&admin).send().await;
            assert_eq!(answer.faults(), ["query.cursor invalid_cursor"], "{path} at {other}");
        }
    }

    async fn every_list_bounds_its_pages_and_counts_what_the_caller_sees(world) {
        let (acme, _, token) = populated(&world).await;
        let admin = world.admin().await;
        for (path, _) in lists(&acme) {
            for per_page in ["0", "-1", "201", "2147483648", "9223372036854775808", "1e3", "0x10", "%2B5"] {
                let answer = world.get(&format!("{path}?per_page={per_page}")).bearer(&admin).send().await.faults();
                assert!(answer.len() == 1 && answer[0].starts_with("query.per_page "), "{path} {per_page}: {answer:?}");
            }
            for page in ["0", "-1", "2147483648", "9223372036854775808", "1.5"] {
                let answer = world.get(&format!("{path}?page={page}")).bearer(&admin).send().await.faults();
                assert!(answer.len() == 1 && answer[0].starts_with("query.page "), "{path} {page}: {answer:?}");
            }
            let far = world.get(&format!("{path}?page=1000000000&per_page=200")).bearer(&admin).send().await.expect(200);
            let near = world.get(&format!("{path}?per_page=200")).bearer(&admin).send().await.expect(200);
            assert_eq!((far.len(), far.total()), (0, near.total()), "{path}");
            assert_eq!(near.len() as u64, near.total(), "{path}");
        }
        for (list, visible) in [("users", 4), ("role-assignments", 2)] {
            let inside = world.get(&format!("/tenants/{}/{list}", acme.id)).bearer(&token).send().await.expect(200);
            assert_eq!((inside.total(), inside.len()), (visible, visible as usize), "{list}");
            let everywhere = world.get(&format!("/admin/{list}?tenant_id={}", acme.id)).bearer(&admin).send().await.expect(200);
            assert_eq!(everywhere.total(), visible, "{list}");
        }
    }

    async fn administrators_see_how_many_sessions_a_user_has_now(world) {
        let (acme, _, token) = populated(&world).await;
        let ada = world.person(&acme, "ada2").await;
        let path = format!("/tenants/{}/users/{}", acme.id, ada.id);
        let shown = async || {
            let one = world.get(&path).bearer(&token).send().await.expect(200).data();
            let listed = world.get(&format!("/tenants/{}/users?search=ada2", acme.id)).bearer(&token).send().await.data();
            assert_eq!(listed, json!([one]));
            one["session_count"].as_u64().unwrap()
        };
        assert_eq!(shown().await, 0);
        let first = world.login(&ada).await;
        world.login(&ada).await;
        assert_eq!(shown().await, 2);
        world.delete(&format!("/me/sessions/{}", first.session())).bearer(&first).send().await.expect(200);
        assert_eq!(shown().await, 1);
        world.clock.advance(std::time::Duration::from_secs(3_600 * 24 * 8));
        let token = world.fresh_admin().await;
        let due = world.get(&format!("/admin/users/{}", ada.id)).bearer(&token).send().await.expect(200).data();
        assert_eq!(due["session_count"], 0, "what is due counts no more, swept or not");
        assert!(world.get("/me").bearer(&token).send().await.data().get("session_count").is_none());
    }
}
