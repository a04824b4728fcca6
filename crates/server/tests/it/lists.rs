//! What all lists have in common: pages, cursors, links, totals.

use serde_json::{Value, json};

use crate::harness::{Person, World, api_tests};

/// A person with seven sessions; the token is of the last.
async fn seven(world: &World) -> (Person, String, Vec<String>) {
    let tenant = world.tenant("acme").await;
    let ada = world.person(&tenant, "ada").await;
    let mut ids = Vec::new();
    let mut token = String::new();
    for _ in 0..7 {
        let signed = world.login(&ada).await;
        ids.insert(0, signed.session());
        token = signed.access;
    }
    (ada, token, ids)
}

api_tests! {
    async fn pages_divide_the_list_and_count_it_exactly(world) {
        world.tick();
        let (_, token, ids) = seven(&world).await;
        for page in 1..=4 {
            let answer = world.get(&format!("/me/sessions?page={page}&per_page=3")).bearer(&token).send().await.expect(200);
            let expected: Vec<_> = ids.iter().skip((page - 1) * 3).take(3).cloned().collect();
            assert_eq!(answer.ids(), expected, "page {page}");
            let pagination = answer.json()["pagination"].clone();
            assert_eq!((&pagination["page"], &pagination["per_page"]), (&json!(page), &json!(3)));
            assert_eq!((&pagination["total_items"], &pagination["total_pages"]), (&json!(7), &json!(3)));
            assert_eq!(pagination["next_cursor"].is_null(), page >= 3, "{pagination}");
        }
    }

    async fn cursor_walks_the_whole_list_and_carries_its_page_number(world) {
        world.tick();
        let (_, token, ids) = seven(&world).await;
        let (mut seen, mut query, mut number) = (Vec::new(), "per_page=2".to_owned(), 1);
        loop {
            let answer = world.get(&format!("/me/sessions?{query}")).bearer(&token).send().await.expect(200);
            seen.extend(answer.ids());
            let pagination = answer.json()["pagination"].clone();
            assert_eq!((&pagination["page"], &pagination["total_items"]), (&json!(number), &json!(7)));
            let Value::String(cursor) = &pagination["next_cursor"] else { break };
            query = format!("per_page=2&cursor={cursor}");
            number += 1;
        }
        assert_eq!((seen, number), (ids, 4));
    }

    async fn page_size_is_from_1_to_200_and_pages_count_from_1(world) {
        world.tick();
        let (_, token, _) = seven(&world).await;
        for query in ["per_page=0", "per_page=201", "per_page=-1", "per_page=2147483648", "per_page=9223372036854775808", "per_page=x", "per_page=1.5", "page=0", "page=-1", "page=x", "per_page=1&per_page=2", "page=1&page=2"] {
            let answer = world.get(&format!("/me/sessions?{query}")).bearer(&token).send().await;
            let field = query.split('=').next().unwrap();
            assert!(answer.faults().iter().all(|fault| fault.starts_with(&format!("query.{field} "))), "{query}");
        }
        assert_eq!(world.get("/me/sessions?per_page=200").bearer(&token).send().await.expect(200).ids().len(), 7);
        let past = world.get("/me/sessions?page=1000000").bearer(&token).send().await.expect(200);
        assert_eq!((past.ids().len(), past.total()), (0, 7));
    }

    async fn cursor_of_another_list_or_an_altered_one_is_refused(world) {
        world.tick();
        let (ada, token, _) = seven(&world).await;
        let answer = world.get("/me/sessions?per_page=2").bearer(&token).send().await;
        let cursor = answer.json()["pagination"]["next_cursor"].as_str().unwrap().to_owned();
        let mut flipped = cursor.clone().into_bytes();
        let middle = flipped.len() / 2;
        flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
        let flipped = String::from_utf8(flipped).unwrap();
        for query in [
            format!("cursor={flipped}"), format!("cursor={}", &cursor[1..]), format!("cursor={cursor}A"), "cursor=x".to_owned(),
            format!("cursor={cursor}&active_only=false"), format!("cursor={cursor}&sort=created_at"),
        ] {
            let answer = world.get(&format!("/me/sessions?per_page=2&{query}")).bearer(&token).send().await;
            assert_eq!(answer.faults().len(), 1, "{query}");
        }
        let both = world.get(&format!("/me/sessions?per_page=2&page=2&cursor={cursor}")).bearer(&token).send().await;
        assert_eq!(both.faults(), ["query.cursor exclusive"]);
        let path = format!("/tenants/{}/sessions/users/{}?per_page=2&cursor={cursor}", crate::harness::claims(&token)["tenant_id"].as_str().unwrap(), ada.id);
        assert_eq!(world.get(&path).bearer(&token).send().await.faults().len(), 1, "another list");
    }

    async fn link_header_leads_to_first_prev_next_and_last(world) {
        world.tick();
        let (_, token, _) = seven(&world).await;
        let answer = world.get("/me/sessions?page=2&per_page=3&active_only=true").bearer(&token).send().await.expect(200);
        let link = answer.header("link").unwrap();
        for rel in ["first", "prev", "next", "last"] {
            assert!(link.contains(&format!("rel=\"{rel}\"")), "{link}");
        }
        let target = link.split(", ").find(|part| part.contains("rel=\"last\"")).unwrap();
        let target = target.split(['<', '>']).nth(1).unwrap();
        let path = target.split_once("/api/v1").unwrap().1;
        assert_eq!(world.get(path).bearer(&token).send().await.expect(200).ids().len(), 1, "{target}");
    }

    async fn times_and_booleans_are_read_as_generated_clients_write_them(world) {
        let tenant = world.tenant("acme").await;
        world.login(&world.person(&tenant, "ada").await).await;
        let token = world.admin().await;
        let ids = async |query: &str| {
            world.get(&format!("/tenants/{}/sessions?{query}", tenant.id)).bearer(&token).send().await.expect(200).ids()
        };
        let strict = ids("created_after=2020-11-20T00:00:00Z&active_only=false").await;
        assert!(!strict.is_empty());
        for same in [
            "created_after=2020-11-20T00:00:00%2B0000&active_only=0",
            "created_after=2020-11-20T00:00:00%20%2B00:00&active_only=false",
            "created_after=2020-11-20%2000:00:00%20%2B00:00&active_only=0",
        ] {
            assert_eq!(ids(same).await, strict, "{same}");
        }
        for (query, fault) in [
            ("active_only=2", "query.active_only bool_parsing"),
            ("active_only=yes", "query.active_only bool_parsing"),
            ("created_after=2020-11-20T00:00:00", "query.created_after datetime_parsing"),
        ] {
            let answer = world.get(&format!("/tenants/{}/sessions?{query}", tenant.id)).bearer(&token).send().await;
            assert_eq!(answer.faults(), [fault], "{query}");
        }
    }

    async fn unknown_order_or_parameter_is_refused(world) {
        world.tick();
        let (_, token, _) = seven(&world).await;
        for (query, fault) in [
            ("sort=user_agent", "query.sort enum"), ("sort=refresh_hash", "query.sort enum"), ("sort=-", "query.sort enum"),
            ("sort=created_at;drop", "query.sort enum"), ("limit=5", "query.limit extra_forbidden"), ("active_only=maybe", "query.active_only bool_parsing"),
        ] {
            let answer = world.get(&format!("/me/sessions?{query}")).bearer(&token).send().await;
            assert_eq!(answer.faults(), [fault], "{query}");
        }
        assert_eq!(world.get("/me?verbose=1").bearer(&token).send().await.faults(), ["query.verbose extra_forbidden"]);
    }

    async fn administrative_lists_page_and_sort_alike(world) {
        world.tick();
        for slug in ["acme", "beta", "core"] {
            world.tenant(slug).await;
        }
        let admin = world.admin().await;
        let names = async |query: &str| {
            let data = world.get(query).bearer(&admin).send().await.expect(200).data();
            data.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names("/admin/tenants?sort=-name&per_page=2").await, ["Default", "core"]);
        assert_eq!(names("/admin/partners?sort=-name&per_page=2").await, ["Platform", "core"]);
        assert_eq!(names("/admin/tenants?per_page=2").await, ["core", "beta"], "newest first");
        for list in ["/admin/tenants", "/admin/partners", "/admin/users", "/admin/roles", "/admin/role-assignments", "/admin/permissions", "/admin/sessions", "/admin/audit-events"] {
            let answer = world.get(&format!("{list}?per_page=1")).bearer(&admin).send().await.expect(200);
            assert!(answer.total() >= 1 && answer.len() == 1, "{list}: {}", answer.text);
            assert_eq!(world.get(&format!("{list}?per_page=0")).bearer(&admin).send().await.faults().len(), 1, "{list}");
        }
    }

    async fn names_are_sorted_without_regard_to_case_and_accents(world) {
        let admin = world.admin().await;
        for (n, name) in ["zebra", "Zorn", "Ähre", "apple", "Øst", "oslo"].into_iter().enumerate() {
            let partner = json!({"name": name, "slug": format!("p{n}")});
            let partner = world.post("/admin/partners").bearer(&admin).json(partner).send().await.expect(201).data()["id"].clone();
            let tenant = json!({"name": name, "slug": format!("t{n}"), "partner_id": partner});
            world.post("/admin/tenants").bearer(&admin).json(tenant).send().await.expect(201);
        }
        for list in ["partners", "tenants"] {
            for (sort, expected) in [("name", ["Ähre", "apple", "oslo", "Øst", "zebra", "Zorn"]), ("-name", ["Zorn", "zebra", "Øst", "oslo", "apple", "Ähre"])] {
                let (mut names, mut query) = (Vec::new(), String::new());
                loop {
                    let answer = world.get(&format!("/admin/{list}?sort={sort}&per_page=2{query}")).bearer(&admin).send().await.expect(200);
                    let data = answer.data();
                    names.extend(data.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()));
                    let Value::String(cursor) = &answer.json()["pagination"]["next_cursor"] else { break };
                    query = format!("&cursor={cursor}");
                }
                // What a fresh installation has stands between them.
                names.retain(|name| expected.contains(&name.as_str()));
                assert_eq!(names, expected, "{list}");
            }
        }
    }

    async fn users_are_sorted_by_name_address_and_last_sign_in(world) {
        let (tenant, admin) = (world.tenant("acme").await, world.admin().await);
        for (name, email) in [("zoe", "a@mail.example"), ("Adam", "c@mail.example"), ("mia", "B@mail.example"), ("bob", "d@mail.example")] {
            let body = json!({"username": name, "email": email, "delivery": "none", "tenant_id": tenant.id});
            world.post("/admin/users").bearer(&admin).json(body).send().await.expect(201);
        }
        let at = |name: &str, micros: i64| format!("UPDATE users SET last_login_at = {micros} WHERE username = '{name}'");
        for (name, micros) in [("zoe", 2_000_000), ("mia", 1_000_000), ("bob", 3_000_000)] {
            world.execute(at(name, micros)).await;
        }
        let walk = async |list: &str, query: &str| {
            let (mut names, mut cursor) = (Vec::new(), String::new());
            loop {
                let answer = world.get(&format!("{list}per_page=1&{query}{cursor}")).bearer(&admin).send().await.expect(200);
                names.extend(answer.data().as_array().unwrap().iter().map(|item| item["username"].as_str().unwrap().to_owned()));
                let Value::String(next) = &answer.json()["pagination"]["next_cursor"] else { break names.join(" ") };
                cursor = format!("&cursor={next}");
            }
        };
        for list in [format!("/tenants/{}/users?", tenant.id), format!("/admin/users?tenant_id={}&", tenant.id), format!("/admin/users?partner_id={}&", tenant.partner_id)] {
            for (query, names) in [
                ("sort=username", "Adam bob mia zoe"), ("sort=-username", "zoe mia bob Adam"),
                ("sort=email", "zoe mia Adam bob"), ("sort=-email", "bob Adam mia zoe"),
                ("sort=last_login_at", "Adam mia zoe bob"), ("sort=-last_login_at", "bob zoe mia Adam"),
                ("sort=username&search=mail", "Adam bob mia zoe"), ("sort=-last_login_at&search=mail", "bob zoe mia Adam"),
                ("sort=last_login_at&last_login_before=1970-01-01T00:00:03Z", "mia zoe"),
                ("sort=username&last_login_before=1970-01-01T00:00:03.000001Z", "bob mia zoe"),
            ] {
                assert_eq!(walk(&list, query).await, names, "{list}{query}");
            }
        }
    }

    async fn cursor_walks_through_the_built_in_roles_too(world) {
        world.tick();
        let tenant = world.tenant("acme").await;
        for name in ["one", "two"] {
            world.role(&tenant, name, &["sessions:read"]).await;
        }
        let admin = world.admin().await;
        for (per_page, sort) in [(1, "-created_at"), (2, "-created_at"), (3, "created_at"), (2, "created_at"), (5, "-created_at")] {
            let (mut seen, mut query) = (Vec::new(), String::new());
            loop {
                let answer = world.get(&format!("/admin/roles?per_page={per_page}&sort={sort}{query}")).bearer(&admin).send().await.expect(200);
                assert_eq!(answer.total(), 5);
                seen.extend(answer.ids());
                let Value::String(cursor) = &answer.json()["pagination"]["next_cursor"] else { break };
                query = format!("&cursor={cursor}");
            }
            seen.sort();
            seen.dedup();
            assert_eq!(seen.len(), 5, "{per_page} a page, by {sort}");
        }
    }
}
