//! Partners, tenants and people, made as their administrators would make them.

use gatehouse_server::config::FirstAdmin;
use serde_json::{Value, json};

use super::{Answer, PASSWORD, World, claims};
use gatehouse_domain::{
    authz::TenantRef,
    id::{PartnerId, TenantId},
    issue::Parse,
    key::Issuer,
    password::Password,
    text::{Email, Username},
};

/// A tenant.
#[derive(Debug, Clone)]
pub struct Tenant {
    pub id: String,
    pub slug: String,
    pub partner_id: String,
}

impl Tenant {
    /// Its place among issuers.
    pub fn issuer(&self) -> Issuer {
        let (id, partner_id) = (TenantId::parse(&self.id).unwrap(), PartnerId::parse(&self.partner_id).unwrap());
        Issuer::Tenant(TenantRef { id, partner_id })
    }
}

/// A user with the password of all tests.
#[derive(Debug, Clone)]
pub struct Person {
    pub id: String,
    pub name: String,
    pub slug: String,
}

/// Somebody who has signed in.
#[derive(Debug, Clone)]
pub struct Signed {
    pub access: String,
    pub refresh: String,
}

impl AsRef<str> for Signed {
    fn as_ref(&self) -> &str {
        &self.access
    }
}

impl Signed {
    pub fn of(answer: &Answer) -> Self {
        let pair = answer.json();
        let text = |name: &str| pair[name].as_str().unwrap().to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token") }
    }

    /// The session.
    pub fn session(&self) -> String {
        self.claim("sid")
    }

    /// The user.
    pub fn user(&self) -> String {
        self.claim("sub")
    }

    pub fn claim(&self, name: &str) -> String {
        claims(&self.access)[name].as_str().unwrap().to_owned()
    }
}

pub fn id_of(answer: &Answer) -> String {
    answer.data()["id"].as_str().unwrap().to_owned()
}

impl World {
    /// The first administrator of the platform, signed in.
    pub async fn admin(&self) -> Signed {
        if let Some(admin) = self.admin.get() {
            return admin.clone();
        }
        if !self.app.setup().is_done().await.unwrap() {
            let admin = FirstAdmin {
                email: Email::parse("root@example.com").unwrap(),
                username: Username::parse("root").unwrap(),
                password: Password::parse(PASSWORD).unwrap(),
            };
            self.app.setup().complete_unattended(&admin).await.unwrap();
        }
        let admin = self.sign_in("default", "root").await;
        self.admin.set(admin.clone()).unwrap();
        admin
    }

    /// The same administrator in a new session: the old one is short-lived.
    pub async fn fresh_admin(&self) -> Signed {
        self.admin().await;
        self.sign_in("default", "root").await
    }

    pub async fn partner(&self, slug: &str) -> String {
        let body = json!({"name": slug, "slug": slug});
        id_of(&self.post("/admin/partners").bearer(self.admin().await).json(body).send().await.expect(201))
    }

    /// A tenant of a partner of its own, open for registration.
    pub async fn tenant(&self, slug: &str) -> Tenant {
        let partner = self.partner(slug).await;
        self.tenant_of(&partner, slug).await
    }

    pub async fn tenant_of(&self, partner_id: &str, slug: &str) -> Tenant {
        self.make_tenant(partner_id, slug, json!({})).await
    }

    /// A tenant of a partner of its own, open for registration, that decides something from the start.
    pub async fn tenant_with(&self, slug: &str, settings: Value) -> Tenant {
        let partner = self.partner(slug).await;
        self.make_tenant(&partner, slug, settings).await
    }

    async fn make_tenant(&self, partner_id: &str, slug: &str, mut settings: Value) -> Tenant {
        settings["registration"] = json!("open");
        let body = json!({"name": slug, "slug": slug, "partner_id": partner_id, "settings": settings});
        let answer = self.post("/admin/tenants").bearer(self.admin().await).json(body).send().await.expect(201);
        Tenant { id: id_of(&answer), slug: slug.to_owned(), partner_id: partner_id.to_owned() }
    }

    /// Changes a tenant's settings.
    pub async fn settings(&self, tenant: &Tenant, settings: Value) {
        let path = format!("/admin/tenants/{}", tenant.id);
        self.patch(&path).bearer(self.admin().await).json(json!({"settings": settings})).send().await.expect(200);
    }

    /// Suspends or activates a partner, tenant or user: `("users", id, "SUSPENDED")`.
    pub async fn set_status(&self, what: &str, id: &str, status: &str) {
        let path = format!("/admin/{what}/{id}");
        self.patch(&path).bearer(self.admin().await).json(json!({"status": status})).send().await.expect(200);
    }

    pub async fn person(&self, tenant: &Tenant, name: &str) -> Person {
        let serial = self.people.get();
        self.people.set(serial + 1);
        let body = json!({"username": name, "email": format!("{name}@{}.example", tenant.slug), "password": PASSWORD});
        let path = format!("/auth/tenants/{}/register", tenant.slug);
        let [_, b, c, d] = serial.to_be_bytes();
        let answer = self.post(&path).from([10, b, c, d]).json(body).send().await.expect(201);
        Person { id: id_of(&answer), name: name.to_owned(), slug: tenant.slug.clone() }
    }

    /// A custom role.
    pub async fn role(&self, tenant: &Tenant, name: &str, permissions: &[&str]) -> String {
        let body = json!({"name": name, "tenant_id": tenant.id, "permissions": permissions});
        id_of(&self.post("/admin/roles").bearer(self.admin().await).json(body).send().await.expect(201))
    }

    /// An application of a tenant.
    pub async fn application(&self, tenant: &Tenant, name: &str) -> String {
        let body = json!({"name": name, "application_type": "SERVICE", "tenant_id": tenant.id});
        id_of(&self.post("/admin/applications").bearer(self.admin().await).json(body).send().await.expect(201))
    }

    /// The id of a built-in role.
    pub async fn builtin(&self, name: &str) -> String {
        let path = format!("/admin/roles?name={name}");
        self.get(&path).bearer(self.admin().await).send().await.expect(200).ids().remove(0)
    }

    /// Gives a role; returns the assignment.
    pub async fn give(&self, person: &Person, role_id: &str, anchor: Value) -> String {
        let body = json!({"user_id": person.id, "role_id": role_id, "anchor": anchor});
        id_of(&self.post("/admin/role-assignments").bearer(self.admin().await).json(body).send().await.expect(201))
    }

    /// Somebody who administers a tenant.
    pub async fn tenant_admin(&self, tenant: &Tenant, name: &str) -> Person {
        let person = self.person(tenant, name).await;
        let role = self.builtin("tenant_admin").await;
        self.give(&person, &role, json!({"level": "tenant", "tenant_id": tenant.id})).await;
        person
    }

    /// Somebody who administers a partner.
    pub async fn partner_admin(&self, tenant: &Tenant, name: &str) -> Person {
        let person = self.person(tenant, name).await;
        let role = self.builtin("partner_admin").await;
        self.give(&person, &role, json!({"level": "partner", "partner_id": tenant.partner_id})).await;
        person
    }

    /// Signs a person in.
    pub async fn login(&self, person: &Person) -> Signed {
        self.sign_in(&person.slug, &person.name).await
    }

    async fn sign_in(&self, slug: &str, name: &str) -> Signed {
        Signed::of(&self.try_login(slug, name, PASSWORD).await.expect(200))
    }

    pub async fn try_login(&self, slug: &str, name: &str, password: &str) -> Answer {
        let path = format!("/auth/tenants/{slug}/login");
        self.post(&path).form(&[("username", name), ("password", password)]).send().await
    }

    pub async fn refresh(&self, slug: &str, token: &str) -> Answer {
        let path = format!("/auth/tenants/{slug}/refresh");
        self.post(&path).json(json!({"refresh_token": token})).send().await
    }

    pub async fn logout(&self, slug: &str, token: &str) -> Answer {
        let path = format!("/auth/tenants/{slug}/logout");
        self.post(&path).json(json!({"refresh_token": token})).send().await
    }

    /// The status of `GET /me` with this access token.
    pub async fn me(&self, token: impl AsRef<str>) -> u16 {
        self.get("/me").bearer(token).send().await.status
    }
}
