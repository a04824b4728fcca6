//! A database to look at plans in, and what was found.

use std::{future::Future, sync::Arc};

use gatehouse_domain::{
    audit::Refused,
    authz::{Actor, PermissionSet, Presence, ReadSessions, Right, TenantRef, UserActor},
    id::{ApplicationId, AssignmentId, JobId, RoleId, SessionId},
    issue::Parse,
    job::JobKind,
    page::Direction,
    role::{Anchor, AnyRole, Assignment, BuiltinRole, NewAssignment, Role},
    session::{EndReason, RevokeMany, RevokeTarget, Session},
    tenant::Tenant,
    text::Name,
    throttle::Counter,
    time::{DAY, Timestamp},
    user::User,
};
use gatehouse_persistence::{
    Db, NewJob, SessionFilter, SessionSort, ThrottleKey, deadline,
    testing::{Fresh, analyze, fill_sessions},
};

use super::{applications, explain::Explainer};
use crate::fixture::*;

/// What is as it should be. The first nine: an exact total of the whole platform counts an index, not the rows. Then:
/// what a filter finds is counted for the total anyway, and no index is in two orders at once. Then: the figures by
/// application have no counters, and are made of what was used in the tenant. The last: settings that get stricter for
/// all, or for a partner that here has half of all, are compared with every live session, of which there is an index.
const ALLOWED: [(&str, &str); 20] = [
    ("all users", "SCAN users USING COVERING INDEX"),
    ("all roles", "SCAN roles USING COVERING INDEX"),
    ("all assignments", "SCAN role_assignments USING COVERING INDEX"),
    ("all events", "SCAN audit_events USING COVERING INDEX"),
    ("all users", "Index Only Scan on users"),
    ("all events", "Index Only Scan on audit_events"),
    ("all roles", "Index Only Scan on roles"),
    ("all assignments", "Index Only Scan on role_assignments"),
    ("applications of the platform by all", "Index Only Scan on applications"),
    ("users with a role", "USE TEMP B-TREE FOR ORDER BY"),
    ("users that are searched for", "USE TEMP B-TREE FOR ORDER BY"),
    ("applications that are searched for", "USE TEMP B-TREE FOR ORDER BY"),
    ("assignments of a user", "USE TEMP B-TREE FOR ORDER BY"),
    ("used before", "USE TEMP B-TREE FOR ORDER BY"),
    ("figures", "SEARCH x USING COVERING INDEX"),
    ("stricter for a partner", "USE TEMP B-TREE FOR ORDER BY"),
    ("stricter for a partner", "Index Scan on sessions ix_sessions_due"),
    ("stricter for all", "SCAN sessions USING INDEX ix_sessions_due"),
    ("stricter for all", "SCAN sessions USING INDEX ix_sessions_user_active"),
    ("stricter for all", "Index Scan on sessions ix_sessions_due"),
];

/// A database with thousands of rows, and what its plans were found to be.
pub struct Survey {
    pub db: Db,
    explainer: Explainer,
    pub tenant: Tenant,
    pub ada: User,
    pub session: Session,
    pub role: RoleId,
    pub application: ApplicationId,
    faults: Vec<String>,
}

/// A day later.
pub fn then() -> Timestamp {
    NOW.plus(DAY)
}

impl Survey {
    pub async fn new(fresh: &Fresh) -> Self {
        let db = fresh.connect().await;
        write(&db, NOW, async |tx| tx.system(SYSTEM).begin_trail().await).await.unwrap();
        let p = partner(&db, "p").await;
        let (tenant, other) = (tenant(&db, &p, "t").await, tenant(&db, &partner(&db, "q").await, "other").await);
        let ada = user(&db, &tenant, "ada").await;
        let (bob, eve) = (user(&db, &tenant, "bob").await, user(&db, &other, "eve").await);
        for (user, sessions) in [(&bob, 2_500), (&ada, 300), (&eve, 2_500)] {
            fill_sessions(&db, user, sessions, NOW).await.unwrap();
        }
        let ended = RevokeMany {
            target: RevokeTarget::User(tenant.reference(), bob.id),
            except: None,
            reason: EndReason::Admin,
            by: by(),
        };
        write(&db, NOW, async move |tx| tx.system(SYSTEM).revoke_many(&ended).await).await.unwrap();
        fill_sessions(&db, &bob, 2_000, NOW).await.unwrap();
        let session = session(&db, &ada, NOW).await;
        let mut roles = Vec::new();
        for at in [&tenant, &other] {
            roles.push(people(&db, at).await);
            refusals(&db, at).await;
        }
        administers_partner(&db, &ada).await;
        let wiki = applications::fill(&db, &tenant, &other).await;
        let application = wiki.id;
        let (at, used) = (tenant.reference(), some_sessions(&db, &tenant).await);
        write(&db, NOW, async move |tx| {
            let system = tx.system(SYSTEM);
            for session in used.iter().copied() {
                system.add_session_application(at, session, &wiki).await?;
            }
            for n in 0..1_500u16 {
                let mut key = [0; 32];
                key[..2].copy_from_slice(&n.to_be_bytes());
                let key = ThrottleKey::Digest(key);
                let change = |[counter]: [Counter; 1]| ([Counter { failures: 1, ..counter }], ());
                system.update_throttles([Some(key)], change).await?;
                let id = JobId::from_parts(NOW.unix_millis(), bytes());
                let job = NewJob { id, kind: JobKind::Mail, sealed: Some(vec![0; 100]), give_up_at: Some(NOW) };
                system.enqueue(at, None, job).await?;
            }
            Ok(())
        })
        .await
        .unwrap();
        if !db.is_sqlite() {
            // PostgreSQL looks at what is there by itself, sooner or later. SQLite does not unless it is told to, and
            // nothing of ours tells it: its plans come from the schema alone.
            analyze(&db).await.unwrap();
        }
        let explainer = Explainer::of(&fresh.target).await;
        Self { db, explainer, tenant, ada, session, role: roles[0], application, faults: Vec::new() }
    }

    /// Runs something and judges the statements that it ran.
    pub async fn look<T>(&mut self, what: &str, work: impl Future<Output = Result<T, gatehouse_persistence::Error>>) {
        // Boxed, so that a test is not as large as all that it looks at. How long it takes is not what is judged.
        let (result, statements) = deadline::task(Box::pin(self.db.clone().overhear(work))).await;
        if let Err(error) = result {
            unreachable!("{what}: {error}");
        }
        Box::pin(self.judge(what, statements)).await;
    }

    async fn judge(&mut self, what: &str, statements: Vec<String>) {
        assert!(!statements.is_empty(), "{what} runs no statement");
        for sql in statements {
            for fault in self.explainer.faults(&sql).await {
                if ALLOWED.iter().any(|(case, known)| what == *case && fault.starts_with(known)) {
                    continue;
                }
                self.faults.push(format!("{what}: {fault}\n    {sql}"));
            }
        }
    }

    pub fn finish(self) {
        assert!(self.faults.is_empty(), "\n{}", self.faults.join("\n"));
    }

    /// Ada, with every right at a partner.
    pub fn partner_admin(&self) -> Arc<Actor> {
        let right =
            Right { anchor: Anchor::Partner(self.ada.partner_id), permissions: PermissionSet::any(), expires_at: None };
        Arc::new(Actor::User(UserActor {
            user_id: self.ada.id,
            tenant_id: self.ada.tenant_id,
            partner_id: self.ada.partner_id,
            session_id: self.session.id,
            presence: Presence::SignedIn,
            rights: vec![right],
            scope: None,
        }))
    }
}

/// The latest sessions of a tenant.
async fn some_sessions(db: &Db, tenant: &Tenant) -> Vec<SessionId> {
    let grant = in_tenant::<ReadSessions>(tenant);
    let mut sessions = Vec::new();
    for number in 1..5 {
        let filter = SessionFilter { active_only: true, ..SessionFilter::default() };
        let at = page(number, 200);
        let list = db.scope(&grant).sessions(&filter, SessionSort::CreatedAt, Direction::Descending, &at, NOW).await;
        sessions.extend(list.unwrap().items.into_iter().map(|view| view.session.id));
    }
    sessions
}

/// Fills the audit trail of a tenant with what was refused.
async fn refusals(db: &Db, tenant: &Tenant) {
    let at = tenant.reference();
    write(db, NOW, async move |tx| {
        for _ in 0..1_500 {
            tx.system(SYSTEM).refused(Refused::login(at, None, "invalid_credentials")).await?;
        }
        Ok(())
    })
    .await
    .unwrap();
}

/// Gives a user every right at its partner.
async fn administers_partner(db: &Db, user: &User) {
    let at = TenantRef { id: user.tenant_id, partner_id: user.partner_id };
    let new = NewAssignment {
        id: AssignmentId::from_parts(NOW.unix_millis(), bytes()),
        tenant: at,
        user_id: user.id,
        role: AnyRole::Builtin(BuiltinRole::PartnerAdmin),
        anchor: Anchor::Partner(user.partner_id),
        expires_at: None,
    };
    let changed = Assignment::create(new, &caller(), NOW).unwrap();
    write(db, NOW, async move |tx| tx.system(SYSTEM).insert(changed.clone()).await).await.unwrap();
}

/// Fills a tenant with people who each hold a role; returns one role.
async fn people(db: &Db, tenant: &Tenant) -> RoleId {
    let at = tenant.reference();
    write(db, NOW, async move |tx| {
        let system = tx.system(SYSTEM);
        let mut last = None;
        for n in 0..600 {
            let user = system.insert(new_user(at, &format!("p{n}"))).await?.user;
            let role = RoleId::from_parts(NOW.unix_millis(), bytes());
            let name = Name::parse(&format!("role {n}")).unwrap();
            let made = Role::create(role, at, name, PermissionSet::all(), &caller(), NOW).unwrap();
            let made = system.insert(made).await?;
            let new = NewAssignment {
                id: AssignmentId::from_parts(NOW.unix_millis(), bytes()),
                tenant: at,
                user_id: user.id,
                role: AnyRole::Custom(made),
                anchor: Anchor::Tenant(at.id),
                expires_at: None,
            };
            system.insert(Assignment::create(new, &caller(), NOW).unwrap()).await?;
            last = Some(role);
        }
        Ok(last.unwrap())
    })
    .await
    .unwrap()
}
