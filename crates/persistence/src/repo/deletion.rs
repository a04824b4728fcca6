//! What goes along when something is deleted, in a few statements however much it is. The event is that of what was
//! deleted; its row is marked first.

use gatehouse_domain::{partner::Partner, role::Role, tenant::Tenant, user::User};
use uuid::Uuid;

use crate::{
    error::Result,
    repo::{Row, sql::Sql},
    scope::WriteScope,
};

/// Rows, by a condition around an id.
#[derive(Clone, Copy)]
struct Rows<'a>(&'a str, Uuid, &'a str);

impl Rows<'_> {
    fn push(self, sql: &mut Sql) {
        sql.push(self.0).bind(self.1).push(self.2);
    }
}

impl WriteScope<'_> {
    /// Takes from a user what makes an account of it: the roles held, the links under way
    /// and the devices that are known.
    ///
    /// # Errors
    /// [`crate::Error::ScopeViolation`] when the user lies outside the scope.
    pub async fn delete_below_user(&self, user: &User) -> Result<()> {
        self.guard(&user.home())?;
        let of_user = Rows("(tenant_id, user_id) IN (SELECT tenant_id, id FROM users WHERE id = ", user.id.uuid(), ")");
        self.mark("role_assignments", of_user).await?;
        self.remove_links_and_devices(of_user).await
    }

    /// Takes a role from all who hold it.
    ///
    /// # Errors
    /// [`crate::Error::ScopeViolation`] when the role lies outside the scope.
    pub async fn delete_below_role(&self, role: &Role) -> Result<()> {
        self.guard(&role.home())?;
        self.mark("role_assignments", Rows("role_id = ", role.id.uuid(), "")).await
    }

    /// Deletes what is in a tenant: users, roles, who holds what there, links under way; withdraws its signing
    /// keys, and ends its imports.
    ///
    /// # Errors
    /// [`crate::Error::ScopeViolation`] when the tenant lies outside the scope.
    pub async fn delete_below_tenant(&self, tenant: &Tenant) -> Result<()> {
        self.guard(&tenant.home())?;
        let owned = Rows("tenant_id = ", tenant.id.uuid(), "");
        self.delete_owned(owned, owned).await?;
        self.mark("role_assignments", Rows("anchor_tenant_id = ", tenant.id.uuid(), "")).await
    }

    /// Deletes the tenants of a partner and what is in them.
    ///
    /// # Errors
    /// [`crate::Error::ScopeViolation`] when the partner lies outside the scope.
    pub async fn delete_below_partner(&self, partner: &Partner) -> Result<()> {
        self.guard(&partner.home())?;
        let (id, tenants) = (partner.id.uuid(), "SELECT id FROM tenants WHERE partner_id = ");
        let owned = Rows("partner_id = ", id, "");
        self.suspend_and_mark("tenants", owned).await?;
        self.delete_owned(owned, Rows(&format!("tenant_id IN ({tenants}"), id, ")")).await?;
        self.mark("role_assignments", Rows("anchor_partner_id = ", id, "")).await?;
        self.mark("role_assignments", Rows(&format!("anchor_tenant_id IN ({tenants}"), id, ")")).await
    }

    /// Removes what [`User::erase`] does not reach: the password, and where the user's sessions came from.
    ///
    /// # Errors
    /// [`crate::Error::ScopeViolation`] when the user lies outside the scope.
    pub async fn erase_below_user(&self, user: &User) -> Result<()> {
        self.guard(&user.home())?;
        let account = "UPDATE users SET password_hash = NULL, password_hash_cost = NULL, password_changed_at = NULL, \
                       last_login_at = NULL WHERE ";
        self.run(Sql::new(account), Rows("id = ", user.id.uuid(), "")).await?;
        let mut sessions = Sql::new("UPDATE sessions SET ip_address = NULL, user_agent = NULL, device_name = NULL, ");
        sessions.push("location = NULL WHERE tenant_id = ").bind(user.tenant_id.uuid()).push(" AND ");
        self.run(sessions, Rows("user_id = ", user.id.uuid(), "")).await
    }

    async fn delete_owned(&self, owned: Rows<'_>, of_tenants: Rows<'_>) -> Result<()> {
        self.suspend_and_mark("users", owned).await?;
        self.mark("roles", owned).await?;
        self.mark("role_assignments", owned).await?;
        let mut keys = Sql::new("UPDATE signing_keys SET state = 'withdrawn', version = version + 1, withdrawn_at = ");
        keys.bind(self.tx.now().micros()).push(" WHERE state <> 'withdrawn' AND ");
        self.run(keys, of_tenants).await?;
        let now = self.tx.now().micros();
        let mut imports = Sql::new("UPDATE user_imports SET state = 'cancelled', version = version + 1, updated_at = ");
        imports.bind(now).push(", forget_at = ").bind(now).push(" WHERE state IN ('queued', 'running') AND ");
        self.run(imports, of_tenants).await?;
        self.remove_links_and_devices(of_tenants).await
    }

    async fn remove_links_and_devices(&self, rows: Rows<'_>) -> Result<()> {
        self.run(Sql::new("DELETE FROM user_tokens WHERE "), rows).await?;
        self.run(Sql::new("DELETE FROM known_devices WHERE "), rows).await
    }

    async fn suspend_and_mark(&self, table: &str, rows: Rows<'_>) -> Result<()> {
        self.mark_and(table, "status = 'SUSPENDED', ", rows).await
    }

    async fn mark(&self, table: &str, rows: Rows<'_>) -> Result<()> {
        self.mark_and(table, "", rows).await
    }

    async fn mark_and(&self, table: &str, more: &str, rows: Rows<'_>) -> Result<()> {
        let now = self.tx.now().micros();
        let mut sql = Sql::new("UPDATE ");
        sql.push(table).push(" SET ").push(more).push("version = version + 1, updated_at = ").bind(now);
        sql.push(", deleted_at = ").bind(now).push(" WHERE deleted_at IS NULL AND ");
        self.run(sql, rows).await
    }

    async fn run(&self, mut sql: Sql, rows: Rows<'_>) -> Result<()> {
        rows.push(&mut sql);
        sql.exec(self.tx.writing()).await.map(drop)
    }
}
