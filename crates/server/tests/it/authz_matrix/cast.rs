//! Who calls, and what for: ten callers around one tenant, and for every call a target that no other call touches.
//!
//! Partner `p` has the tenants `home`, where everything happens, and `sibling`; partner `q` has the tenant `foreign`.
//! Administrators of a partner or the platform live outside `home`, so that ending every session of it leaves them
//! theirs.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};

use super::operation::Operation;
use crate::harness::{Person, Signed, Tenant, World};

/// Somebody who calls.
pub struct Actor {
    pub name: &'static str,
    /// Nobody, for the anonymous caller.
    pub person: Option<Person>,
    /// The tenant of the person.
    pub home: Tenant,
    token: RefCell<Option<Signed>>,
    /// Whose things are asked for.
    victim: Person,
    /// The role that the victim holds, for operations on assignments.
    assignment: String,
}

/// What a request is about.
#[derive(Debug, Clone, Default)]
pub struct Target {
    pub tenant: String,
    pub slug: String,
    pub partner: String,
    pub user: String,
    pub name: String,
    pub session: String,
    pub refresh: String,
    pub role: String,
    pub spare_role: String,
    pub assignment: String,
    pub application: String,
    pub event: String,
    pub import: String,
    /// Where mail is asked for; nobody's.
    pub email: String,
    /// The token of a mailed link; of none.
    pub link: String,
    /// Different for every target.
    pub serial: u32,
}

/// Whose things a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// A user's of the tenant `home`.
    Another,
    /// The caller's own, in the caller's own tenant.
    Own,
}

impl Actor {
    pub fn victim(&self) -> &Person {
        &self.victim
    }
}

pub struct Cast {
    pub world: World,
    pub actors: Vec<Actor>,
    pub home: Tenant,
    pub foreign: Tenant,
    roles: [String; 2],
    application: String,
    /// An event and an import of each tenant.
    events: BTreeMap<String, (String, String)>,
    serial: Cell<u32>,
}

/// The first event of a tenant.
pub async fn event(world: &World, tenant: &Tenant) -> String {
    let path = format!("/admin/audit-events?tenant_id={}&sort=created_at&per_page=1", tenant.id);
    world.get(&path).bearer(world.admin().await).send().await.expect(200).ids().remove(0)
}

/// An import of nobody into a tenant, which is not begun.
pub async fn import(world: &World, tenant: &str) -> String {
    let call = world.post(&format!("/tenants/{tenant}/user-imports")).bearer(world.admin().await);
    let answer = call.body("application/x-ndjson", "\n").send().await.expect(202);
    answer.data()["id"].as_str().unwrap().to_owned()
}

impl Cast {
    pub fn new(world: &World) -> LocalBoxFuture<'_, Self> {
        // Boxed, because the tests that wait for it would otherwise be as large as it is.
        Box::pin(Self::make(world))
    }

    async fn make(world: &World) -> Self {
        let home = world.tenant("home").await;
        let sibling = world.tenant_of(&home.partner_id, "sibling").await;
        let (foreign, operators) = (world.tenant("foreign").await, world.tenant("operators").await);
        let mut roles = Vec::new();
        for (name, permission) in [
            ("reading", "sessions:read"),
            ("ending", "sessions:delete"),
            ("shown", "sessions:read"),
            ("spare", "sessions:read"),
        ] {
            roles.push(world.role(&home, name, &[permission]).await);
        }
        let [reading, ending, shown, spare] = <[String; 4]>::try_from(roles).unwrap();
        let in_home = json!({"level": "tenant", "tenant_id": home.id});
        let plain = world.person(&home, "plain").await;
        let reader = world.person(&home, "reader").await;
        world.give(&reader, &reading, in_home.clone()).await;
        let deleter = world.person(&home, "deleter").await;
        world.give(&deleter, &ending, in_home.clone()).await;
        let platform = world.person(&operators, "platform").await;
        world.give(&platform, &world.builtin("super_admin").await, json!({"level": "platform"})).await;
        let suspended = world.tenant_admin(&home, "suspended").await;
        let token = world.login(&suspended).await;
        world.set_status("users", &suspended.id, "SUSPENDED").await;
        let people = [
            ("anonymous", None, &home),
            ("plain", Some(plain), &home),
            ("reader", Some(reader), &home),
            ("deleter", Some(deleter), &home),
            ("tenant", Some(world.tenant_admin(&home, "tenant").await), &home),
            ("partner", Some(world.partner_admin(&sibling, "partner").await), &sibling),
            ("platform", Some(platform), &operators),
            ("suspended", Some(suspended), &home),
            ("sibling", Some(world.tenant_admin(&sibling, "sibling").await), &sibling),
            ("foreign", Some(world.partner_admin(&foreign, "foreign").await), &foreign),
        ];
        let application = world.application(&home, "shown").await;
        let mut actors = Vec::new();
        for (name, person, tenant) in people {
            let victim = world.person(&home, &format!("victim-{name}")).await;
            let assignment = world.give(&victim, &shown, in_home.clone()).await;
            let token = RefCell::new((name == "suspended").then(|| token.clone()));
            actors.push(Actor { name, person, home: tenant.clone(), token, victim, assignment });
        }
        let mut events = BTreeMap::new();
        for tenant in [&home, &sibling, &foreign, &operators] {
            let (event, import) = (event(world, tenant).await, import(world, &tenant.id).await);
            events.insert(tenant.id.clone(), (event, import));
        }
        world.work(gatehouse_domain::job::JobKind::UserImport).await;
        Self {
            world: world.clone(),
            events,
            actors,
            home,
            foreign,
            roles: [shown, spare],
            application,
            serial: Cell::default(),
        }
    }

    /// A token of an actor that still works, unless it is one that never does.
    pub async fn token(&self, actor: &Actor) -> Option<String> {
        let person = actor.person.as_ref()?;
        let held = actor.token.borrow().clone();
        let stands = match &held {
            Some(signed) => actor.name == "suspended" || self.world.me(signed).await == 200,
            None => false,
        };
        if !stands {
            let signed = self.world.login(person).await;
            actor.token.replace(Some(signed));
        }
        actor.token.borrow().as_ref().map(|signed| signed.access.clone())
    }

    pub fn actor(&self, name: &str) -> &Actor {
        self.actors.iter().find(|actor| actor.name == name).unwrap()
    }

    pub fn serial(&self) -> u32 {
        let serial = self.serial.get();
        self.serial.set(serial + 1);
        serial
    }

    /// A target for one call. A session is made only where one is asked for.
    pub async fn target(&self, actor: &Actor, whose: Whose, with_session: bool) -> Target {
        let can_sign_in = actor.person.as_ref().filter(|_| actor.name != "suspended");
        let (person, tenant) = match (whose, can_sign_in) {
            (Whose::Own, Some(person)) => (person, &actor.home),
            _ => (&actor.victim, &self.home),
        };
        let serial = self.serial();
        let mut target = Target {
            tenant: tenant.id.clone(),
            slug: tenant.slug.clone(),
            partner: tenant.partner_id.clone(),
            user: person.id.clone(),
            name: person.name.clone(),
            role: self.roles[0].clone(),
            spare_role: self.roles[1].clone(),
            assignment: actor.assignment.clone(),
            application: self.application.clone(),
            event: self.events[&tenant.id].0.clone(),
            import: self.events[&tenant.id].1.clone(),
            email: format!("m{serial}@example.com"),
            link: "none".to_owned(),
            serial,
            ..Target::default()
        };
        if with_session {
            let signed = self.world.login(person).await;
            (target.session, target.refresh) = (signed.session(), signed.refresh);
        }
        target
    }

    /// What is deleted by one call is not there for the next, and who has no password cannot sign in: each gets its own.
    pub async fn spare(&self, operation: &Operation, target: &mut Target) {
        let name = format!("spare-{}", target.serial);
        match operation.id.as_str() {
            "admin.partners.delete" => target.partner = self.world.tenant(&name).await.partner_id,
            "admin.tenants.delete" => target.tenant = self.world.tenant_of(&self.home.partner_id, &name).await.id,
            "admin.roles.delete" | "tenants.roles.delete" => {
                target.role = self.world.role(&self.home, &name, &["sessions:read"]).await;
            }
            "admin.applications.delete" | "tenants.applications.delete" => {
                target.application = self.world.application(&self.home, &name).await;
            }
            "admin.users.delete"
            | "tenants.users.delete"
            | "admin.users.password_reset.create"
            | "tenants.users.password_reset.create" => {
                target.user = self.world.person(&self.home, &name).await.id;
            }
            _ => {}
        }
    }

    /// Everything that a call could have changed, as the platform sees it.
    pub async fn everything(&self) -> Vec<Value> {
        let mut all = Vec::new();
        for list in ["partners", "tenants", "users", "roles", "role-assignments", "applications"] {
            let path = format!("/admin/{list}?per_page=200");
            let answer = self.world.get(&path).bearer(self.world.admin().await).send().await.expect(200);
            assert_eq!(answer.json()["pagination"]["total_pages"], 1, "{list} no longer fit a page");
            all.push(answer.data());
        }
        // Sessions cannot change but by beginning and ending.
        for active in [true, false] {
            let path = format!("/admin/sessions?per_page=1&active_only={active}");
            let answer = self.world.get(&path).bearer(self.world.admin().await).send().await.expect(200);
            all.push(answer.total().into());
        }
        all
    }
}
