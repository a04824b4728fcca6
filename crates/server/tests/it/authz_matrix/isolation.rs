//! What belongs to others does not exist: to everybody, every id of another tenant answers like one that nobody ever
//! had, byte for byte, whichever place of the path it takes.

use gatehouse_domain::id::{
    ApplicationId, AssignmentId, AuditEventId, JobId, PartnerId, RoleId, SessionId, TenantId, UserId,
};
use serde_json::{Value, json};

use super::{
    cast::{Cast, Target, Whose, event, import},
    operation::{Operation, operations},
};
use crate::harness::{Tenant, World, api_tests};

/// The callers who are somebody.
const CALLERS: [&str; 6] = ["plain", "reader", "deleter", "tenant", "partner", "foreign"];

const IDS: [&str; 8] =
    ["tenant_id", "user_id", "session_id", "role_id", "assignment_id", "application_id", "event_id", "import_id"];

/// Everything of a tenant that none of the callers may see.
async fn stranger(world: &World) -> Target {
    let tenant = world.tenant("stranger").await;
    let person = world.person(&tenant, "stranger").await;
    let role = world.role(&tenant, "strange", &["sessions:read"]).await;
    let anchor = json!({"level": "tenant", "tenant_id": tenant.id});
    let assignment = world.give(&person, &role, anchor).await;
    let signed = world.login(&person).await;
    Target {
        application: world.application(&tenant, "strange").await,
        event: event(world, &tenant).await,
        import: import(world, &tenant.id).await,
        email: format!("{}@{}.example", person.name, person.slug),
        link: "none".to_owned(),
        tenant: tenant.id,
        slug: tenant.slug,
        partner: tenant.partner_id,
        user: person.id,
        name: person.name,
        session: signed.session(),
        refresh: signed.refresh,
        spare_role: role.clone(),
        role,
        assignment,
        serial: 0,
    }
}

/// Ids that nothing has.
fn nothing() -> Target {
    let random = [7; 10];
    Target {
        tenant: TenantId::from_parts(1, random).to_string(),
        partner: PartnerId::from_parts(1, random).to_string(),
        user: UserId::from_parts(1, random).to_string(),
        session: SessionId::from_parts(1, random).to_string(),
        role: RoleId::from_parts(1, random).to_string(),
        spare_role: RoleId::from_parts(1, random).to_string(),
        assignment: AssignmentId::from_parts(1, random).to_string(),
        application: ApplicationId::from_parts(1, random).to_string(),
        event: AuditEventId::from_parts(1, random).to_string(),
        import: JobId::from_parts(1, random).to_string(),
        ..Target::default()
    }
}

fn field<'t>(target: &'t mut Target, name: &str) -> &'t mut String {
    match name {
        "tenant_id" => &mut target.tenant,
        "user_id" => &mut target.user,
        "session_id" => &mut target.session,
        "role_id" => &mut target.role,
        "application_id" => &mut target.application,
        "event_id" => &mut target.event,
        "import_id" => &mut target.import,
        _ => &mut target.assignment,
    }
}

/// The target with one id of it taken from another.
fn with(target: &Target, name: &str, other: &Target) -> Target {
    let mut target = target.clone();
    let mut other = other.clone();
    std::mem::swap(field(&mut target, name), field(&mut other, name));
    // What does not change between the calls to be compared.
    target.serial = 0;
    target
}

/// One operation, with each id in its path replaced in turn by a stranger's and by nobody's.
async fn compare(cast: &Cast, operation: &Operation, strange: &Target) {
    let nothing = nothing();
    for name in CALLERS {
        let actor = cast.actor(name);
        // The caller's own things: only the replaced id stands between the caller and success.
        let own = cast.target(actor, Whose::Own, operation.names("session_id")).await;
        for id in IDS.into_iter().filter(|id| operation.names(id)) {
            let token = cast.token(actor).await;
            let [foreign, unknown] = [strange, &nothing].map(|other| with(&own, id, other));
            let foreign = operation.good(&cast.world, &foreign, token.as_deref()).await;
            let unknown = operation.good(&cast.world, &unknown, token.as_deref()).await;
            let case = format!("{} by {name} with the {id} of a stranger", operation.id);
            assert!(matches!(foreign.status, 403 | 404), "{case}: {} {}", foreign.status, foreign.text);
            assert_eq!(foreign.anonymised(), unknown.anonymised(), "{case}");
            // Who has the permission is never told that it is missing.
            let holder = matches!(name, "tenant") || id == "tenant_id" && operation.path.starts_with("/tenants");
            if holder && !operation.path.starts_with("/admin") {
                assert_eq!(foreign.status, 404, "{case}");
            }
            // The stranger's tenant with an id of the caller's own: the tenant decides.
            if id == "tenant_id" && operation.path.starts_with("/tenants") {
                let both = Target { tenant: strange.tenant.clone(), ..with(&own, id, strange) };
                let answer = operation.good(&cast.world, &both, token.as_deref()).await;
                assert_eq!(answer.anonymised(), unknown.anonymised(), "{case}");
            }
        }
    }
}

/// What the platform sees of a tenant.
async fn seen(world: &World, tenant: &Tenant) -> Vec<Value> {
    let mut all = Vec::new();
    for list in ["users", "roles", "role-assignments", "applications", "sessions"] {
        let path = format!("/admin/{list}?tenant_id={}", tenant.id);
        all.push(world.get(&path).bearer(world.admin().await).send().await.expect(200).data());
    }
    all
}

api_tests! {
    async fn ids_of_another_tenant_answer_like_ids_that_nobody_ever_had(world) {
        let cast = Cast::new(&world).await;
        let strange = stranger(&world).await;
        let tenant = Tenant { id: strange.tenant.clone(), slug: String::new(), partner_id: String::new() };
        let before = seen(&world, &tenant).await;
        for operation in operations().iter().filter(|operation| operation.secured) {
            compare(&cast, operation, &strange).await;
        }
        assert_eq!(seen(&world, &tenant).await, before);
    }

    async fn ids_of_another_partner_in_a_body_answer_like_ids_that_nobody_ever_had(world) {
        let cast = Cast::new(&world).await;
        let (strange, nothing) = (stranger(&world).await, nothing());
        let tenant = Tenant { id: strange.tenant.clone(), slug: String::new(), partner_id: String::new() };
        let before = seen(&world, &tenant).await;
        let partner = cast.actor("partner");
        let own = cast.target(partner, Whose::Own, false).await;
        for operation in operations().iter().filter(|o| o.path.starts_with("/admin") && o.takes_body) {
            for id in ["tenant", "partner", "user", "spare_role"] {
                let [foreign, unknown] = [&strange, &nothing].map(|other| {
                    let mut body = own.clone();
                    match id {
                        "tenant" => body.tenant.clone_from(&other.tenant),
                        "partner" => body.partner.clone_from(&other.partner),
                        "user" => body.user.clone_from(&other.user),
                        _ => body.spare_role.clone_from(&other.spare_role),
                    }
                    operation.body(&body)
                });
                if foreign == unknown {
                    continue;
                }
                let path = operation.path(&own);
                let mut answers = Vec::new();
                for body in [foreign, unknown] {
                    let call = world.call(operation.method.clone(), &path).json(body);
                    answers.push(call.bearer(cast.token(partner).await.unwrap()).send().await);
                }
                let case = format!("{} with the {id} of a stranger", operation.id);
                assert!(matches!(answers[0].status, 404 | 422), "{case}: {}", answers[0].text);
                assert_eq!(answers[0].anonymised(), answers[1].anonymised(), "{case}");
            }
        }
        assert_eq!(seen(&world, &tenant).await, before);
    }

    async fn filters_that_name_what_others_have_give_empty_lists(world) {
        let cast = Cast::new(&world).await;
        let strange = stranger(&world).await;
        let token = cast.token(cast.actor("partner")).await.unwrap();
        for (list, filters) in [
            ("sessions", ["user_id", "tenant_id", "partner_id"].as_slice()),
            ("users", &["tenant_id", "partner_id", "role"]),
            ("tenants", &["partner_id"]),
            ("roles", &["tenant_id", "partner_id"]),
            ("applications", &["tenant_id", "partner_id"]),
            ("role-assignments", &["user_id", "role_id", "tenant_id", "partner_id"]),
            ("audit-events", &["tenant_id", "partner_id", "actor_id", "resource_id"]),
        ] {
            for filter in filters {
                let value = match *filter {
                    "user_id" | "actor_id" | "resource_id" => &strange.user,
                    "tenant_id" => &strange.tenant,
                    "partner_id" => &strange.partner,
                    _ => &strange.role,
                };
                let path = format!("/admin/{list}?{filter}={value}");
                let platform = world.get(&path).bearer(world.admin().await).send().await.expect(200);
                assert!(platform.total() > 0, "{path} shows nothing to anybody");
                let answer = world.get(&path).bearer(&token).send().await.expect(200);
                assert_eq!((answer.total(), answer.ids().len()), (0, 0), "{path}");
            }
        }
        let path = format!("/tenants/{}/sessions?user_id={}", cast.home.id, strange.user);
        assert_eq!(world.get(&path).bearer(&token).send().await.expect(200).total(), 0);
        for filter in ["actor_id", "resource_id"] {
            let path = format!("/tenants/{}/audit-events?{filter}={}", cast.home.id, strange.user);
            assert_eq!(world.get(&path).bearer(&token).send().await.expect(200).total(), 0, "{path}");
        }
    }
}
