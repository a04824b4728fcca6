//! A request is judged when its last byte is there: whoever holds a body back keeps nothing that ends meanwhile.

use std::time::Duration;

use actix_web::http::Method;
use futures_util::future::join_all;
use gatehouse_domain::job::JobKind;
use serde_json::json;

use crate::{
    authz_matrix::{
        cast::{Target, event, import},
        operation::{Operation, operations},
    },
    harness::{Ending, Held, PASSWORD, Signed, Tenant, Victim, World, api_tests},
};

/// Why the rights of a request end while its body is held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Session(Ending),
    Role,
}

/// Every operation with a body that somebody has to be signed in for.
fn taking_bodies() -> Vec<Operation> {
    let mut all = operations();
    all.retain(|operation| operation.secured && ![Method::GET, Method::DELETE].contains(&operation.method));
    assert!(all.len() >= 37, "{}", all.len());
    all
}

/// Something in another tenant to ask for, which no ending touches.
struct Stage {
    target: Target,
    other: Tenant,
    /// Where operators send a file to: each tenant takes one at a time.
    another: Tenant,
}

impl Stage {
    async fn new(world: &World) -> Self {
        let (other, another) = (world.tenant("other").await, world.tenant("another").await);
        let bob = world.person(&other, "bob").await;
        let role = world.role(&other, "shown", &["sessions:read"]).await;
        let spare_role = world.role(&other, "spare", &["sessions:read"]).await;
        let anchor = json!({"level": "tenant", "tenant_id": other.id});
        let assignment = world.give(&bob, &role, anchor).await;
        let target = Target {
            tenant: other.id.clone(),
            slug: other.slug.clone(),
            partner: other.partner_id.clone(),
            session: world.login(&bob).await.session(),
            user: bob.id.clone(),
            name: bob.name.clone(),
            role,
            spare_role,
            assignment,
            application: world.application(&other, "shown").await,
            event: event(world, &other).await,
            import: import(world, &other.id).await,
            email: "m@example.com".to_owned(),
            link: "none".to_owned(),
            ..Target::default()
        };
        world.work(JobKind::UserImport).await;
        Self { target, other, another }
    }

    /// A good request whose body is held back.
    fn hold(
        &self,
        world: &World,
        operation: &Operation,
        serial: u32,
        token: &Signed,
        held: &Held,
    ) -> impl Future<Output = (u16, String)> + use<> {
        let mut target = Target { serial, ..self.target.clone() };
        if operation.takes_file && operation.id.starts_with("admin.") {
            target.tenant.clone_from(&self.another.id);
        }
        let call = operation.call(world, &operation.path(&target), Some(&token.access), serial);
        let call = if operation.takes_file {
            call.body("application/x-ndjson", "\n")
        } else if operation.takes_body {
            call.json(operation.body(&target))
        } else {
            call.json(json!({}))
        };
        let answer = call.hold(held);
        async move {
            let answer = answer.await;
            (answer.status, answer.text)
        }
    }
}

/// What only grows, and with every change.
async fn traces(world: &World) -> Vec<i64> {
    let mut counts = Vec::new();
    for sql in [
        "audit_events WHERE result = 'success'",
        "jobs",
        "user_tokens",
        "user_import_pieces",
        "user_imports",
        "role_assignments",
        "users",
    ] {
        counts.push(world.number(format!("SELECT COUNT(*) FROM {sql}")).await);
    }
    counts
}

async fn before(world: &World, instant: i64) -> i64 {
    world.number(format!("SELECT COUNT(*) FROM audit_events WHERE occurred_at < {instant}")).await
}

/// Ends the rights of a caller while the bodies of all operations are held back.
async fn nothing_outlives(world: &World, stage: &Stage, end: End, slug: String) {
    let victim = Victim::new(world, &slug).await;
    let role = world.builtin("super_admin").await;
    let assignment = world.give(&victim.user, &role, json!({"level": "platform"})).await;
    let ending = match end {
        End::Session(ending) => ending,
        End::Role => Ending::Logout,
    };
    let doomed = victim.doom(world, ending).await;
    assert_eq!(world.me(&doomed.signed).await, 200);
    let held = Held::new();
    let mut names = Vec::new();
    let mut requests = Vec::new();
    for (serial, operation) in (1..).zip(taking_bodies()) {
        // One's own account takes no role.
        if end == End::Role && operation.path.starts_with("/me") {
            continue;
        }
        names.push(operation.id.clone());
        let request = stage.hold(world, &operation, serial, &doomed.signed, &held);
        requests.push(actix_web::rt::spawn(request));
    }
    held.all_wait(names.len()).await;
    world.clock.advance(Duration::from_secs(1));
    match end {
        End::Session(_) => drop(victim.end(world, ending, &doomed).await),
        End::Role => {
            let path = format!("/admin/role-assignments/{assignment}");
            world.delete(&path).bearer(world.admin().await).send().await.expect(204);
        }
    }
    world.clock.advance(Duration::from_secs(1));
    let instant = world.app.env().now().micros();
    let (left, dated) = (traces(world).await, before(world, instant).await);
    held.let_go();
    for (name, request) in names.iter().zip(join_all(requests).await) {
        let (status, text) = request.unwrap();
        let refusals: &[u16] = if end == End::Role { &[403, 404] } else { &[401] };
        assert!(refusals.contains(&status), "{name} outlives {end:?}: {status} {text}");
    }
    assert_eq!(traces(world).await, left, "{end:?}");
    assert_eq!(before(world, instant).await, dated, "{end:?}: an event is dated before what preceded it");
}

api_tests! {
    async fn no_operation_outlives_an_ending_while_its_body_is_held_back(world) {
        let stage = Stage::new(&world).await;
        for (n, ending) in Ending::ALL.into_iter().enumerate() {
            nothing_outlives(&world, &stage, End::Session(ending), format!("t{n}")).await;
        }
        assert_eq!(stage.other.slug, "other");
    }

    async fn no_operation_outlives_the_loss_of_a_role_while_its_body_is_held_back(world) {
        let stage = Stage::new(&world).await;
        nothing_outlives(&world, &stage, End::Role, "acme".to_owned()).await;
    }

    async fn tenant_of_a_sign_in_is_looked_at_when_its_body_is_there(world) {
        let victim = Victim::new(&world, "acme").await;
        for ending in [Ending::SuspendTenant, Ending::SuspendPartner] {
            let doomed = victim.doom(&world, ending).await;
            let held = Held::new();
            let form = [("username", "ada"), ("password", PASSWORD)];
            let eve = json!({"username": "eve", "email": "eve@acme.example", "password": PASSWORD});
            let calls = [
                world.post("/auth/tenants/acme/login").form(&form),
                world.post("/auth/tenants/acme/register").json(eve),
                world.post("/auth/tenants/acme/refresh").json(json!({"refresh_token": doomed.signed.refresh})),
            ];
            let requests = calls.map(|call| actix_web::rt::spawn(call.hold(&held)));
            held.all_wait(3).await;
            victim.end(&world, ending, &doomed).await;
            held.let_go();
            let answers = join_all(requests).await.into_iter().map(|answer| answer.unwrap().status);
            assert_eq!(answers.collect::<Vec<_>>(), [403, 403, 401], "{ending:?}");
            let (what, id) = match ending {
                Ending::SuspendTenant => ("tenants", &victim.tenant.id),
                _ => ("partners", &victim.tenant.partner_id),
            };
            world.set_status(what, id, "ACTIVE").await;
        }
    }

    async fn change_is_dated_when_its_body_is_there(world) {
        let victim = Victim::new(&world, "acme").await;
        let signed = victim.sign_in(&world).await;
        let held = Held::new();
        let call = world.patch("/me").bearer(&signed).json(json!({"display_name": "Ada"}));
        let request = actix_web::rt::spawn(call.hold(&held));
        held.all_wait(1).await;
        world.clock.advance(Duration::from_secs(20));
        let instant = world.app.env().now().micros();
        held.let_go();
        request.await.unwrap().expect(200);
        let id = world.literal(&victim.user.id);
        let late = format!("SELECT COUNT(*) FROM users WHERE id = {id} AND updated_at >= {instant}");
        let event = format!("SELECT COUNT(*) FROM audit_events WHERE action = 'user.updated' AND occurred_at >= {instant}");
        assert_eq!((world.number(late).await, world.number(event).await), (1, 1));
    }

    async fn token_that_expires_while_a_body_is_held_back_counts_no_more(world) {
        let signed = Victim::new(&world, "acme").await.sign_in(&world).await;
        let held = Held::new();
        let call = world.patch("/me").bearer(&signed).json(json!({"display_name": "Ada"}));
        let request = actix_web::rt::spawn(call.hold(&held));
        held.all_wait(1).await;
        world.clock.advance(Duration::from_secs(16 * 60));
        held.let_go();
        request.await.unwrap().problem(401, "invalid_token");
    }

    async fn nobody_waits_for_the_body_of_a_request_that_is_refused_by_its_head(world) {
        let held = Held::new();
        let call = || world.patch("/me").json(json!({"display_name": "Ada"}));
        call().hold(&held).await.problem(401, "unauthenticated");
        call().bearer("nonsense").hold(&held).await.problem(401, "invalid_token");
        let (admin, nowhere) = (world.admin().await, "/tenants/ten_01h455vb4pex5vsknk084sn02q/roles");
        let body = json!({"name": "x", "permissions": ["sessions:read"]});
        world.post(nowhere).bearer(&admin).json(body).hold(&held).await.problem(404, "not_found");
        held.all_wait(0).await;
    }
}
