//! Whoever asks a scope for what is another's sees nothing and changes nothing: every method that is asked by an id or a
//! filter, on every reach that is not the whole platform.

use std::sync::Arc;

use gatehouse_domain::{
    application::{Application, Owner},
    audit::{Fields, ResourceId, ResourceKind},
    authz::{
        Actor, Area, Grant, Oneself, Permission, PermissionSet, Presence, Right, TenantRef, UserActor, WriteUsers,
        authorize,
    },
    id::{AssignmentId, AuditEventId, JobId, RoleId},
    import::{Format, Import, OnConflict, Order},
    issue::Parse,
    job::JobKind,
    page::Direction,
    partner::Partner,
    role::{Anchor, AnyRole, Assignment, BuiltinRole, NewAssignment, Role},
    secret::TokenHash,
    session::{Cap, Caps, EndReason, RevokeMany, RevokeTarget, Session, Successor, Tighten, Within},
    tenant::Tenant,
    text::{DisplayName, Name},
    time::{DAY, HOUR},
    user::{Purpose, User, UserPatch},
};
use gatehouse_persistence::{
    ApplicationFilter, AssignmentFilter, AuditFilter, Db, Error, NewJob, PartnerFilter, Result, RoleFilter, Scope,
    SessionFilter, SessionSort, TenantFilter, UserFilter, UserSort, WriteScope, db_tests,
};

use crate::{fixture::*, text::sources};

const WAY: Direction = Direction::Descending;

/// What takes neither an id nor a filter: there is nothing foreign to ask for.
const ASKED_FOR_NOTHING: [&str; 4] = ["platform", "update_platform", "session_stats", "refused"];

/// What a tenant has.
#[derive(Clone)]
struct Theirs {
    partner: Partner,
    tenant: Tenant,
    user: User,
    session: Session,
    role: Role,
    assignment: Assignment,
    application: Application,
    import: Import,
    event: AuditEventId,
}

async fn theirs(db: &Db, partner: &Partner, tenant: &Tenant, name: &str) -> Theirs {
    let user = user(db, tenant, name).await;
    let session = session(db, &user, NOW.minus(DAY)).await;
    let (at, holder, name) = (tenant.reference(), user.id, Name::parse(name).unwrap());
    let over = Anchor::Partner(partner.id);
    let (role, assignment, import) = write(db, NOW, async move |tx| {
        let system = tx.system(SYSTEM);
        let id = RoleId::from_parts(NOW.unix_millis(), bytes());
        let role = Role::create(id, at, name.clone(), PermissionSet::all(), &caller(), NOW).unwrap();
        let role = system.insert(role).await?;
        let assignment =
            system.insert(assignment(at, holder, AnyRole::Custom(role.clone()), Anchor::Tenant(at.id))).await?;
        system.insert(self::assignment(at, holder, AnyRole::Builtin(BuiltinRole::PartnerAdmin), over)).await?;
        let order = Order { format: Format::Csv, on_conflict: OnConflict::Fail, dry_run: false };
        let import = Import::queue(
            JobId::from_parts(NOW.unix_millis(), bytes()),
            at,
            order,
            &grant::<WriteUsers>(&Area::Tenant(at)),
            NOW,
        );
        Ok((role, assignment, system.insert(import).await?))
    })
    .await
    .unwrap();
    let events = AuditFilter {
        resources: vec![ResourceId { kind: ResourceKind::User, uuid: user.id.uuid() }],
        ..AuditFilter::default()
    };
    let event = db.system(SYSTEM).audit_events(&events, WAY, &page(1, 1)).await.unwrap().items[0].id;
    let application = application(db, Owner::Tenant(at), "api").await;
    let (partner, tenant) = (partner.clone(), tenant.clone());
    Theirs { event, partner, tenant, user, session, role, assignment, application, import }
}

fn assignment(
    tenant: TenantRef,
    user_id: gatehouse_domain::id::UserId,
    role: AnyRole,
    anchor: Anchor,
) -> gatehouse_domain::change::Changed<Assignment> {
    let id = AssignmentId::from_parts(NOW.unix_millis(), bytes());
    Assignment::create(NewAssignment { id, tenant, user_id, role, anchor, expires_at: None }, &caller(), NOW).unwrap()
}

/// Whether an answer hides what it was asked for.
fn hides<T>(answer: Result<T>, shows: impl FnOnce(T) -> bool) -> bool {
    match answer {
        Ok(answer) => !shows(answer),
        Err(Error::ScopeViolation | Error::Stale) => true,
        Err(error) => {
            eprintln!("{error:?}");
            false
        }
    }
}

fn none<T>(answer: Result<Option<T>>) -> bool {
    hides(answer, |answer| answer.is_some())
}

fn refuses<T>(answer: Result<T>) -> bool {
    hides(answer, |_| true)
}

fn tightening(of: &Theirs) -> Tighten {
    let lifetime = Some(Cap { most: HOUR, unless_decided: None });
    Tighten { within: Within::Tenant(of.tenant.reference()), caps: Caps { lifetime, ..Caps::default() }, by: by() }
}

fn revocations(of: &Theirs) -> [RevokeMany; 2] {
    let (tenant, user) = (of.tenant.reference(), of.user.id);
    [RevokeTarget::User(tenant, user), RevokeTarget::Named(tenant, user, vec![of.session.id])]
        .map(|target| RevokeMany { target, except: None, reason: EndReason::Admin, by: by() })
}

/// Whether a method that reads hides what is foreign; none if it is none of these.
async fn is_hidden(method: &str, scope: &Scope<'_>, of: &Theirs) -> Option<bool> {
    let (tenant, user, at) = (of.tenant.id, of.user.id, page(1, 50));
    let sessions = SessionFilter { users: vec![user], ..SessionFilter::default() };
    let events = AuditFilter {
        resources: vec![ResourceId { kind: ResourceKind::User, uuid: user.uuid() }],
        ..AuditFilter::default()
    };
    Some(match method {
        "application" => none(scope.application(of.application.id).await),
        "application_even_deleted" => none(scope.application_even_deleted(of.application.id).await),
        "applications" => {
            let list = scope.applications(&ApplicationFilter::default(), WAY, &at).await;
            hides(list, |list| list.items.iter().any(|application| application.id == of.application.id))
        }
        "assignment" => none(scope.assignment(of.assignment.id).await),
        "assignment_even_deleted" => none(scope.assignment_even_deleted(of.assignment.id).await),
        "assignments" => {
            let filter = AssignmentFilter { users: vec![user], ..AssignmentFilter::default() };
            hides(scope.assignments(&filter, WAY, &at).await, |list| list.total > 0)
        }
        "ties" => hides(scope.ties(of.tenant.reference()).await, |ties| ties.iter().any(|tie| tie.user_id == user)),
        "same_assignment" => none(scope.same_assignment(&of.assignment).await),
        "audit_event" => none(scope.audit_event(of.event).await),
        "audit_events" => hides(scope.audit_events(&events, WAY, &at).await, |list| list.total > 0),
        "audit_feed" => hides(scope.audit_feed(&events, None, 50).await, |list| !list.is_empty()),
        "partner" => none(scope.partner(of.partner.id).await),
        "partner_even_deleted" => none(scope.partner_even_deleted(of.partner.id).await),
        "partners" => hides(scope.partners(&PartnerFilter::default(), false, WAY, &at).await, |list| {
            list.items.iter().any(|partner| partner.id == of.partner.id)
        }),
        "role" => none(scope.role(of.role.id).await),
        "role_even_deleted" => none(scope.role_even_deleted(of.role.id).await),
        "roles" => {
            let filter = RoleFilter { names: vec![of.role.name.to_string()], ..RoleFilter::default() };
            hides(scope.roles(&filter, WAY, &at).await, |list| list.total > 0)
        }
        "session" => none(scope.session(of.session.id).await),
        "session_view" => none(scope.session_view(of.session.id).await),
        "count_sessions" => hides(scope.count_sessions(user, &[of.session.id]).await, |count| count > 0),
        "oldest_sessions" => hides(scope.oldest_sessions(user, 9, NOW).await, |ids| !ids.is_empty()),
        "sessions" => {
            let list = scope.sessions(&sessions, SessionSort::CreatedAt, WAY, &at, NOW).await;
            hides(list, |list| list.total > 0)
        }
        "effects" => {
            let [all, named] = revocations(of);
            let (all, named) = (scope.effects(&all, NOW).await, scope.effects(&named, NOW).await);
            hides(all, |effects| effects.sessions > 0) && hides(named, |effects| effects.sessions > 0)
        }
        "tightening" => hides(scope.tightening(&tightening(of), NOW).await, |effects| effects.sessions > 0),
        "tenant" => none(scope.tenant(tenant).await),
        "tenant_even_deleted" => none(scope.tenant_even_deleted(tenant).await),
        "tenants" => hides(scope.tenants(&TenantFilter::default(), false, WAY, &at).await, |list| {
            list.items.iter().any(|tenant| tenant.id == of.tenant.id)
        }),
        "user" => none(scope.user(user).await),
        "user_by_email" => none(scope.user_by_email(tenant, &of.user.email).await),
        "user_view" => none(scope.user_view(user, NOW).await),
        "user_view_even_deleted" => none(scope.user_view_even_deleted(user, NOW).await),
        "user_detail" => none(scope.user_detail(user, NOW).await),
        "user_detail_even_deleted" => none(scope.user_detail_even_deleted(user, NOW).await),
        "users" => {
            let filter = UserFilter { tenants: vec![tenant], ..UserFilter::default() };
            let list = scope.users(&filter, UserSort::CreatedAt, WAY, &at, NOW).await;
            hides(list, |list| list.items.iter().any(|detail| detail.view.user.id == user))
        }
        "taken" => {
            let names = [of.user.username.key(), of.user.email.key()];
            hides(scope.taken(tenant, &names[..1], &names[1..]).await, |taken| !taken.is_empty())
        }
        "roles_given" => hides(scope.roles_given(user).await, |given| given > 0),
        "uninvited" => hides(scope.uninvited(of.tenant.reference(), None, NOW, 9).await, |users| !users.is_empty()),
        "portable_user" => none(scope.portable_user(user).await),
        "user_feed" => hides(scope.user_feed(of.tenant.reference(), None, NOW, 50).await, |users| {
            users.iter().any(|portable| portable.user.id == user)
        }),
        "active_import" => none(scope.active_import(tenant).await),
        "import" => none(scope.import(of.import.id).await),
        "imports" => hides(scope.imports(tenant, WAY, &at).await, |list| list.total > 0),
        "rejected_page" => hides(scope.rejected_page(&of.import, WAY, &at).await, |list| list.total > 0),
        "rejected_lines" => hides(scope.rejected_lines(&of.import, 0).await, |lines| !lines.is_empty()),
        _ => return None,
    })
}

/// Whether a method that writes refuses what is foreign, or finds nothing; none if it is none of these.
async fn is_refused(method: &str, scope: &WriteScope<'_>, of: &Theirs) -> Option<bool> {
    let (at, user, tokens) = (of.tenant.reference(), of.user.clone(), TokenHash::new([7; 32]));
    let rename = || {
        let name = Some(Some(DisplayName::parse("Owned").unwrap()));
        let patch = UserPatch { display_name: name, ..UserPatch::default() };
        of.user.clone().update(patch, true, &[], &caller(), NOW).unwrap().0
    };
    let new_role = || {
        let id = RoleId::from_parts(NOW.unix_millis(), bytes());
        Role::create(id, at, Name::parse("intruder").unwrap(), PermissionSet::all(), &caller(), NOW).unwrap()
    };
    Some(match method {
        "insert" => refuses(scope.insert(new_role()).await),
        "insert_many" => refuses(scope.insert_many(vec![new_role()]).await),
        "update" => refuses(scope.update(rename()).await),
        "application_locked" => none(scope.application_locked(of.application.id).await),
        "put_origins" => refuses(scope.put_origins(&of.application).await),
        "put_resources" => refuses(scope.put_resources(&of.application).await),
        "leave_applications" => refuses(scope.leave_applications(at).await),
        "end_families_of" => refuses(scope.end_families_of(&of.application).await),
        "partner_locked" => none(scope.partner_locked(of.partner.id).await),
        "tenant_locked" => none(scope.tenant_locked(of.tenant.id).await),
        "role_locked" => none(scope.role_locked(of.role.id).await),
        "user_locked" => none(scope.user_locked(user.id).await),
        "redact_user_events" => refuses(scope.redact_user_events(at, user.id, by()).await),
        "delete_below_user" => refuses(scope.delete_below_user(&user).await),
        "delete_below_role" => refuses(scope.delete_below_role(&of.role).await),
        "delete_below_tenant" => refuses(scope.delete_below_tenant(&of.tenant).await),
        "delete_below_partner" => refuses(scope.delete_below_partner(&of.partner).await),
        "erase_below_user" => refuses(scope.erase_below_user(&user).await),
        "enqueue" => {
            let id = JobId::from_parts(NOW.unix_millis(), bytes());
            let job = NewJob { id, kind: JobKind::Mail, sealed: None, give_up_at: None };
            refuses(scope.enqueue(at, Some(user.id), job).await)
        }
        "note_shorter_retention" => refuses(scope.note_shorter_retention(at, Fields::default(), by()).await),
        "forget_failures" => refuses(scope.forget_failures(&user).await),
        "rotate" => {
            let successor = Successor { hash: tokens, replay: None };
            let rotated = of.session.clone().rotate(successor, &policy(), false, NOW);
            refuses(scope.rotate(of.session.chain.current, rotated).await)
        }
        "end" => refuses(scope.end(of.session.clone().revoke(EndReason::Admin, &by(), NOW).unwrap()).await),
        "revoke_many" => {
            let [all, named] = revocations(of);
            let (all, named) = (scope.revoke_many(&all).await, scope.revoke_many(&named).await);
            hides(all, |revoked| revoked.count > 0) && hides(named, |revoked| revoked.count > 0)
        }
        "tighten" => {
            // What shows that nothing ended is that the session is as it was.
            scope.tighten(&tightening(of)).await.unwrap();
            true
        }
        "shorten_sessions" => refuses(scope.shorten_sessions(at, user.id).await),
        "advance" => refuses(scope.advance(of.import.clone(), &[]).await),
        "forget_rejected_lines" => refuses(scope.forget_rejected_lines(&of.import).await),
        "keep_piece" => refuses(scope.keep_piece(at, of.import.id, 0, vec![0]).await),
        "drop_pieces" => refuses(scope.drop_pieces(at, of.import.id).await),
        "put_token" => refuses(scope.put_token(user.issue_reset(NOW.plus(HOUR), &by()).unwrap(), tokens).await),
        "drop_token" => refuses(scope.drop_token(rename(), Purpose::PasswordReset).await),
        "note_invitations" => refuses(scope.note_invitations(at, by()).await),
        "note_export" => refuses(scope.note_export(at, false, by()).await),
        _ => return None,
    })
}

/// The names of the public methods of a type, by the sources.
fn methods(of: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (_, text) in sources("src") {
        let mut is_inside = false;
        for line in text.lines() {
            is_inside = line.starts_with(&format!("impl {of}<'_> {{")) || (is_inside && line != "}");
            let name = line.strip_prefix("    pub async fn ").and_then(|rest| rest.split(['(', '<']).next());
            found.extend(name.filter(|name| is_inside && !ASKED_FOR_NOTHING.contains(name)).map(str::to_owned));
        }
    }
    found
}

/// Asks every method under a grant for what is foreign.
async fn asks<P: Permission>(db: &Db, who: &str, grant: &Grant<P>, of: &Theirs)
where
    Grant<P>: Clone + Send + Sync + 'static,
{
    let before = everything(db, of).await;
    assert!(methods("Scope").len() > 20 && methods("WriteScope").len() > 20, "the sources are written otherwise");
    for method in methods("Scope") {
        let hidden = is_hidden(&method, &db.scope(grant), of).await;
        assert!(hidden.is_some(), "{method} is new: ask it for what is foreign");
        assert_eq!(hidden, Some(true), "{who}: {method}");
    }
    for method in methods("WriteScope") {
        let (grant, of, name) = (grant.clone(), of.clone(), method.clone());
        let work = async move |tx: &gatehouse_persistence::WriteTx<'_>| {
            Ok(is_refused(&name, &tx.scope(&grant).await?, &of).await)
        };
        let refused = Box::pin(write(db, NOW, work)).await.unwrap();
        assert!(refused.is_some(), "{method} is new: ask it for what is foreign");
        assert_eq!(refused, Some(true), "{who}: {method}");
    }
    assert_eq!(everything(db, of).await, before, "{who}");
}

/// All that could have been changed.
async fn everything(db: &Db, of: &Theirs) -> String {
    let system = db.system(SYSTEM);
    let user = system.user_detail(of.user.id, NOW).await.unwrap();
    let session = system.session(of.session.id).await.unwrap();
    let (role, tenant) = (system.role(of.role.id).await.unwrap(), system.tenant(of.tenant.id).await.unwrap());
    let (assignment, import) = (system.assignment(of.assignment.id).await, system.import(of.import.id).await);
    let application = system.application(of.application.id).await.unwrap();
    format!("{user:?} {session:?} {role:?} {tenant:?} {application:?} {:?} {:?}", assignment.unwrap(), import.unwrap())
}

db_tests! {
    async fn scope_gives_nothing_foreign_whatever_it_is_asked(db) {
        write(&db, NOW, async |tx| tx.system(SYSTEM).begin_trail().await).await.unwrap();
        let (p, q) = (partner(&db, "p").await, partner(&db, "q").await);
        let (ours, sibling, far) = (tenant(&db, &p, "ours").await, tenant(&db, &p, "sibling").await, tenant(&db, &q, "far").await);
        let me = user(&db, &ours, "me").await;
        let session = session(&db, &me, NOW).await;
        let (tenant, user, partner) = (ours.reference(), me.id, p.id);
        write(&db, NOW, async move |tx| {
            tx.system(SYSTEM).insert(assignment(tenant, user, AnyRole::Builtin(BuiltinRole::PartnerAdmin), Anchor::Partner(partner))).await
        }).await.unwrap();
        let right = Right { anchor: Anchor::Partner(p.id), permissions: BuiltinRole::PartnerAdmin.permissions(), expires_at: None };
        let actor = Arc::new(Actor::User(UserActor {
            user_id: me.id,
            tenant_id: ours.id,
            partner_id: p.id,
            session_id: session.id,
            presence: Presence::SignedIn,
            rights: vec![right],
            scope: None,
        }));
        let (near, other) = (theirs(&db, &p, &ours, "near").await, theirs(&db, &p, &sibling, "eve").await);
        let beyond = theirs(&db, &q, &far, "zoe").await;
        for of in [&other, &beyond] {
            Box::pin(asks(&db, "a tenant", &in_tenant::<WriteUsers>(&ours), of)).await;
        }
        Box::pin(asks(&db, "a partner", &authorize::<WriteUsers>(&actor, &Area::Directory).unwrap(), &beyond)).await;
        for of in [&near, &other, &beyond] {
            Box::pin(asks(&db, "oneself", &authorize::<Oneself>(&actor, &()).unwrap(), of)).await;
        }
    }
}
