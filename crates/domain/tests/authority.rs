//! Who may change what others may do, over random graphs of roles: nobody gives what they do not hold, and nobody takes
//! from others what they do not hold.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{collections::BTreeSet, sync::Arc};

use gatehouse_domain::{
    authz::*,
    id::{AssignmentId, PartnerId, RoleId, SessionId, TenantId, UserId},
    issue::Parse,
    role::{Anchor, AnyRole, Assignment, BuiltinRole, HeldRole, NewAssignment, Role},
    text::{Email, Name, Username},
    time::Timestamp,
    user::{NewUser, User, UserPatch, UserStatus},
};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_micros(1_000);
const USERS: usize = 4;
/// Permissions that roles are made of: the dangerous ones, a wildcard of each kind, and the one that has to be named.
const PATTERNS: [&str; 9] = [
    "*:*",
    "*:read",
    "users:*",
    "users:write",
    "sessions:read",
    "role-assignments:*",
    "roles:*",
    "audit:write",
    "settings:write",
];

/// Tenants 0 and 1 belong to partner 0, tenant 2 to partner 1.
fn tenant(n: usize) -> TenantRef {
    TenantRef { id: TenantId::from_parts(1, [n as u8; 10]), partner_id: partner(n / 2) }
}

fn partner(n: usize) -> PartnerId {
    PartnerId::from_parts(1, [n as u8; 10])
}

fn user(n: usize) -> UserId {
    UserId::from_parts(1, [n as u8; 10])
}

/// Everywhere that something can be held.
fn anchors() -> Vec<Anchor> {
    let partners = [0, 1].map(|n| Anchor::Partner(partner(n)));
    let tenants = [0, 1, 2].map(|n| Anchor::Tenant(tenant(n).id));
    [Anchor::Platform].into_iter().chain(partners).chain(tenants).collect()
}

fn set(chosen: &[usize]) -> PermissionSet {
    PermissionSet::new(chosen.iter().map(|n| PermissionPattern::parse(PATTERNS[*n]).unwrap()).collect())
}

/// Roles and who holds them, in memory.
#[derive(Debug, Clone, Default)]
struct Graph {
    roles: Vec<Role>,
    assignments: Vec<Assignment>,
}

/// What a user holds: a permission or wildcard, where, and whether for ever.
type Holding = BTreeSet<(Anchor, String, bool)>;

impl Graph {
    fn role(&self, id: RoleId) -> Option<AnyRole> {
        let builtin = BuiltinRole::by_id(id).map(AnyRole::Builtin);
        builtin.or_else(|| self.roles.iter().find(|role| role.id == id).cloned().map(AnyRole::Custom))
    }

    fn held(&self, who: UserId) -> Vec<HeldRole> {
        let of = |assignment: &Assignment| {
            let (name, permissions) = match self.role(assignment.role_id)? {
                AnyRole::Builtin(role) => (role.name().to_owned(), role.permissions()),
                AnyRole::Custom(role) => (role.name.to_string(), role.permissions),
            };
            let (role_id, anchor, expires_at) = (assignment.role_id, assignment.anchor, assignment.expires_at);
            Some(HeldRole { role_id, name, permissions, anchor, expires_at })
        };
        self.assignments.iter().filter(|assignment| assignment.user_id == who).filter_map(of).collect()
    }

    fn actor(&self, who: UserId) -> Actor {
        Actor::User(UserActor {
            user_id: who,
            tenant_id: tenant(0).id,
            partner_id: tenant(0).partner_id,
            session_id: SessionId::from_parts(1, [1; 10]),
            presence: Presence::SignedIn,
            rights: self.held(who).iter().map(HeldRole::right).collect(),
            scope: None,
        })
    }

    fn holding(&self, who: UserId) -> Holding {
        let (actor, partner_of) = (self.actor(who), |id| {
            [0, 1, 2].map(tenant).into_iter().find(|tenant| tenant.id == id).map(|tenant| tenant.partner_id)
        });
        let names: Vec<_> = CATALOGUE.iter().map(|known| known.name).chain(PATTERNS).collect();
        let mut holding = Holding::new();
        for anchor in anchors() {
            let now = actor.permissions_at(anchor, partner_of);
            let for_ever = actor.permissions_until(None, anchor, partner_of);
            for (set, lasts) in [(now, false), (for_ever, true)] {
                holding.extend(names.iter().filter(|n| set.covers(n)).map(|n| (anchor, (*n).to_owned(), lasts)));
            }
        }
        holding
    }

    fn grant<P: Permission<Target = Area>>(&self, who: UserId) -> Option<Grant<P>> {
        let actor = Arc::new(self.actor(who));
        let areas = [Area::Directory].into_iter().chain([0, 1, 2].map(|n| Area::Tenant(tenant(n))));
        areas.into_iter().find_map(|area| authorize::<P>(&actor, &area).ok())
    }

    fn authority<P: Permission<Target = Area>>(&self, who: UserId) -> Option<Authority> {
        Some(self.grant::<P>(who)?.authority([0, 1, 2].map(tenant)))
    }
}

/// Something that somebody tries.
#[derive(Debug, Clone)]
enum Try {
    Describe { tenant: usize, permissions: Vec<usize> },
    Change { role: usize, permissions: Option<Vec<usize>> },
    Remove { role: usize },
    Give { to: usize, role: usize, anchor: usize, end: Option<i64> },
    Move { assignment: usize, end: Option<i64> },
    Take { assignment: usize },
}

fn attempts() -> impl Strategy<Value = Try> {
    let some = || prop::collection::vec(0..PATTERNS.len(), 0..3);
    let end = || prop::option::of(2_000_i64..9_000);
    prop_oneof![
        (0..3_usize, some()).prop_map(|(tenant, permissions)| Try::Describe { tenant, permissions }),
        (0..9_usize, prop::option::of(some())).prop_map(|(role, permissions)| Try::Change { role, permissions }),
        (0..9_usize).prop_map(|role| Try::Remove { role }),
        (0..USERS, 0..9_usize, 0..6_usize, end()).prop_map(|(to, role, anchor, end)| Try::Give {
            to,
            role,
            anchor,
            end
        }),
        (0..9_usize, end()).prop_map(|(assignment, end)| Try::Move { assignment, end }),
        (0..9_usize).prop_map(|assignment| Try::Take { assignment }),
    ]
}

/// What comes of it; `None` where it is refused or there is no such thing.
fn outcome(graph: &Graph, who: UserId, attempt: &Try, serial: u8) -> Option<Graph> {
    let mut next = graph.clone();
    let end = |end: Option<i64>| end.map(Timestamp::from_micros);
    let picked = |at: usize| graph.roles.get(at % graph.roles.len().max(1)).cloned();
    let given = |at: usize| graph.assignments.get(at % graph.assignments.len().max(1)).cloned();
    match attempt {
        Try::Describe { tenant: n, permissions } => {
            let id = RoleId::from_parts(1, [serial; 10]);
            let name = Name::parse(&format!("role {serial}")).unwrap();
            let caller = graph.authority::<WriteRoles>(who)?;
            next.roles.push(Role::create(id, tenant(*n), name, set(permissions), &caller, NOW).ok()?.into_parts().0);
        }
        Try::Change { role, permissions } => {
            let (role, caller) = (picked(*role)?, graph.authority::<WriteRoles>(who)?);
            let name = Some(Name::parse(&format!("renamed {serial}")).unwrap());
            let changed = role.update(name, permissions.as_deref().map(set), &caller, NOW).ok()?.into_parts().0;
            next.roles.retain(|role| role.id != changed.id);
            next.roles.push(changed);
        }
        Try::Remove { role } => {
            let (role, caller) = (picked(*role)?, graph.authority::<DeleteRoles>(who)?);
            let gone = role.delete(&caller, NOW).ok()?.into_parts().0;
            next.roles.retain(|role| role.id != gone.id);
            next.assignments.retain(|assignment| assignment.role_id != gone.id);
        }
        Try::Give { to, role, anchor, end: until } => {
            let builtin = BuiltinRole::ALL.get(*role).copied().map(AnyRole::Builtin);
            let new = NewAssignment {
                id: AssignmentId::from_parts(1, [serial; 10]),
                tenant: tenant(0),
                user_id: user(*to),
                role: builtin.or_else(|| picked(*role).map(AnyRole::Custom))?,
                anchor: anchors()[*anchor],
                expires_at: end(*until),
            };
            let caller = graph.authority::<WriteAssignments>(who)?;
            next.assignments.push(Assignment::create(new, &caller, NOW).ok()?.into_parts().0);
        }
        Try::Move { assignment, end: until } => {
            let (given, caller) = (given(*assignment)?, graph.authority::<WriteAssignments>(who)?);
            let role = graph.role(given.role_id);
            let moved = given.set_expiry(role.as_ref(), end(*until), &caller, NOW).ok()?.into_parts().0;
            next.assignments.retain(|assignment| assignment.id != moved.id);
            next.assignments.push(moved);
        }
        Try::Take { assignment } => {
            let (given, caller) = (given(*assignment)?, graph.authority::<DeleteAssignments>(who)?);
            let role = graph.role(given.role_id);
            let gone = given.delete(role.as_ref(), &caller, NOW).ok()?.into_parts().0;
            next.assignments.retain(|assignment| assignment.id != gone.id);
        }
    }
    Some(next)
}

/// A graph that Gatehouse itself made.
fn made(given: &[Try]) -> Graph {
    let root = Assignment::create(
        NewAssignment {
            id: AssignmentId::from_parts(1, [255; 10]),
            tenant: tenant(0),
            user_id: user(0),
            role: AnyRole::Builtin(BuiltinRole::SuperAdmin),
            anchor: Anchor::Platform,
            expires_at: None,
        },
        &Authority::system(SystemReason::Setup),
        NOW,
    );
    let root = root.unwrap().into_parts().0;
    let mut graph = Graph { roles: Vec::new(), assignments: vec![root.clone()] };
    for (n, attempt) in given.iter().enumerate() {
        if let Some(next) = outcome(&graph, user(0), attempt, 100 + n as u8) {
            graph = next;
        }
        if graph.assignments.iter().all(|assignment| assignment.id != root.id) {
            graph.assignments.push(root.clone());
        }
    }
    graph
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn nobody_gives_or_takes_what_they_do_not_hold(
        given in prop::collection::vec(attempts(), 8..24),
        tried in prop::collection::vec((0..USERS, attempts()), 1..24),
    ) {
        let mut graph = made(&given);
        for (n, (who, attempt)) in tried.iter().enumerate() {
            let Some(next) = outcome(&graph, user(*who), attempt, n as u8) else { continue };
            let theirs = graph.holding(user(*who));
            for other in (0..USERS).map(user) {
                let (before, after) = (graph.holding(other), next.holding(other));
                let given: Vec<_> = after.difference(&before).filter(|held| !theirs.contains(held)).collect();
                prop_assert!(given.is_empty(), "{who} gives by {attempt:?} what they do not hold: {given:?}");
                let holds_now = |held: &&(Anchor, String, bool)| theirs.contains(&(held.0, held.1.clone(), false));
                let taken: Vec<_> = before.difference(&after).filter(|held| !holds_now(held)).collect();
                prop_assert!(taken.is_empty(), "{who} takes by {attempt:?} what they do not hold: {taken:?}");
            }
            let after = next.holding(user(*who));
            prop_assert!(after.is_subset(&theirs), "{who} has more after {attempt:?}");
            graph = next;
        }
    }

    #[test]
    fn nobody_shuts_out_a_user_who_may_do_more(
        given in prop::collection::vec(attempts(), 8..24), who in 1..USERS, whom in 0..USERS,
    ) {
        let graph = made(&given);
        let Some(caller) = graph.authority::<WriteUsers>(user(who)) else { return Ok(()) };
        let new = NewUser {
            tenant: tenant(0),
            username: Username::parse("ada").unwrap(),
            email: Email::parse("ada@example.com").unwrap(),
            display_name: None,
            phone: None,
        };
        let ada = User::create(user(whom), new, caller.by(), NOW).into_parts().0;
        let (roles, patch) = (graph.held(user(whom)), UserPatch { status: Some(UserStatus::Suspended), ..Default::default() });
        let done = [
            ada.clone().update(patch, true, &roles, &caller, NOW).is_ok(),
            ada.delete(&roles, &caller, NOW).is_ok(),
        ];
        // Whoever administers partners acts in all of them, others in one tenant: what is held elsewhere does not count.
        let (actor, theirs) = (Arc::new(graph.actor(user(who))), graph.holding(user(who)));
        let writes = |at: Anchor| theirs.contains(&(at, "users:write".to_owned(), false));
        let directory = authorize::<WriteUsers>(&actor, &Area::Directory).is_ok();
        let may = |tenant: &TenantRef| authorize::<WriteUsers>(&actor, &Area::Tenant(*tenant)).is_ok();
        let door = [0, 1, 2].map(tenant).into_iter().find(may).map(|tenant| tenant.id);
        let counts = |at: Anchor| match at {
            _ if directory && writes(Anchor::Platform) => true,
            Anchor::Platform => directory,
            Anchor::Partner(_) => directory && writes(at),
            Anchor::Tenant(id) if directory => {
                [0, 1, 2].map(tenant).iter().any(|tenant| tenant.id == id && writes(Anchor::Partner(tenant.partner_id)))
            }
            Anchor::Tenant(id) => door == Some(id),
        };
        let outranks = graph.holding(user(whom)).iter().filter(|held| !held.2).all(|held| counts(held.0) && theirs.contains(held));
        prop_assert_eq!(done, [outranks; 2]);
    }
}
