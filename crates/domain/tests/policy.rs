//! The policy as one table: what each permission gives to each kind of actor, and where.
//!
//! The actors around the tenant `home` of partner `p`: `plain` belongs to it, `holder` besides has a role with just the
//! permission of the row, `tenant` administers it; `partner` administers `p`, `platform` the platform; `sibling`
//! administers another tenant of `p`, `foreign` another partner; `system` is Gatehouse itself.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use gatehouse_domain::{
    authz::*,
    id::{PartnerId, SessionId, TenantId, UserId},
    issue::Parse,
    role::{Anchor, BuiltinRole},
};

fn partner(n: u8) -> PartnerId {
    PartnerId::from_parts(1, [n; 10])
}

fn tenant(n: u8) -> TenantRef {
    // Tenants 1 and 2 belong to partner 1, tenant 3 to partner 2.
    TenantRef { id: TenantId::from_parts(1, [n; 10]), partner_id: partner(n.div_ceil(2)) }
}

fn user(n: u8) -> UserId {
    UserId::from_parts(1, [n; 10])
}

const HOME: u8 = 1;
const SIBLING: u8 = 2;
const FOREIGN: u8 = 3;
/// The user who acts.
const ME: u8 = 7;

/// The user, at home in a tenant, with a right somewhere.
fn actor(home: u8, anchor: Option<Anchor>, permissions: PermissionSet) -> Arc<Actor> {
    Arc::new(Actor::User(UserActor {
        user_id: user(ME),
        tenant_id: tenant(home).id,
        partner_id: tenant(home).partner_id,
        session_id: SessionId::from_parts(1, [1; 10]),
        presence: Presence::SignedIn,
        rights: anchor.map(|anchor| Right { anchor, permissions, expires_at: None }).into_iter().collect(),
        scope: None,
    }))
}

fn actors(permission: &str) -> [(&'static str, Arc<Actor>); 8] {
    let only = PermissionSet::new(vec![PermissionPattern::parse(permission).unwrap()]);
    let [super_admin, partner_admin, tenant_admin] = BuiltinRole::ALL.map(BuiltinRole::permissions);
    let of = |n| Some(Anchor::Tenant(tenant(n).id));
    [
        ("plain", actor(HOME, None, PermissionSet::default())),
        ("holder", actor(HOME, of(HOME), only)),
        ("tenant", actor(HOME, of(HOME), tenant_admin.clone())),
        ("partner", actor(SIBLING, Some(Anchor::Partner(partner(1))), partner_admin.clone())),
        ("platform", actor(FOREIGN, Some(Anchor::Platform), super_admin)),
        ("sibling", actor(SIBLING, of(SIBLING), tenant_admin)),
        ("foreign", actor(FOREIGN, Some(Anchor::Partner(partner(2))), partner_admin)),
        ("system", Arc::new(Actor::System(SystemReason::Job))),
    ]
}

fn cell<P: Permission>(actor: &Arc<Actor>, target: &P::Target) -> String {
    match authorize::<P>(actor, target) {
        Ok(grant) => match grant.reach() {
            Reach::Platform => "platform".to_owned(),
            Reach::Partners(partners) => format!("{} partner", partners.len()),
            Reach::Tenant(_) => "tenant".to_owned(),
            Reach::Own(..) => "own".to_owned(),
        },
        Err(Denied::Hidden) => "404".to_owned(),
        Err(Denied::Forbidden(missing)) => {
            assert_eq!(missing, P::NAME);
            "403".to_owned()
        }
        Err(Denied::Scope(_)) => unreachable!("no token of these actors is narrowed"),
    }
}

fn line(name: &str, cells: impl Iterator<Item = String>) -> String {
    let cells: String = cells.map(|cell| format!("{cell:<10} ")).collect();
    format!("{name:<54}{}\n", cells.trim_end())
}

fn rows<P: Permission>(targets: &[(&str, P::Target)]) -> String {
    let row = |(name, target): &(&str, P::Target)| {
        let cells = actors(P::NAME).map(|(_, actor)| cell::<P>(&actor, target));
        line(&format!("{} {name}", P::NAME), cells.into_iter())
    };
    targets.iter().map(row).collect()
}

/// The rows of permissions that are asked for where tenant-owned things are.
macro_rules! area_rows {
    ($($permission:ty),* $(,)?) => {
        [$((<$permission>::NAME, rows::<$permission>(&[
            ("across tenants", Area::Directory),
            ("at the platform", Area::Platform),
            ("at the partner", Area::Partner(partner(1))),
            ("in the tenant", Area::Tenant(tenant(HOME))),
            ("of another user", Area::UserOf(tenant(HOME), user(8))),
            ("of the actor in the tenant", Area::UserOf(tenant(HOME), user(ME))),
            ("in the tenant, or one's own", Area::TenantOrOwn(tenant(HOME))),
        ]))),*]
    };
}

#[test]
fn permissions_reach_as_far_as_the_committed_table_says() {
    let installation = [("of the installation", Installation)];
    let mut all = area_rows![DeleteApplications, ReadApplications, WriteApplications, ReadAudit, WriteAudit].to_vec();
    all.extend([
        (DeletePartners::NAME, rows::<DeletePartners>(&installation)),
        (ReadPartners::NAME, rows::<ReadPartners>(&installation)),
        (WritePartners::NAME, rows::<WritePartners>(&installation)),
    ]);
    all.extend(area_rows![
        ReadPermissions,
        DeleteAssignments,
        ReadAssignments,
        WriteAssignments,
        DeleteRoles,
        ReadRoles,
        WriteRoles,
        RevokeSessions,
        ReadSessions,
        ReadSettings,
        WriteSettings,
        DeleteTenants,
        ReadTenants,
        WriteTenants,
        DeleteUsers,
        ReadUsers,
        WriteUsers,
    ]);
    let names: Vec<_> = all.iter().map(|(name, _)| *name).collect();
    let known: Vec<_> = CATALOGUE.iter().map(|known| known.name).collect();
    assert_eq!(names, known, "a permission is not in the table");
    let heads = line("", actors("*:*").into_iter().map(|(name, _)| name.to_owned()));
    insta::assert_snapshot!("policy", heads + &all.into_iter().map(|(_, rows)| rows).collect::<String>());
}

#[test]
fn actors_may_give_away_what_they_hold_where_they_hold_it() {
    let partner_of =
        |id: TenantId| [HOME, SIBLING, FOREIGN].map(tenant).into_iter().find(|t| t.id == id).map(|t| t.partner_id);
    let anchors = [
        ("platform", Anchor::Platform),
        ("partner", Anchor::Partner(partner(1))),
        ("another partner", Anchor::Partner(partner(2))),
        ("tenant", Anchor::Tenant(tenant(HOME).id)),
        ("another tenant of the partner", Anchor::Tenant(tenant(SIBLING).id)),
        ("tenant of another partner", Anchor::Tenant(tenant(FOREIGN).id)),
    ];
    let row = |(name, anchor): (&str, Anchor)| {
        let cells = actors("sessions:*").map(|(_, actor)| {
            let held: Vec<_> = actor.permissions_at(anchor, partner_of).iter().map(ToString::to_string).collect();
            if held.is_empty() { "-".to_owned() } else { held.join(" ") }
        });
        line(&format!("at {name}"), cells.into_iter())
    };
    let heads = line("", actors("*:*").into_iter().map(|(name, _)| name.to_owned()));
    insta::assert_snapshot!("may_give", heads + &anchors.map(row).concat());
}

#[test]
fn reader_is_shown_who_acted_as_far_as_it_may_read() {
    let of = ActorsShown::OfPartners;
    for (name, actor) in actors(ReadAudit::NAME) {
        let Ok(grant) = authorize::<ReadAudit>(&actor, &Area::Tenant(tenant(HOME))) else { continue };
        let expected = match name {
            "holder" | "tenant" => of(vec![]),
            "partner" => of(vec![partner(1)]),
            "platform" | "system" => ActorsShown::All,
            other => panic!("{other} reads here"),
        };
        assert_eq!(grant.actors_shown(), expected, "{name}");
        assert_eq!(grant.tenant(), Some(tenant(HOME)), "{name}: the door is that of one tenant");
    }
}

#[test]
fn one_needs_no_permission_for_oneself() {
    for (name, actor) in actors("sessions:read") {
        let expected = if name == "system" { "403" } else { "own" };
        assert_eq!(cell::<Oneself>(&actor, &()), expected, "{name}");
    }
}

#[test]
fn grant_is_confirmed_while_every_right_of_then_is_there() {
    use gatehouse_domain::time::Timestamp;
    let set = |names: &[&str]| PermissionSet::new(names.iter().map(|n| PermissionPattern::parse(n).unwrap()).collect());
    let at = |n| Anchor::Tenant(tenant(n).id);
    let right = |anchor, names: &[&str], end: Option<i64>| Right {
        anchor,
        permissions: set(names),
        expires_at: end.map(Timestamp::from_micros),
    };
    let then = actor(HOME, Some(at(HOME)), set(&["users:write", "roles:read"]));
    let grant = authorize::<WriteUsers>(&then, &Area::Tenant(tenant(HOME))).unwrap();
    let refused = Err(Denied::Forbidden(WriteUsers::NAME));
    for (case, now, expected) in [
        ("the same", vec![right(at(HOME), &["users:write", "roles:read"], None)], Ok(true)),
        ("more", vec![right(at(HOME), &["*:*"], None)], Ok(true)),
        (
            "the same in parts",
            vec![right(at(HOME), &["roles:read"], None), right(at(HOME), &["users:write"], None)],
            Ok(true),
        ),
        ("another one less", vec![right(at(HOME), &["users:write"], None)], Ok(false)),
        ("for a time now", vec![right(at(HOME), &["users:write", "roles:read"], Some(9))], Ok(false)),
        ("the one that counts less", vec![right(at(HOME), &["roles:read"], None)], refused),
        ("elsewhere", vec![right(at(SIBLING), &["*:*"], None)], refused),
        ("none", Vec::new(), refused),
    ] {
        assert_eq!(grant.is_confirmed(&now), expected, "{case}");
    }
    let own = authorize::<Oneself>(&then, &()).unwrap();
    assert_eq!(own.is_confirmed(&[]), Ok(true), "one needs no right for oneself");
    let system = authorize::<WriteUsers>(&Arc::new(Actor::System(SystemReason::Job)), &Area::Directory).unwrap();
    assert_eq!(system.is_confirmed(&[]), Ok(true), "Gatehouse itself is not asked");
}
