//! Every statement that is run for every request finds its rows by an index, on both databases: nothing reads or sorts a
//! tenant's whole data. The statements are those that storage really runs, overheard.

mod events;
mod explain;
mod found;
mod survey;

use std::sync::Arc;

use gatehouse_domain::{
    authz::{
        Actor, ActorId, Area, Grant, Installation, Oneself, ReadAssignments, ReadAudit, ReadPartners, ReadRoles,
        ReadSessions, ReadTenants, ReadUsers, RevokeSessions, WriteSettings, WriteUsers, authorize,
    },
    id::JobId,
    issue::Parse,
    job::{Failure, JobKind},
    page::{Direction, PageRequest, Start},
    partner::Status,
    search::Search,
    secret::{PasswordHash, TokenHash},
    session::{Cap, Caps, EndReason, RevokeMany, RevokeTarget, Successor, Tighten, Within},
    text::{LoginName, Username},
    throttle::Failures,
    time::DAY,
    user::{Purpose, UserPatch, UserStatus},
};
use gatehouse_persistence::{
    AssignmentFilter, AuditFilter, Db, IdempotencyKey, NewJob, PartnerFilter, RoleFilter, Scope, SearchKind,
    SessionFilter, SessionSort, TenantFilter, UserFilter, UserSort,
    testing::{Engine, Fresh},
};

use crate::fixture::*;
use survey::{Survey, then};

async fn on(engine: Engine, look: impl AsyncFn(&mut Survey)) {
    let Some(fresh) = Fresh::migrated(engine) else { return };
    let mut survey = Survey::new(&fresh).await;
    look(&mut survey).await;
    survey.finish();
}

/// Runs each body on both databases.
macro_rules! surveys {
    ($(async fn $name:ident($survey:ident) $body:block)*) => {$(
        mod $name {
            use super::*;

            async fn look($survey: &mut Survey) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                on(Engine::Sqlite, look).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                on(Engine::Postgres, look).await;
            }
        }
    )*};
}

mod applications;
mod changes;
mod imports;
mod oauth;

const WAYS: [Direction; 2] = [Direction::Descending, Direction::Ascending];

/// Everything there is.
fn scope_of(db: &Db) -> Scope<'_> {
    db.scope(&grant::<ReadUsers>(&Area::Directory))
}

/// The first page, one in the middle, one by cursor, and one past the end.
async fn pages(
    scope: &Scope<'_>,
    filter: &SessionFilter,
    sort: SessionSort,
) -> Result<(), gatehouse_persistence::Error> {
    for way in WAYS {
        let first = scope.sessions(filter, sort, way, &page(1, 50), NOW).await?;
        scope.sessions(filter, sort, way, &page(20, 50), NOW).await?;
        scope.sessions(filter, sort, way, &page(100_000, 50), NOW).await?;
        if let Some(key) = first.next {
            let request = PageRequest { start: Start::After(key, page(2, 50).number()), ..page(2, 50) };
            scope.sessions(filter, sort, way, &request, NOW).await?;
        }
    }
    Ok(())
}

/// The filters of a list of sessions.
fn filters(survey: &Survey) -> Vec<(&'static str, SessionFilter)> {
    let none = SessionFilter::default;
    let mut filters = vec![
        ("nothing", none()),
        ("device", SessionFilter { devices: vec!["mobile".into()], ..none() }),
        ("address", SessionFilter { ips: vec!["203.0.113.7".parse().unwrap()], ..none() }),
        ("application", SessionFilter { applications: vec![survey.application], ..none() }),
        ("begun after", SessionFilter { created_after: Some(NOW.minus(DAY)), ..none() }),
        ("begun before", SessionFilter { created_before: Some(NOW.minus(DAY)), ..none() }),
        ("used before", SessionFilter { last_activity_before: Some(NOW.minus(DAY)), ..none() }),
        ("user", SessionFilter { users: vec![survey.ada.id], tenants: vec![survey.tenant.id], ..none() }),
    ];
    let active: Vec<_> =
        filters.iter().map(|(name, filter)| (*name, SessionFilter { active_only: true, ..filter.clone() })).collect();
    filters.extend(active);
    filters
}

surveys! {
    async fn sessions_of_a_tenant_are_found_by_an_index_whatever_is_asked_of_them(survey) {
        let db = survey.db.clone();
        let grant = in_tenant::<ReadSessions>(&survey.tenant);
        let scope = db.scope(&grant);
        for (name, filter) in filters(survey) {
            survey.look(name, pages(&scope, &filter, SessionSort::CreatedAt)).await;
        }
        let used = SessionFilter { active_only: true, ..SessionFilter::default() };
        survey.look("by last use", pages(&scope, &used, SessionSort::LastActivityAt)).await;
        survey.look("one", scope.session_view(survey.session.id)).await;
        survey.look("figures", scope.session_stats(then())).await;
    }

    async fn page_beyond_the_end_of_a_tenants_list_is_not_walked_to(survey) {
        let db = survey.db.clone();
        let grant = in_tenant::<ReadSessions>(&survey.tenant);
        let scope = db.scope(&grant);
        for active_only in [true, false] {
            let filter = SessionFilter { active_only, ..SessionFilter::default() };
            for way in WAYS {
                let total = scope.sessions(&filter, SessionSort::CreatedAt, way, &page(1, 50), NOW).await.unwrap().total;
                let request = page(1_000_000, 50);
                let asked = scope.sessions(&filter, SessionSort::CreatedAt, way, &request, NOW);
                let (answer, statements) = db.overhear(asked).await;
                let answer = answer.unwrap();
                assert_eq!((answer.items.len(), answer.total, answer.next), (0, total, None));
                assert!(!statements.is_empty() && statements.iter().all(|sql| !sql.contains(" OFFSET ")));
            }
        }
    }

    async fn sessions_across_tenants_are_found_by_an_index(survey) {
        let db = survey.db.clone();
        let platform = grant::<ReadSessions>(&Area::Directory);
        let partner = authorize::<ReadSessions>(&survey.partner_admin(), &Area::Directory).unwrap();
        for (who, grant) in [("platform", &platform), ("partner", &partner)] {
            let scope = db.scope(grant);
            for active_only in [true, false] {
                let none = || SessionFilter { active_only, ..SessionFilter::default() };
                for (name, filter) in [
                    ("all", none()),
                    ("tenant", SessionFilter { tenants: vec![survey.tenant.id], ..none() }),
                    ("partner", SessionFilter { partners: vec![survey.tenant.partner_id], ..none() }),
                    ("user", SessionFilter { users: vec![survey.ada.id], tenants: vec![survey.tenant.id], ..none() }),
                ] {
                    survey.look(&format!("{who}: {name}"), pages(&scope, &filter, SessionSort::CreatedAt)).await;
                }
            }
            let id = survey.session.id;
            survey.look(&format!("{who}: one"), scope.session_view(id)).await;
        }
    }

    async fn sessions_of_oneself_are_found_by_an_index(survey) {
        let db = survey.db.clone();
        let own = authorize::<Oneself>(&survey.partner_admin(), &()).unwrap();
        let scope = db.scope(&own);
        for active_only in [true, false] {
            let filter = SessionFilter { active_only, ..SessionFilter::default() };
            survey.look("list", pages(&scope, &filter, SessionSort::CreatedAt)).await;
        }
        let id = survey.session.id;
        survey.look("one", scope.session_view(id)).await;
    }

    async fn lists_of_everything_else_are_found_by_an_index(survey) {
        let db = survey.db.clone();
        let (tenant, partner, role, ada) = (survey.tenant.id, survey.tenant.partner_id, survey.role, survey.ada.id);
        let reach = survey.partner_admin();
        fn both<P: gatehouse_domain::authz::Permission<Target = Area>>(reach: &Arc<Actor>) -> [Grant<P>; 2] {
            [grant::<P>(&Area::Directory), authorize::<P>(reach, &Area::Directory).unwrap()]
        }
        for way in WAYS {
            for number in [1, 10] {
                let at = page(number, 50);
                for grant in &both::<ReadUsers>(&reach) {
                    let scope = db.scope(grant);
                    for (name, filter) in [
                        ("all users", UserFilter::default()),
                        ("users of a tenant", UserFilter { tenants: vec![tenant], ..UserFilter::default() }),
                        ("users of a partner", UserFilter { partners: vec![partner], ..UserFilter::default() }),
                        ("users with a role", UserFilter { roles: vec![role], ..UserFilter::default() }), ("used before", UserFilter { tenants: vec![tenant], last_login_before: Some(NOW), ..UserFilter::default() }),
                        ("users of a state", UserFilter { tenants: vec![tenant], statuses: vec![UserStatus::Active], ..UserFilter::default() }),
                    ] {
                        for sort in UserSort::ALL { survey.look(name, scope.users(&filter, sort, way, &at, NOW)).await; }
                    }
                    survey.look("a user", scope.user_view(ada, NOW)).await;
                }
                for grant in &both::<ReadRoles>(&reach) {
                    let scope = db.scope(grant);
                    for (name, filter) in [
                        ("all roles", RoleFilter::default()),
                        ("roles of a tenant", RoleFilter { tenants: vec![tenant], ..RoleFilter::default() }),
                        ("roles of a partner", RoleFilter { partners: vec![partner], ..RoleFilter::default() }),
                        ("roles of a name", RoleFilter { names: vec!["role 7".into()], ..RoleFilter::default() }),
                    ] {
                        survey.look(name, scope.roles(&filter, way, &at)).await;
                    }
                    survey.look("a role", scope.role(role)).await;
                }
                for grant in &both::<ReadAssignments>(&reach) {
                    let scope = db.scope(grant);
                    for (name, filter) in [
                        ("all assignments", AssignmentFilter::default()),
                        ("assignments of a tenant", AssignmentFilter { tenants: vec![tenant], ..AssignmentFilter::default() }),
                        ("assignments of a partner", AssignmentFilter { partners: vec![partner], ..AssignmentFilter::default() }),
                        ("assignments of a user", AssignmentFilter { users: vec![ada], ..AssignmentFilter::default() }),
                        ("assignments with a role", AssignmentFilter { roles: vec![role], ..AssignmentFilter::default() }),
                    ] {
                        survey.look(name, scope.assignments(&filter, way, &at)).await;
                    }
                }
                for grant in &both::<ReadTenants>(&reach) {
                    let scope = db.scope(grant);
                    for by_name in [false, true] {
                        let filter = TenantFilter { partners: vec![partner], statuses: vec![Status::Active], search: None };
                        survey.look("tenants", scope.tenants(&filter, by_name, way, &at)).await;
                        let filter = TenantFilter { search: Some(Search::parse("t oth").unwrap()), ..TenantFilter::default() };
                        survey.look("tenants that are searched for", scope.tenants(&filter, by_name, way, &at)).await;
                    }
                }
                let everything = grant::<ReadPartners>(&Installation);
                for search in [None, Some(Search::parse("p").unwrap())] {
                    let filter = PartnerFilter { statuses: vec![Status::Active], search };
                    survey.look("partners", db.scope(&everything).partners(&filter, false, way, &at)).await;
                }
            }
        }
    }

    async fn users_are_searched_by_an_index_wherever_they_are_and_whatever_else_is_asked(survey) {
        let db = survey.db.clone();
        found::users(survey).await;
        let (id, before) = (survey.ada.id, survey.ada.clone());
        survey.look("a user as administrators see one", scope_of(&db).user_detail(id, NOW)).await;
        survey.look("terms", write(&db, NOW, async move |tx| {
            let patch = UserPatch { username: Some(Username::parse("augusta").unwrap()), ..UserPatch::default() };
            let (changed, _) = before.clone().update(patch, true, &[], &caller(), NOW).unwrap();
            tx.system(SYSTEM).update(changed).await
        })).await;
        for of in SearchKind::ALL {
            survey.look("users without terms", db.system(SYSTEM).without_terms(of, None)).await;
        }
    }

    async fn events_are_found_by_an_index_from_wherever_they_are_looked_for(survey) {
        let db = survey.db.clone();
        let platform = grant::<ReadAudit>(&Area::Directory);
        let partner = authorize::<ReadAudit>(&survey.partner_admin(), &Area::Directory).unwrap();
        let tenant = in_tenant::<ReadAudit>(&survey.tenant);
        for (who, grant) in [("all", platform), ("a partner's", partner), ("a tenant's", tenant)] {
            let scope = db.scope(&grant);
            for (name, filter) in events::filters(survey) {
                for way in WAYS {
                    survey.look(&format!("{who} events{name}"), events::pages(&scope, &filter, way)).await;
                }
                survey.look(&format!("{who} events{name}"), events::feed(&scope, &filter)).await;
            }
            let list = scope.audit_events(&AuditFilter::default(), Direction::Descending, &page(1, 1)).await.unwrap();
            survey.look("an event", scope.audit_event(list.items[0].id)).await;
        }
    }

    async fn signing_in_and_being_known_are_found_by_an_index(survey) {
        let db = survey.db.clone();
        let (at, ada, session) = (survey.tenant.reference(), survey.ada.clone(), survey.session.clone());
        let system = db.system(SYSTEM);
        for name in ["ada", "ada@example.com", "nobody"] {
            survey.look(name, system.attempt(at, &LoginName::parse(name).unwrap(), Some(TokenHash::new([4; 32])), &KEYS, NOW)).await;
        }
        survey.look("credentials of oneself", system.attempt_of(at, ada.id, &KEYS, NOW)).await;
        survey.look("standing", system.session_state(session.id, NOW)).await;
        survey.look("facts", system.tenant_facts(at.id, NOW)).await;
        survey.look("facts by slug", system.tenant_facts_by_slug(&survey.tenant.slug.clone(), NOW)).await;
        survey.look("keys", system.keys(at.into())).await;
        let (user, hash) = (ada.clone(), PasswordHash::new(HASH.into()));
        survey.look("admit", write(&db, NOW, async move |tx| tx.system(SYSTEM).admit(&user, &hash, &KEYS).await)).await;
        let user = ada.clone();
        survey.look("upgrade", write(&db, NOW, async move |tx| {
            let hash = PasswordHash::new(HASH.into());
            tx.system(SYSTEM).rehash_password(user.clone().rehash_password(hash.clone()), &hash).await
        })).await;
        survey.look("oldest", write(&db, NOW, async move |tx| tx.system(SYSTEM).oldest_sessions(ada.id, 3, NOW).await)).await;
        survey.look("throttle", write(&db, NOW, async move |tx| {
            let system = tx.system(SYSTEM);
            system.know_device(device(&ada, TokenHash::new([4; 32]), NOW)).await?;
            system.purge_devices().await?;
            system.update_failures(&KEYS, |failures: &Failures| (*failures, ())).await?;
            system.read().throttles(KEYS.networks).await?;
            system.forgive(&KEYS).await?;
            system.forget_failures(&ada).await
        })).await;
        let (at, user) = (survey.tenant.reference(), survey.ada.clone());
        survey.look("links", write(&db, NOW, async move |tx| {
            let (system, hash, purpose) = (tx.system(SYSTEM), TokenHash::new([3; 32]), Purpose::PasswordReset);
            system.put_token(user.clone().issue_reset(NOW.plus(DAY), &by()).unwrap(), hash).await?;
            system.read().token_owner(at, purpose, hash, NOW).await?;
            system.spend_token(at, purpose, hash).await?;
            system.purge_tokens().await
        })).await;
        let key = IdempotencyKey { key: [5; 32], fingerprint: [6; 32], tenant: at.id, actor: ActorId::User(survey.ada.id) };
        survey.look("receipts", db.system(SYSTEM).earlier_request(&key, NOW)).await;
        survey.look("receipts", write(&db, NOW, async move |tx| {
            tx.store_response(&key, vec![7]).await?;
            tx.system(SYSTEM).purge_idempotency_keys().await
        })).await;
        let at_home = survey.ada.clone();
        survey.look("by address", db.system(SYSTEM).user_by_email(at.id, &at_home.email)).await;
        survey.look("mail", write(&db, NOW, async move |tx| {
            let (system, id, kind) = (tx.system(SYSTEM), JobId::from_parts(NOW.unix_millis(), [1; 10]), JobKind::Mail);
            let job = NewJob { id, kind, sealed: Some(vec![0; 100]), give_up_at: Some(NOW.plus(DAY)) };
            system.enqueue(at, Some(at_home.id), job).await?;
            assert!(system.read().has_job(kind, NOW).await?);
            system.read().jobs_waiting(kind, at.id, 1_000).await?;
            let (claim, busy) = (system.claim_jobs(kind).await?.remove(0), Failure::again("busy"));
            system.postpone_job(&claim, busy, NOW).await?;
            system.renew_job(&claim, true).await?;
            system.rewrite_job(&claim, at_home.id, Some(vec![1; 100]), NOW.plus(DAY)).await?;
            system.give_mail_up(&claim, busy).await
        })).await;
        survey.look("quotas", write(&db, NOW, async move |tx| {
            tx.system(SYSTEM).user_quota(at).await?;
            tx.system(SYSTEM).tenant_quota(at.partner_id).await
        })).await;
        survey.look("administrators", write(&db, NOW, async |tx| tx.system(SYSTEM).administrators().await)).await;
        let presented = session.chain.current;
        let rotated = session.rotate(Successor { hash: TokenHash::new([9; 32]), replay: None }, &policy(), false, NOW);
        survey.look("refresh", write(&db, NOW, async move |tx| tx.system(SYSTEM).rotate(presented, rotated.clone()).await)).await;
    }

    async fn sessions_that_end_are_found_by_an_index(survey) {
        let db = survey.db.clone();
        let (at, ada, session) = (survey.tenant.reference(), survey.ada.id, survey.session.clone());
        let platform = grant::<RevokeSessions>(&Area::Directory);
        let partner = authorize::<RevokeSessions>(&survey.partner_admin(), &Area::Directory).unwrap();
        let tenant = in_tenant::<RevokeSessions>(&survey.tenant);
        survey.look("count", write(&db, NOW, {
            let (grant, id) = (tenant.clone(), session.id);
            async move |tx| tx.scope(&grant).await?.count_sessions(ada, &[id]).await
        })).await;
        survey.look("shorten", write(&db, NOW, {
            let grant = tenant.clone();
            async move |tx| tx.scope(&grant).await?.shorten_sessions(at, ada).await
        })).await;
        survey.look("activity", write(&db, NOW, {
            let id = session.id;
            async move |tx| tx.system(SYSTEM).note_activity(&[(id, NOW)]).await
        })).await;
        let other = crate::fixture::session(&db, &survey.ada, NOW).await.id;
        survey.look("one", write(&db, NOW, async move |tx| {
            tx.system(SYSTEM).end(tx.system(SYSTEM).session(other).await?.unwrap().revoke(EndReason::Admin, &by(), NOW).unwrap()).await
        })).await;
        for (name, grant, target) in [
            ("named", &tenant, RevokeTarget::Named(at, ada, vec![other])),
            ("a user's", &tenant, RevokeTarget::User(at, ada)),
            ("a user's by the partner", &partner, RevokeTarget::User(at, ada)),
            ("a user's by the platform", &platform, RevokeTarget::User(at, ada)),
            ("a tenant's", &tenant, RevokeTarget::Tenant(at)),
            ("a partner's", &platform, RevokeTarget::Partner(at.partner_id)),
        ] {
            let many = RevokeMany { target, except: Some(session.id), reason: EndReason::RevokeAll, by: by() };
            let grant = grant.clone();
            survey.look(name, db.scope(&grant).effects(&many, NOW)).await;
            survey.look(name, write(&db, NOW, async move |tx| tx.scope(&grant).await?.revoke_many(&many).await)).await;
        }
    }

    async fn what_is_swept_and_purged_is_found_by_an_index(survey) {
        let db = survey.db.clone();
        let at = survey.tenant.reference();
        survey.look("sweep", write(&db, NOW.plus(DAY * 8), async |tx| tx.system(SYSTEM).expire_due().await)).await;
        survey.look("purge", write(&db, then(), async move |tx| tx.system(SYSTEM).purge_sessions(at, NOW.minus(DAY)).await)).await;
        survey.look("what waits for a seal", db.system(SYSTEM).unsealed()).await;
        survey.look("seals", write(&db, then(), async |tx| tx.system(SYSTEM).seal_events().await)).await;
        while write(&db, then(), async |tx| tx.system(SYSTEM).seal_events().await).await.unwrap() > 0 {}
        survey.look("sealed events", db.verify_audit(SYSTEM, Some(at.id), None, then())).await;
        let ada = survey.ada.id;
        survey.look("a user's events", write(&db, then(), async move |tx| tx.system(SYSTEM).redact_user_events(at, ada, by()).await)).await;
        survey.look("events", write(&db, NOW.plus(DAY * 100), async move |tx| tx.system(SYSTEM).purge_audit_events(Some(at), then()).await)).await;
        survey.look("roots", write(&db, then(), async move |tx| tx.system(SYSTEM).purge_audit_roots().await)).await;
        survey.look("hours", write(&db, then(), async move |tx| tx.system(SYSTEM).purge_hours(at).await)).await;
        survey.look("throttles", write(&db, then(), async |tx| tx.system(SYSTEM).purge_throttles().await)).await;
        survey.look("tenants", db.system(SYSTEM).tenants_after(None)).await;
    }
}
