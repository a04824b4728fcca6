//! The permission catalogue and sets of permissions.

use std::fmt;

use crate::{
    authz::{
        actor::{ACCOUNT_READ, ACCOUNT_WRITE, Actor},
        policy::{Area, Denied, Installation, Permission, Reach},
    },
    issue::{Fault, Parse},
};

/// One row of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PermissionInfo {
    /// `resource:action`.
    pub name: &'static str,
    /// What it allows, in one sentence.
    pub description: &'static str,
}

macro_rules! permissions {
    ($($name:literal $marker:ident on $target:ty, $description:literal;)*) => {
        $(
            #[doc = concat!("`", $name, "`: ", $description)]
            #[derive(Debug, Clone, Copy)]
            pub struct $marker;

            impl Permission for $marker {
                type Target = $target;
                const NAME: &'static str = $name;

                fn reach(actor: &Actor, target: &$target) -> Result<Reach, Denied> {
                    target.reach(actor, $name)
                }
            }
        )*

        /// The permissions that the actor holds in a place, in alphabetical order.
        #[must_use]
        pub fn administered(actor: &Actor, place: Area) -> Vec<&'static str> {
            let mut open = Vec::new();
            $(if <$target>::at(place).is_some_and(|target| <$marker as Permission>::reach(actor, &target).is_ok()) {
                open.push($name);
            })*
            open
        }

        /// Every permission there is, in alphabetical order.
        pub const CATALOGUE: &[PermissionInfo] = &[$(PermissionInfo { name: $name, description: $description },)*];
    };
}

permissions! {
    "applications:delete" DeleteApplications on Area, "Delete applications.";
    "applications:read" ReadApplications on Area, "See applications.";
    "applications:write" WriteApplications on Area, "Create, change, suspend and activate applications, and make secrets for them.";
    "audit-events:read" ReadAudit on Area, "See the audit trail.";
    "audit:write" WriteAudit on Area, "Shorten how long audit events and ended sessions are kept. No wildcard stands for it.";
    "partners:delete" DeletePartners on Installation, "Delete partners with all their tenants.";
    "partners:read" ReadPartners on Installation, "See partners and their limits.";
    "partners:write" WritePartners on Installation, "Create, change, suspend and activate partners.";
    "permissions:read" ReadPermissions on Area, "See the permission catalogue.";
    "role-assignments:delete" DeleteAssignments on Area, "Take roles from users.";
    "role-assignments:read" ReadAssignments on Area, "See who holds which role.";
    "role-assignments:write" WriteAssignments on Area, "Give roles to users.";
    "roles:delete" DeleteRoles on Area, "Delete roles.";
    "roles:read" ReadRoles on Area, "See roles and what they allow.";
    "roles:write" WriteRoles on Area, "Create and change roles.";
    "sessions:delete" RevokeSessions on Area, "End sessions.";
    "sessions:read" ReadSessions on Area, "See sessions and their statistics.";
    "settings:read" ReadSettings on Area, "See settings.";
    "settings:write" WriteSettings on Area, "Change settings.";
    "tenants:delete" DeleteTenants on Area, "Delete tenants with all that is in them.";
    "tenants:read" ReadTenants on Area, "See tenants and their settings.";
    "tenants:write" WriteTenants on Area, "Create, change, suspend and activate tenants.";
    "users:delete" DeleteUsers on Area, "Delete users, and erase what is personal about them.";
    "users:read" ReadUsers on Area, "See users.";
    "users:write" WriteUsers on Area, "Create, change, suspend and activate users.";
}

/// The permissions that no wildcard stands for: who gives one of them has to name it. So no role has one of them because
/// it had a wildcard before there was such a permission, or because somebody meant to give everything else.
pub const NAMED: &[&str] = &[<WriteAudit as Permission>::NAME];

/// The patterns with a wildcard that stand for something, in alphabetical order.
const WILDCARDS: &[&str] = &[
    "*:*",
    "*:delete",
    "*:read",
    "*:write",
    "applications:*",
    "audit-events:*",
    "partners:*",
    "permissions:*",
    "role-assignments:*",
    "roles:*",
    "sessions:*",
    "settings:*",
    "tenants:*",
    "users:*",
];

/// `SeeOneself "account:read", "…";` becomes a permission that nobody has to be given: what is one's own is asked for. The
/// text is the scope that a token of an application needs for it; no scope is needed where it is `own`, which is none.
macro_rules! own {
    ($($marker:ident $scope:path, $description:literal;)*) => {$(
        #[doc = $description]
        #[derive(Debug, Clone, Copy)]
        pub struct $marker;

        impl Permission for $marker {
            type Target = ();
            const NAME: &'static str = OWN;
            const SCOPE: &'static str = $scope;

            fn reach(actor: &Actor, (): &()) -> Result<Reach, Denied> {
                actor.own($scope).ok_or(Denied::Forbidden(OWN))
            }
        }
    )*};
}

/// The name of what needs no permission, because it is one's own.
pub const OWN: &str = "own";

own! {
    SeeOneself ACCOUNT_READ, "To see one's own profile and sessions.";
    Oneself ACCOUNT_WRITE, "To change one's own profile, and end one's own sessions.";
    ProveOneself OWN, "To change what one signs in with, for which no token of an application is enough.";
}

/// The permission to learn what one administers, for whoever holds any right in the tenant, or else at the platform or at
/// a partner.
#[derive(Debug, Clone, Copy)]
pub struct Administer;

impl Permission for Administer {
    type Target = Area;
    const NAME: &'static str = "at platform or partner level";
    const SCOPE: &'static str = "admin:read";

    fn reach(actor: &Actor, place: &Area) -> Result<Reach, Denied> {
        match place {
            _ if actor.opens_nothing() => Err(Denied::Forbidden(Self::NAME)),
            Area::Tenant(tenant) => actor.administers(*tenant, "in the tenant"),
            _ => actor.administered().ok_or(Denied::Forbidden(Self::NAME)),
        }
    }
}

/// `resource:action`, where either part may be `*`, which stands for all but what has to be [`NAMED`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PermissionPattern(String);

impl PermissionPattern {
    /// What the text form matches (ECMA-262); it must also match something in the [`CATALOGUE`].
    pub const PATTERN: &'static str = "^([a-z]+(-[a-z]+)*|\\*):(read|write|delete|\\*)$";

    /// Whether this pattern includes everything `other` includes, given the catalogue. A wildcard does not stand for what
    /// has to be [`NAMED`].
    #[must_use]
    pub fn covers(&self, other: &str) -> bool {
        if NAMED.contains(&other) {
            return self.0 == other;
        }
        let (Some((resource, action)), Some((other_resource, other_action))) =
            (self.0.split_once(':'), other.split_once(':'))
        else {
            return false;
        };
        (resource == "*" || resource == other_resource) && (action == "*" || action == other_action)
    }

    /// What both stand for.
    fn and(&self, other: &Self) -> Option<Self> {
        let ((resource, action), (other_resource, other_action)) = (self.0.split_once(':')?, other.0.split_once(':')?);
        let common = |one: &str, two: &str| match (one, two) {
            ("*", other) | (other, "*") => Some(other.to_owned()),
            (one, two) => (one == two).then(|| one.to_owned()),
        };
        Some(Self(format!("{}:{}", common(resource, other_resource)?, common(action, other_action)?)))
    }

    /// The text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes a stored pattern back; one that the catalogue no longer knows covers nothing that exists.
    #[must_use]
    pub const fn from_stored(text: String) -> Self {
        Self(text)
    }
}

impl Parse for PermissionPattern {
    fn parse(text: &str) -> Result<Self, Fault> {
        let pattern = Self(text.to_owned());
        if CATALOGUE.iter().any(|known| pattern.covers(known.name)) {
            return Ok(pattern);
        }
        Err(Fault::new("unknown_permission", "not a permission of the catalogue, nor a pattern that matches one"))
    }
}

impl fmt::Display for PermissionPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A set of permission patterns, sorted and without duplicates.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PermissionSet(Vec<PermissionPattern>);

impl PermissionSet {
    /// A set of these patterns.
    #[must_use]
    pub fn new(mut patterns: Vec<PermissionPattern>) -> Self {
        patterns.sort();
        patterns.dedup();
        Self(patterns)
    }

    /// Everything: `*:*`, and what has to be [`NAMED`].
    #[must_use]
    pub fn all() -> Self {
        Self::new(["*:*"].iter().chain(NAMED).map(|text| PermissionPattern((*text).to_owned())).collect())
    }

    /// Everything that a wildcard stands for: `*:*`.
    #[must_use]
    pub fn any() -> Self {
        Self(vec![PermissionPattern("*:*".to_owned())])
    }

    /// Whether a permission is in the set. A wildcard in `name` is only covered by a wildcard.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| pattern.covers(name))
    }

    /// Whether everything of `other` is in the set: the rule that nobody grants what they do not hold.
    #[must_use]
    pub fn covers_all(&self, other: &Self) -> bool {
        self.first_missing(other).is_none()
    }

    /// What of `other` is not in the set: the first permission, else the first wildcard, as that stands for permissions to
    /// come, too.
    #[must_use]
    pub fn first_missing(&self, other: &Self) -> Option<&'static str> {
        let mut names = CATALOGUE.iter().map(|known| known.name).chain(WILDCARDS.iter().copied());
        names.find(|name| other.covers(name) && !self.covers(name))
    }

    /// What is in both: a permission or a wildcard that either set has not got is not in it.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let pairs = self.0.iter().flat_map(|one| other.0.iter().filter_map(|two| one.and(two)));
        let in_both = |pattern: &PermissionPattern| self.covers(pattern.as_str()) && other.covers(pattern.as_str());
        Self::new(pairs.filter(in_both).collect())
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The patterns.
    pub fn iter(&self) -> impl Iterator<Item = &PermissionPattern> {
        self.0.iter()
    }

    /// The union.
    #[must_use]
    pub fn union<'a>(sets: impl IntoIterator<Item = &'a Self>) -> Self {
        Self::new(sets.into_iter().flat_map(|set| set.0.iter().cloned()).collect())
    }
}

/// As it is stored: the patterns, with blanks between.
impl fmt::Display for PermissionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns: Vec<_> = self.0.iter().map(PermissionPattern::as_str).collect();
        f.write_str(&patterns.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(patterns: &[&str]) -> PermissionSet {
        PermissionSet::new(patterns.iter().map(|p| PermissionPattern::parse(p).unwrap()).collect())
    }

    #[test]
    fn catalogue_is_alphabetical_and_without_duplicates() {
        assert!(CATALOGUE.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn wildcards_stand_for_either_part() {
        for (pattern, name, covered) in [
            ("sessions:read", "sessions:read", true),
            ("sessions:read", "sessions:delete", false),
            ("sessions:*", "sessions:delete", true),
            ("*:read", "users:read", true),
            ("*:read", "users:write", false),
            ("*:*", "partners:write", true),
            ("sessions:read", "sessions:*", false),
        ] {
            assert_eq!(set(&[pattern]).covers(name), covered, "{pattern} {name}");
        }
    }

    #[test]
    fn wildcards_stand_for_all_but_what_has_to_be_named() {
        assert_eq!(NAMED, ["audit:write"]);
        for known in CATALOGUE {
            let is_named = NAMED.contains(&known.name);
            assert_eq!(PermissionSet::any().covers(known.name), !is_named, "{}", known.name);
            assert!(PermissionSet::all().covers(known.name) && set(&[known.name]).covers(known.name), "{}", known.name);
        }
        for pattern in ["*:write", "*:*"] {
            let wide = set(&[pattern]);
            assert!(!wide.covers("audit:write") && !wide.covers_all(&set(&["audit:write"])), "{pattern}");
            assert!(PermissionSet::any().covers_all(&wide), "{pattern}");
        }
        assert!(PermissionPattern::parse("audit:*").is_err(), "it would stand for nothing");
    }

    #[test]
    fn what_is_in_two_sets_is_in_both() {
        let sets = ["*:*", "*:read", "users:*", "users:write", "sessions:read", "audit:write"].map(|one| set(&[one]));
        let mixed = [set(&[]), PermissionSet::all(), set(&["*:read", "users:*"]), set(&["audit:write", "sessions:*"])];
        let sets: Vec<_> = sets.into_iter().chain(mixed).collect();
        for (one, two) in sets.iter().flat_map(|one| sets.iter().map(move |two| (one, two))) {
            for name in CATALOGUE.iter().map(|known| known.name).chain(WILDCARDS.iter().copied()) {
                let both = one.covers(name) && two.covers(name);
                assert_eq!(one.and(two).covers(name), both, "{one:?} and {two:?}: {name}");
            }
        }
    }

    #[test]
    fn patterns_outside_the_catalogue_are_refused() {
        for bad in [
            "",
            "sessions",
            "sessions:",
            ":read",
            "sesiones:read",
            "sessions:fly",
            "*",
            "sessions:read:x",
            "Sessions:read",
        ] {
            assert!(PermissionPattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn nobody_holds_a_wildcard_by_holding_its_parts() {
        assert!(set(&["*:*"]).covers_all(&set(&["sessions:*", "users:read"])));
        assert!(set(&["sessions:*"]).covers_all(&set(&["sessions:read", "sessions:delete"])));
        assert!(!set(&["sessions:read", "sessions:delete"]).covers_all(&set(&["sessions:*"])));
        assert!(!set(&["sessions:read"]).covers_all(&set(&["sessions:delete"])));
        assert!(set(&[]).covers_all(&set(&[])));
    }

    #[test]
    fn what_is_missing_is_named_whether_permission_or_wildcard() {
        let missing = |held: &[&str], wanted: &[&str]| set(held).first_missing(&set(wanted));
        assert_eq!(missing(&["*:*"], &["*:*", "audit:write"]), Some("audit:write"));
        assert_eq!(missing(&["users:read", "users:write", "users:delete"], &["users:*"]), Some("users:*"));
        assert_eq!(missing(&["users:read"], &["users:*"]), Some("users:delete"));
        assert_eq!(missing(&["users:*"], &["users:read"]), None);
    }

    #[test]
    fn every_wildcard_that_stands_for_something_is_known() {
        let resources = CATALOGUE.iter().filter_map(|known| known.name.split_once(':')).map(|(resource, _)| resource);
        let resources = ["*"].into_iter().chain(resources);
        let of = |resource| ["*", "read", "write", "delete"].map(|action| format!("{resource}:{action}"));
        let mut wildcards: Vec<_> = resources.flat_map(of).filter(|text| text.contains('*')).collect();
        wildcards.retain(|text| PermissionPattern::parse(text).is_ok());
        wildcards.sort();
        wildcards.dedup();
        assert_eq!(wildcards, WILDCARDS);
    }
}
