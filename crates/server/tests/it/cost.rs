//! What requests cost, in statements: what is asked most costs nothing, and nothing costs more because there is more of
//! it. Transaction control is not counted.

use std::sync::Arc;

use gatehouse_domain::{
    authz::{Actor, Area, ReadUsers, SystemReason, authorize},
    id::UserId,
    issue::Parse,
    job::JobKind,
};
use gatehouse_persistence::testing::fill_sessions;
use serde_json::json;

use crate::harness::{Answer, Person, Signed, Tenant, World, api_tests};

/// The statements that a request runs when what can be remembered is. What is remembered is forgotten within a second,
/// so the least of a few tries in a row is the one that counts.
async fn warm<F: Future<Output = Answer>>(world: &World, request: impl Fn() -> F) -> u64 {
    let mut least = u64::MAX;
    for _ in 0..4 {
        let before = world.app.db().statements().0;
        let answer = request().await;
        assert!(answer.status < 300, "{}", answer.text);
        least = least.min(world.app.db().statements().0 - before);
    }
    least
}

async fn get(world: &World, token: &Signed, path: &str) -> u64 {
    warm(world, || world.get(path).bearer(token).send()).await
}

/// The statements that one request runs, after another one of the same caller has warmed what can be.
async fn once(world: &World, token: &Signed, request: impl Future<Output = Answer>) -> u64 {
    assert_eq!(world.me(token).await, 200);
    let before = world.app.db().statements().0;
    let answer = request.await;
    let count = world.app.db().statements().0 - before;
    assert!(answer.status < 300, "{}", answer.text);
    count
}

pub async fn fill(world: &World, person: &Person, sessions: u64) {
    let system = Arc::new(Actor::System(SystemReason::Job));
    let grant = authorize::<ReadUsers>(&system, &Area::Directory).unwrap();
    let user = world.app.users().get(&grant, UserId::parse(&person.id).unwrap()).await.unwrap().view.user;
    fill_sessions(world.app.db(), &user, sessions, world.app.env().now()).await.unwrap();
}

/// A tenant with its administrator, signed in.
async fn administered(world: &World) -> (Tenant, Person, Signed) {
    let tenant = world.tenant("acme").await;
    let boss = world.tenant_admin(&tenant, "boss").await;
    let token = world.login(&boss).await;
    (tenant, boss, token)
}

api_tests! {
    async fn warm_caller_is_known_without_a_statement(world) {
        let ada = world.login(&world.person(&world.tenant("acme").await, "ada").await).await;
        assert_eq!(get(&world, &ada, "/me").await, 0);
    }

    async fn keys_and_metadata_of_issuers_take_no_statement(world) {
        world.tenant("acme").await;
        for path in [
            "/auth/tenants/acme/.well-known/jwks.json", "/platform/.well-known/jwks.json",
            "/auth/tenants/acme/.well-known/openid-configuration",
            "//.well-known/openid-configuration/api/v1/auth/tenants/acme",
            "//.well-known/oauth-authorization-server/api/v1/auth/tenants/acme",
        ] {
            assert_eq!(warm(&world, || world.get(path).send()).await, 0, "{path}");
        }
    }

    async fn refused_caller_costs_no_statement(world) {
        let (tenant, _, _) = administered(&world).await;
        let ada = world.login(&world.person(&tenant, "ada").await).await;
        for path in ["/admin/sessions".to_owned(), format!("/tenants/{}/sessions", tenant.id)] {
            let mut least = u64::MAX;
            for _ in 0..4 {
                let before = world.app.db().statements().0;
                world.get(&path).bearer(&ada).send().await.expect(403);
                least = least.min(world.app.db().statements().0 - before);
            }
            assert_eq!(least, 0, "{path}");
        }
    }

    async fn lists_of_sessions_take_three_statements_whatever_their_page_and_filters(world) {
        let (tenant, boss, token) = administered(&world).await;
        let admin = world.admin().await;
        fill(&world, &boss, 1_000).await;
        let lists = [
            (&token, "/me/sessions".to_owned(), vec!["active_only=false", "sort=last_activity_at"]),
            (&token, format!("/tenants/{}/sessions", tenant.id), vec![
                "active_only=false", "device_type=mobile", "device_type=mobile&device_type=tablet", "ip_address=203.0.113.7",
                "created_after=2020-01-01T00:00:00Z", "created_before=2100-01-01T00:00:00Z",
                "last_activity_before=2100-01-01T00:00:00Z", "application_id=app_01h455vb4pex5vsknk084sn02q", "sort=-last_activity_at",
            ]),
            (&token, format!("/tenants/{}/sessions/users/{}", tenant.id, boss.id), vec!["active_only=false", "device_type=mobile"]),
            (&admin, "/admin/sessions".to_owned(), vec!["active_only=false", "sort=created_at"]),
        ];
        for (token, path, filters) in lists {
            for filter in filters.into_iter().chain([""]) {
                for per_page in [1, 200] {
                    let path = format!("{path}?{filter}&per_page={per_page}");
                    let count = get(&world, token, &path).await;
                    assert!(count <= 3, "{path}: {count}");
                }
            }
        }
        for (name, id) in [("user_id", &boss.id), ("tenant_id", &tenant.id), ("partner_id", &tenant.partner_id)] {
            let count = get(&world, &admin, &format!("/admin/sessions?{name}={id}")).await;
            assert!(count <= 3, "{name}: {count}");
        }
    }

    async fn other_lists_take_three_statements_whatever_their_page(world) {
        let (tenant, ..) = administered(&world).await;
        let admin = world.admin().await;
        for i in 0..12 {
            let person = world.person(&tenant, &format!("p{i}")).await;
            let role = world.role(&tenant, &format!("r{i}"), &["sessions:read"]).await;
            world.give(&person, &role, json!({"level": "tenant", "tenant_id": tenant.id})).await;
            world.application(&tenant, &format!("a{i}")).await;
        }
        for list in ["partners", "tenants", "users", "roles", "role-assignments", "applications", "permissions"] {
            let [one, all] = [1, 200].map(|per_page| format!("/admin/{list}?per_page={per_page}"));
            let (one, all) = (get(&world, &admin, &one).await, get(&world, &admin, &all).await);
            assert!(one <= 3 && all <= 3, "{list}: {one}, {all}");
        }
        for search in ["users?search=p", "users?search=p1%20@acme&status=ACTIVE", "tenants?search=a", "partners?search=a", "applications?search=a1&status=ACTIVE&application_type=SERVICE&scope_level=TENANT"] {
            let [one, all] = [1, 200].map(|per_page| format!("/admin/{search}&per_page={per_page}"));
            let (one, all) = (get(&world, &admin, &one).await, get(&world, &admin, &all).await);
            assert!(one <= 3 && all <= 3, "{search}: {one}, {all}");
        }
    }

    async fn events_take_three_statements_whatever_is_asked_of_them(world) {
        let (tenant, boss, token) = administered(&world).await;
        let admin = world.admin().await;
        for filter in [
            String::new(), "page=1000".into(), "action=session.created".into(), "resource_type=user".into(), "result=failure".into(), "result=success".into(),
            "ip_address=203.0.113.7".into(), format!("actor_id={}", boss.id), format!("resource_id={}", boss.id), "created_after=2020-01-01T00:00:00Z".into(),
        ] {
            for (token, path) in [(&token, format!("/tenants/{}/audit-events", tenant.id)), (&admin, "/admin/audit-events".to_owned())] {
                for per_page in [1, 200] {
                    let path = format!("{path}?{filter}&per_page={per_page}");
                    let count = get(&world, token, &path).await;
                    assert!(count <= 3, "{path}: {count}");
                }
            }
        }
        let id = world.get("/admin/audit-events?per_page=1").bearer(&admin).send().await.ids().remove(0);
        assert_eq!(get(&world, &admin, &format!("/admin/audit-events/{id}")).await, 1);
        assert_eq!(get(&world, &admin, "/admin/audit-events/export").await, 1);
        assert_eq!(get(&world, &admin, "/admin/audit-events/catalogue").await, 0);
    }

    async fn imports_and_exports_of_users_cost_a_few_statements_whatever_is_in_the_file(world) {
        let (tenant, _, token) = administered(&world).await;
        let base = format!("/tenants/{}", tenant.id);
        let path = format!("{base}/user-imports");
        let file = |n: usize| (0..n).map(|i| format!("{{\"username\":\"u{i}\",\"email\":\"u{i}@x.example\"}}\n")).collect::<String>();
        let ask = |n: usize| world.post(&path).bearer(&token).body("application/x-ndjson", file(n)).send();
        // The file, whether there is another import, and the import with its event; in both transactions who asks.
        let who = if world.app.db().is_sqlite() { 1 } else { 2 };
        let expected = if world.app.db().is_sqlite() { 3 } else { 4 } + 2 * who;
        let few = once(&world, &token, ask(1)).await;
        world.work(JobKind::UserImport).await;
        assert_eq!((few, once(&world, &token, ask(2_000)).await), (expected, expected));
        world.work(JobKind::UserImport).await;
        for per_page in [1, 200] {
            assert_eq!(get(&world, &token, &format!("{path}?per_page={per_page}")).await, 2);
        }
        let id = world.get(&path).bearer(&token).send().await.ids().remove(0);
        assert_eq!(get(&world, &token, &format!("{path}/{id}")).await, 1);
        assert_eq!(get(&world, &token, &format!("{path}/{id}/rejects")).await, 3);
        // Who asks, the event, and one for every 500 users.
        assert_eq!(get(&world, &token, &format!("{base}/users/export")).await, who + 1 + 2_001 / 500 + 1);
    }

    async fn one_session_takes_two_statements(world) {
        let (tenant, boss, token) = administered(&world).await;
        let session = world.login(&boss).await.session();
        for path in [format!("/tenants/{}/sessions/{session}", tenant.id), format!("/tenants/{}/sessions/{}", tenant.id, token.session())] {
            let count = get(&world, &token, &path).await;
            assert!(count <= 2, "{path}: {count}");
        }
    }

    async fn figures_take_as_many_statements_for_many_sessions_as_for_few(world) {
        let (tenant, boss, token) = administered(&world).await;
        let path = format!("/tenants/{}/sessions/stats", tenant.id);
        let few = get(&world, &token, &path).await;
        fill(&world, &boss, 1_000).await;
        let many = get(&world, &token, &path).await;
        assert_eq!(few, many);
        assert!(many <= 8, "{many}");
    }

    async fn signing_in_takes_four_statements_with_a_known_device_too_and_refreshing_three(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        let token = world.login(&ada).await;
        let mut signing_in = u64::MAX;
        let mut refreshing = u64::MAX;
        for _ in 0..4 {
            signing_in = signing_in.min(once(&world, &token, world.try_login("acme", "ada", crate::harness::PASSWORD)).await);
            let other = world.login(&ada).await;
            refreshing = refreshing.min(once(&world, &token, world.refresh("acme", &other.refresh)).await);
        }
        assert!(signing_in <= 4, "{signing_in}");
        let with = async |device: &str| {
            let form = [("username", "ada"), ("password", crate::harness::PASSWORD), ("device_token", device)];
            let before = world.app.db().statements().0;
            let answer = world.post("/auth/tenants/acme/login").form(&form).send().await.expect(200);
            (world.app.db().statements().0 - before, answer)
        };
        let (beginning, answer) = with("").await;
        assert!(beginning <= 7, "{beginning}");
        let (known, _) = with(answer.json()["device_token"].as_str().unwrap()).await;
        assert!(known <= 4, "{known}");
        assert!(refreshing <= 3, "{refreshing}");
        let before = world.app.db().statements().0;
        world.try_login("acme", "ada", "wrong horse").await.expect(401);
        assert_eq!(world.app.db().statements().0 - before, 4, "credentials, the counters twice, the event");
    }

    async fn ending_sessions_takes_as_many_statements_for_many_as_for_few(world) {
        let (tenant, boss, _) = administered(&world).await;
        let admin = world.admin().await;
        let mut counts = Vec::new();
        for sessions in [3, 400] {
            let mut least = [u64::MAX; 6];
            for _ in 0..2 {
                fill(&world, &boss, sessions).await;
                let token = world.login(&boss).await;
                let other = world.login(&boss).await;
                let one = format!("/tenants/{}/sessions/{}", tenant.id, world.login(&boss).await.session());
                let of_user = format!("/tenants/{}/sessions/users/{}/revoke", tenant.id, boss.id);
                let of_tenant = format!("/tenants/{}/sessions/revoke-all", tenant.id);
                let everywhere = json!({"user_id": boss.id});
                let count = [
                    once(&world, &token, world.logout("acme", &other.refresh)).await,
                    once(&world, &token, world.delete(&one).bearer(&token).send()).await,
                    once(&world, &token, world.post("/me/sessions/revoke-all").bearer(&token).send()).await,
                    {
                        fill(&world, &boss, sessions).await;
                        once(&world, &token, world.post(&of_user).bearer(&token).json(json!({"revoke_all": true})).send()).await
                    },
                    {
                        fill(&world, &boss, sessions).await;
                        once(&world, &admin, world.post("/admin/sessions/revoke-all").bearer(&admin).json(everywhere).send()).await
                    },
                    {
                        fill(&world, &boss, sessions).await;
                        once(&world, &admin, world.post(&of_tenant).bearer(&admin).send()).await
                    },
                ];
                for (least, count) in least.iter_mut().zip(count) {
                    *least = count.min(*least);
                }
            }
            counts.push(least);
        }
        assert_eq!(counts[0], counts[1], "logout, one, own, a user's, a user's by the platform, a tenant's");
        // Two more than on SQLite: the locks of who asks, and of whose sessions end.
        let most = if world.app.db().is_sqlite() { 5 } else { 7 };
        assert!(counts[1].iter().all(|count| *count <= most), "{counts:?}");
    }

    /// What strangers may ask for costs the same few statements each; what a link does, a few more.
    async fn asking_for_links_and_using_them_takes_few_statements(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        let token = world.login(&ada).await;
        let confirm = json!({"token": world.mail_to("ada@acme.example").await.token()});
        let email = json!({"email": "ada@acme.example"});
        let forgot = || world.post("/auth/tenants/acme/password/forgot").json(email.clone()).send();
        let asking = once(&world, &token, forgot()).await;
        let sending = {
            let before = world.app.db().statements().0;
            assert_eq!(world.work(JobKind::Mail).await, 1);
            world.app.db().statements().0 - before
        };
        let reset = json!({"token": world.mail_to("ada@acme.example").await.token(), "new_password": crate::harness::PASSWORD});
        let confirming = once(&world, &token, world.post("/auth/tenants/acme/email/verify").json(confirm).send()).await;
        let changing = json!({"email": "new@acme.example", "current_password": crate::harness::PASSWORD});
        let changing = once(&world, &token, world.post("/me/email").bearer(&token).json(changing).send()).await;
        let resetting = once(&world, &token, world.post("/auth/tenants/acme/password/reset").json(reset).send()).await;
        let counts = [asking, sending, confirming, changing, resetting];
        let most = [6, 12, 8, 12, 14];
        assert!(counts.iter().zip(most).all(|(count, most)| *count <= most), "{counts:?}");
    }
}
