//! Every way in which a session is ended by somebody.

use serde_json::{Value, json};

use super::{Answer, PASSWORD, Person, Signed, Tenant, World};

/// A way to end a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Logout,
    OwnDelete,
    OwnDeleteOfTheCurrent,
    OwnRevokeAll,
    PasswordChange,
    TenantDelete,
    TenantUserNamed,
    TenantUserAll,
    TenantRevokeAll,
    AdminDelete,
    AdminRevokeUser,
    AdminRevokeTenant,
    SuspendUser,
    SuspendTenant,
    SuspendPartner,
    ReuseDetected,
    DeleteUser,
    DeleteTenant,
    DeletePartner,
}

impl Ending {
    pub const ALL: [Self; 19] = [
        Self::Logout,
        Self::OwnDelete,
        Self::OwnDeleteOfTheCurrent,
        Self::OwnRevokeAll,
        Self::PasswordChange,
        Self::TenantDelete,
        Self::TenantUserNamed,
        Self::TenantUserAll,
        Self::TenantRevokeAll,
        Self::AdminDelete,
        Self::AdminRevokeUser,
        Self::AdminRevokeTenant,
        Self::SuspendUser,
        Self::SuspendTenant,
        Self::SuspendPartner,
        Self::ReuseDetected,
        Self::DeleteUser,
        Self::DeleteTenant,
        Self::DeletePartner,
    ];

    /// What the session says about its end.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Logout | Self::OwnDeleteOfTheCurrent => "logout",
            Self::OwnDelete => "user",
            Self::OwnRevokeAll | Self::TenantUserAll | Self::TenantRevokeAll => "revoke_all",
            Self::AdminRevokeUser | Self::AdminRevokeTenant => "revoke_all",
            Self::PasswordChange => "password_change",
            Self::TenantDelete | Self::TenantUserNamed | Self::AdminDelete => "admin",
            Self::SuspendUser | Self::SuspendTenant | Self::SuspendPartner => "suspended",
            Self::ReuseDetected => "reuse_detected",
            Self::DeleteUser | Self::DeleteTenant | Self::DeletePartner => "deleted",
        }
    }
}

/// A tenant with a user, somebody who administers it, and one session of the user that is about to end.
pub struct Victim {
    pub tenant: Tenant,
    pub user: Person,
    /// Who administers the tenant from within; ends with the tenant's sessions.
    pub manager: Person,
    /// Changes with every change of password.
    password: String,
}

/// A session with what is needed to end it.
pub struct Doomed {
    pub signed: Signed,
    /// A refresh token of the session that was spent two exchanges ago.
    pub stolen: String,
    /// Who ends it: another session of the same user, or of whoever administers the tenant.
    pub by: Option<Signed>,
}

impl Doomed {
    /// Who ends it, where that is somebody signed in to the tenant.
    pub fn by(&self) -> &Signed {
        self.by.as_ref().unwrap()
    }
}

impl Victim {
    pub async fn new(world: &World, slug: &str) -> Self {
        let tenant = world.tenant(slug).await;
        let user = world.person(&tenant, "ada").await;
        let manager = world.tenant_admin(&tenant, "max").await;
        Self { tenant, user, manager, password: PASSWORD.to_owned() }
    }

    pub async fn sign_in(&self, world: &World) -> Signed {
        Signed::of(&world.try_login(&self.tenant.slug, "ada", &self.password).await.expect(200))
    }

    /// From an address that was not used for it before: each may fail so often only.
    pub async fn try_sign_in(&self, world: &World, round: u64) -> Answer {
        let path = format!("/auth/tenants/{}/login", self.tenant.slug);
        let form = [("username", "ada"), ("password", self.password.as_str())];
        let from = std::net::Ipv4Addr::new(198, 51, 100, u8::try_from(round % 256).unwrap());
        world.post(&path).from(from).form(&form).send().await
    }

    /// Signs in everybody that an ending needs.
    pub async fn doom(&self, world: &World, ending: Ending) -> Doomed {
        let mut signed = self.sign_in(world).await;
        let stolen = signed.refresh.clone();
        if ending == Ending::ReuseDetected {
            for _ in 0..2 {
                signed = Signed::of(&world.refresh(&self.tenant.slug, &signed.refresh).await.expect(200));
            }
        }
        let by = match ending {
            Ending::OwnDelete | Ending::OwnRevokeAll | Ending::PasswordChange => Some(self.sign_in(world).await),
            Ending::TenantDelete | Ending::TenantUserNamed | Ending::TenantUserAll | Ending::TenantRevokeAll => {
                Some(world.login(&self.manager).await)
            }
            _ => None,
        };
        Doomed { signed, stolen, by }
    }

    /// Ends the session.
    pub async fn end(&self, world: &World, ending: Ending, doomed: &Doomed) -> Answer {
        let (session, user) = (doomed.signed.session(), &self.user.id);
        let tenant = &self.tenant;
        let admin = world.admin().await;
        let post = |path: String, who: &Signed, body: Value| world.post(&path).bearer(who).json(body).send();
        let suspend = |what: &str, id: &str| {
            world.patch(&format!("/admin/{what}/{id}")).bearer(&admin).json(json!({"status": "SUSPENDED"})).send()
        };
        let delete = |what: &str, id: &str| world.delete(&format!("/admin/{what}/{id}")).bearer(&admin).send();
        let sessions = format!("/tenants/{}/sessions", tenant.id);
        match ending {
            Ending::Logout => world.logout(&tenant.slug, &doomed.signed.refresh).await.expect(200),
            Ending::OwnDelete => {
                let path = format!("/me/sessions/{session}");
                world.delete(&path).bearer(doomed.by()).send().await.expect(200)
            }
            Ending::OwnDeleteOfTheCurrent => {
                let path = format!("/me/sessions/{session}");
                world.delete(&path).bearer(&doomed.signed).send().await.expect(200)
            }
            Ending::OwnRevokeAll => world.post("/me/sessions/revoke-all").bearer(doomed.by()).send().await.expect(200),
            Ending::PasswordChange => {
                let body = json!({"current_password": self.password, "new_password": self.next_password()});
                post("/me/password".to_owned(), doomed.by(), body).await.expect(204)
            }
            Ending::TenantDelete => {
                world.delete(&format!("{sessions}/{session}")).bearer(doomed.by()).send().await.expect(204)
            }
            Ending::TenantUserNamed => {
                let path = format!("{sessions}/users/{user}/revoke");
                post(path, doomed.by(), json!({"session_ids": [session]})).await.expect(200)
            }
            Ending::TenantUserAll => {
                let path = format!("{sessions}/users/{user}/revoke");
                post(path, doomed.by(), json!({"revoke_all": true})).await.expect(200)
            }
            Ending::TenantRevokeAll => {
                world.post(&format!("{sessions}/revoke-all")).bearer(doomed.by()).send().await.expect(200)
            }
            Ending::AdminDelete => {
                world.delete(&format!("/admin/sessions/{session}")).bearer(&admin).send().await.expect(204)
            }
            Ending::AdminRevokeUser => {
                post("/admin/sessions/revoke-all".to_owned(), &admin, json!({"user_id": user})).await.expect(200)
            }
            Ending::AdminRevokeTenant => {
                let body = json!({"tenant_id": tenant.id});
                post("/admin/sessions/revoke-all".to_owned(), &admin, body).await.expect(200)
            }
            Ending::SuspendUser => suspend("users", user).await.expect(200),
            Ending::SuspendTenant => suspend("tenants", &tenant.id).await.expect(200),
            Ending::SuspendPartner => suspend("partners", &tenant.partner_id).await.expect(200),
            Ending::DeleteUser => delete("users", user).await.expect(204),
            Ending::DeleteTenant => delete("tenants", &tenant.id).await.expect(204),
            Ending::DeletePartner => delete("partners", &tenant.partner_id).await.expect(204),
            // The thief learns that it was noticed.
            Ending::ReuseDetected => world.refresh(&tenant.slug, &doomed.stolen).await.problem(401, "session_revoked"),
        }
    }

    fn next_password(&self) -> String {
        if self.password == PASSWORD { PASSWORD.replace("42", "43") } else { PASSWORD.to_owned() }
    }

    /// Makes it possible to sign in again; what was deleted is made anew under its name.
    pub async fn recover(&mut self, world: &World, ending: Ending) {
        match ending {
            Ending::PasswordChange => self.password = self.next_password(),
            Ending::SuspendUser => world.set_status("users", &self.user.id, "ACTIVE").await,
            Ending::SuspendTenant => world.set_status("tenants", &self.tenant.id, "ACTIVE").await,
            Ending::SuspendPartner => world.set_status("partners", &self.tenant.partner_id, "ACTIVE").await,
            Ending::DeleteTenant => {
                self.tenant = world.tenant_of(&self.tenant.partner_id, &self.tenant.slug).await;
            }
            Ending::DeletePartner => self.tenant = world.tenant(&self.tenant.slug).await,
            _ => {}
        }
        if ending.reason() == "deleted" {
            self.user = world.person(&self.tenant, "ada").await;
            PASSWORD.clone_into(&mut self.password);
        }
    }
}
