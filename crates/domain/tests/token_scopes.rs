//! What tokens of applications open: of a user never more than the user may do, of an application what its scopes say, in
//! the tenant of the issuer.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use gatehouse_domain::{
    application::ScopeName,
    authz::*,
    id::{ApplicationId, PartnerId, SessionId, TenantId, UserId},
    issue::Parse,
    role::Anchor,
};
use proptest::prelude::*;

const PATTERNS: [&str; 8] =
    ["*:*", "*:read", "users:*", "users:write", "sessions:read", "sessions:delete", "audit:write", "partners:read"];
const SCOPES: [&str; 9] = [
    "admin:read",
    "admin:write",
    "users:read",
    "users:write",
    "sessions:delete",
    "audit:write",
    "account:read",
    "account:write",
    "openid",
];

/// Tenants 1 and 2 belong to partner 1, tenant 3 to partner 2.
fn tenant(n: u8) -> TenantRef {
    TenantRef { id: TenantId::from_parts(1, [n; 10]), partner_id: PartnerId::from_parts(1, [n.div_ceil(2); 10]) }
}

const ME: [u8; 10] = [7; 10];

fn scopes(chosen: &[usize]) -> Vec<ScopeName> {
    chosen.iter().map(|n| ScopeName::parse(SCOPES[*n]).unwrap()).collect()
}

/// A scope of an application of the platform, of partner 1, or of tenant 1.
fn narrowed(chosen: &[usize], within: usize) -> TokenScope {
    let names = scopes(chosen);
    let [reads_account, changes_account] = ScopeName::open_account(&names);
    TokenScope {
        application_id: ApplicationId::from_parts(1, ME),
        within: [Anchor::Platform, Anchor::Partner(tenant(1).partner_id), Anchor::Tenant(tenant(1).id)][within],
        tenant: tenant(1),
        permissions: ScopeName::permissions(&names),
        reads_account,
        changes_account,
    }
}

/// Whether a reach lies where an application belongs.
fn belongs(reach: &Reach, within: Anchor) -> bool {
    match (within, reach) {
        (Anchor::Platform, _) => true,
        (Anchor::Partner(partner), Reach::Partners(ids)) => ids.iter().all(|id| *id == partner),
        (Anchor::Partner(partner), Reach::Tenant(tenant) | Reach::Own(tenant, _)) => tenant.partner_id == partner,
        (Anchor::Tenant(id), Reach::Tenant(tenant) | Reach::Own(tenant, _)) => tenant.id == id,
        _ => false,
    }
}

fn user(rights: &[(usize, Vec<usize>)], scope: Option<TokenScope>) -> Arc<Actor> {
    let anchors = [
        Anchor::Platform,
        Anchor::Partner(tenant(1).partner_id),
        Anchor::Partner(tenant(3).partner_id),
        Anchor::Tenant(tenant(1).id),
        Anchor::Tenant(tenant(2).id),
    ];
    let set = |chosen: &[usize]| {
        PermissionSet::new(chosen.iter().map(|n| PermissionPattern::parse(PATTERNS[*n]).unwrap()).collect())
    };
    let right = |(anchor, chosen): &(usize, Vec<usize>)| Right {
        anchor: anchors[*anchor],
        permissions: set(chosen),
        expires_at: None,
    };
    let rights: Vec<_> = rights.iter().map(right).collect();
    Arc::new(Actor::User(UserActor {
        user_id: UserId::from_parts(1, ME),
        tenant_id: tenant(1).id,
        partner_id: tenant(1).partner_id,
        session_id: SessionId::from_parts(1, [1; 10]),
        presence: Presence::SignedIn,
        rights: scope.as_ref().map_or(rights.clone(), |scope| scope.narrow(rights)),
        scope,
    }))
}

fn application(chosen: &[usize]) -> Arc<Actor> {
    let permissions = ScopeName::permissions(&scopes(chosen));
    Arc::new(Actor::Application(ApplicationActor {
        application_id: ApplicationId::from_parts(1, ME),
        level: "partner",
        tenant: Some(tenant(1)),
        rights: vec![Right { anchor: Anchor::Tenant(tenant(1).id), permissions, expires_at: None }],
    }))
}

fn areas() -> Vec<Area> {
    let (me, another) = (UserId::from_parts(1, ME), UserId::from_parts(1, [8; 10]));
    let of = |n| [Area::Tenant(tenant(n)), Area::UserOf(tenant(n), another), Area::TenantOrOwn(tenant(n))];
    let wide = [Area::Directory, Area::Platform, Area::Partner(tenant(1).partner_id), Area::UserOf(tenant(1), me)];
    wide.into_iter().chain([1, 2, 3].into_iter().flat_map(of)).collect()
}

/// Whether every row that the one reach opens is opened by the other.
fn is_within(one: &Reach, other: &Reach) -> bool {
    match (one, other) {
        (_, Reach::Platform) => true,
        (Reach::Partners(one), Reach::Partners(other)) => one.iter().all(|id| other.contains(id)),
        (Reach::Tenant(tenant) | Reach::Own(tenant, _), Reach::Partners(ids)) => ids.contains(&tenant.partner_id),
        (Reach::Tenant(one) | Reach::Own(one, _), Reach::Tenant(other)) => one.id == other.id,
        (one, other) => one == other,
    }
}

/// Checks a permission at every place: what the token opens its user may do, and its scope covers.
fn narrows<P: Permission<Target = Area>>(whole: &Arc<Actor>, token: &Arc<Actor>, scope: &TokenScope) {
    for area in areas() {
        let (may, opened) = (authorize::<P>(whole, &area), authorize::<P>(token, &area));
        let covers = scope.permissions.covers(P::NAME);
        match (&may, &opened) {
            (Ok(may), Ok(opened)) => {
                // Where one's own is asked for, no permission is looked at that the user may have besides.
                let whole_reach = may.reach();
                let besides = may.tenant().and_then(|tenant| authorize::<P>(whole, &Area::Tenant(tenant)).ok());
                let may = |reach: &Reach| is_within(opened.reach(), reach);
                let is_wide = besides.is_some_and(|besides| may(besides.reach()));
                assert!(is_wide || may(whole_reach), "{} at {area:?}", P::NAME);
                assert!(belongs(opened.reach(), scope.within), "{} at {area:?}", P::NAME);
                let own = matches!(opened.reach(), Reach::Own(..));
                let is_read = P::NAME.ends_with(":read");
                let opens_own = if is_read { scope.reads_account } else { scope.changes_account };
                assert!(if own { opens_own } else { covers }, "{} at {area:?}", P::NAME);
            }
            (Ok(_), Err(denied)) => {
                assert!(!covers || *denied != Denied::Scope(P::NAME), "{} at {area:?}: the scope is there", P::NAME);
            }
            (Err(_), Ok(opened)) => unreachable!("{} at {area:?}: {:?}", P::NAME, opened.reach()),
            // What may not be known to exist is not made known by a token. Who administers no partner is told the same of
            // every partner, be it there or not.
            (Err(may), Err(opened)) => {
                let is_hidden = *may != Denied::Hidden || *opened == Denied::Hidden;
                assert!(is_hidden || matches!(area, Area::Partner(_)), "{} at {area:?}", P::NAME);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn token_opens_no_more_than_its_user_may_do_and_its_scopes_say(
        rights in prop::collection::vec((0..5_usize, prop::collection::vec(0..PATTERNS.len(), 0..4)), 0..4),
        chosen in prop::collection::vec(0..SCOPES.len(), 0..5),
        within in 0..3_usize,
    ) {
        let scope = narrowed(&chosen, within);
        let (whole, token) = (user(&rights, None), user(&rights, Some(scope.clone())));
        narrows::<ReadUsers>(&whole, &token, &scope);
        narrows::<WriteUsers>(&whole, &token, &scope);
        narrows::<DeleteUsers>(&whole, &token, &scope);
        narrows::<ReadSessions>(&whole, &token, &scope);
        narrows::<RevokeSessions>(&whole, &token, &scope);
        narrows::<WriteAudit>(&whole, &token, &scope);
        narrows::<WriteAssignments>(&whole, &token, &scope);
        let sees = authorize::<SeeOneself>(&token, &()).map(|_| ());
        prop_assert_eq!(sees, if scope.reads_account { Ok(()) } else { Err(Denied::Scope("account:read")) });
        let changes = authorize::<Oneself>(&token, &()).map(|_| ());
        prop_assert_eq!(changes, if scope.changes_account { Ok(()) } else { Err(Denied::Scope("account:write")) });
        prop_assert_eq!(authorize::<ProveOneself>(&token, &()).map(|_| ()), Err(Denied::Forbidden(OWN)));
    }

    #[test]
    fn application_may_do_what_its_scopes_say_in_the_tenant_of_its_issuer_and_nothing_elsewhere(
        chosen in prop::collection::vec(0..SCOPES.len(), 0..5),
    ) {
        let (actor, permissions) = (application(&chosen), ScopeName::permissions(&scopes(&chosen)));
        let asks = |area: &Area| authorize::<WriteUsers>(&actor, area).map(|grant| grant.reach().clone());
        let covers = permissions.covers("users:write");
        let here = if covers { Ok(Reach::Tenant(tenant(1))) } else { Err(Denied::Scope("users:write")) };
        prop_assert_eq!(asks(&Area::Tenant(tenant(1))), here);
        prop_assert_eq!(asks(&Area::Tenant(tenant(2))), Err(Denied::Hidden));
        let above = if covers { Denied::Forbidden("users:write") } else { Denied::Scope("users:write") };
        prop_assert_eq!(asks(&Area::Directory), Err(above));
        prop_assert_eq!(asks(&Area::Platform), Err(above));
        prop_assert_eq!(asks(&Area::Partner(tenant(1).partner_id)), Err(above));
        prop_assert_eq!(authorize::<SeeOneself>(&actor, &()).map(|_| ()), Err(Denied::Forbidden(OWN)));
        let administers = authorize::<Administer>(&actor, &Area::Tenant(tenant(1))).is_ok();
        prop_assert_eq!(administers, !permissions.is_empty());
    }
}

#[test]
fn who_administers_nothing_through_a_token_is_not_told_what_the_user_administers() {
    let scope = narrowed(&[6, 7], 0);
    let token = user(&[(3, vec![0])], Some(scope));
    for area in [Area::Directory, Area::Tenant(tenant(1))] {
        assert_eq!(authorize::<Administer>(&token, &area).map(|_| ()), Err(Denied::Scope("admin:read")));
    }
}
