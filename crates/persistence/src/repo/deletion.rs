//! What goes along when something is deleted, in a few statements however much it is. The event is that of what was
//! deleted; its row is marked first. What belongs to it may lie outside of the scope: who was given a role in a tenant may
//! be a user of another one.

use gatehouse_domain::{
    id::{PartnerId, RoleId, TenantId, UserId},
    import::ImportState,
    key::KeyState,
    partner::{Partner, Status},
    role::Role,
    tenant::Tenant,
    user::{User, UserStatus},
};
use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QuerySelect, QueryTrait, Set, UpdateMany,
    sea_query::{Expr, LockType},
};
use uuid::Uuid;

use crate::{
    entity::{
        application, application_resource, assignment, consent, idempotency_key, job, known_device, role, session,
        signing_key, tenant, user, user_import, user_token,
    },
    error::Result,
    repo::{Home, Row},
    scope::{Owned, WriteScope},
};

/// The condition that a column has a value, on whatever table has such a column.
fn of(column: &'static str, id: Uuid) -> Expr {
    Expr::col(column).eq(id)
}

impl WriteScope<'_> {
    /// One partner, locked so that something can be made below it.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn partner_locked(&self, id: PartnerId) -> Result<Option<Partner>> {
        self.locked(id.uuid(), LockType::Share).await
    }

    /// One tenant, locked so that something can be made below it.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn tenant_locked(&self, id: TenantId) -> Result<Option<Tenant>> {
        self.locked(id.uuid(), LockType::Share).await
    }

    /// One role, locked so that it can be given.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn role_locked(&self, id: RoleId) -> Result<Option<Role>> {
        self.locked(id.uuid(), LockType::Share).await
    }

    /// One user, locked so that something can be made below it. As deleting a partner or a tenant takes along its users
    /// first, these stay as well.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn user_locked(&self, id: UserId) -> Result<Option<User>> {
        self.locked(id.uuid(), LockType::NoKeyUpdate).await
    }

    /// Takes from a user what makes an account of it: the roles held, the links under way
    /// and the devices that are known.
    ///
    /// # Errors
    /// [`crate::Error::ScopeViolation`] when the user lies outside the scope.
    pub async fn delete_below_user(&self, user: &User) -> Result<()> {
        let of_user = of("tenant_id", user.tenant_id.uuid()).and(of("user_id", user.id.uuid()));
        self.mark::<assignment::Entity>(&user.home(), of_user.clone()).await?;
        self.remove_links_and_devices(&user.home(), of_user).await
    }

    /// Takes a role from all who hold it.
    ///
    /// # Errors
    /// [`crate::Error::ScopeViolation`] when the role lies outside the scope.
    pub async fn delete_below_role(&self, role: &Role) -> Result<()> {
        self.mark::<assignment::Entity>(&role.home(), of("role_id", role.id.uuid())).await
    }

    /// Deletes what is in a tenant: users, roles, applications, who holds what there, links under way; withdraws its
    /// signing keys, and ends its imports.
    ///
    /// # Errors
    /// [`crate::Error::ScopeViolation`] when the tenant lies outside the scope.
    pub async fn delete_below_tenant(&self, tenant: &Tenant) -> Result<()> {
        let (home, owned) = (tenant.home(), of("tenant_id", tenant.id.uuid()));
        self.delete_owned(&home, owned.clone(), owned).await?;
        self.forget_resources(&home, of("owner_id", tenant.id.uuid())).await?;
        self.mark::<assignment::Entity>(&home, of("anchor_tenant_id", tenant.id.uuid())).await
    }

    /// Deletes the tenants of a partner and what is in them.
    ///
    /// # Errors
    /// [`crate::Error::ScopeViolation`] when the partner lies outside the scope.
    pub async fn delete_below_partner(&self, partner: &Partner) -> Result<()> {
        let (home, id) = (partner.home(), partner.id.uuid());
        let tenants = self.table_of::<tenant::Entity>(&home)?.select().filter(tenant::Column::PartnerId.eq(id));
        let tenants = tenants.select_only().column(tenant::Column::Id).into_query();
        let in_tenants = |column: &'static str| Expr::col(column).in_subquery(tenants.clone());
        let owned = of("partner_id", id);
        let suspended = tenant::ActiveModel { status: Set(Status::Suspended.to_string()), ..Default::default() };
        self.mark_and::<tenant::Entity>(&home, owned.clone(), |rows| rows.set(suspended)).await?;
        self.delete_owned(&home, owned, in_tenants("tenant_id")).await?;
        self.forget_resources(&home, of("owner_id", id)).await?;
        self.forget_resources(&home, in_tenants("owner_id")).await?;
        self.mark::<assignment::Entity>(&home, of("anchor_partner_id", id)).await?;
        self.mark::<assignment::Entity>(&home, in_tenants("anchor_tenant_id")).await
    }

    /// Removes what [`User::erase`] does not reach: the password, where the user's sessions came from, mail that waits,
    /// and answers that are kept.
    ///
    /// # Errors
    /// [`crate::Error::ScopeViolation`] when the user lies outside the scope.
    pub async fn erase_below_user(&self, user: &User) -> Result<()> {
        let (home, db) = (user.home(), self.tx.writing());
        let account = user::ActiveModel {
            password_hash: Set(None),
            password_hash_cost: Set(None),
            password_changed_at: Set(None),
            last_login_at: Set(None),
            ..Default::default()
        };
        let one = self.table_of::<user::Entity>(&home)?.update().filter(user::Column::Id.eq(user.id.uuid()));
        one.set(account).exec(&db).await?;
        let origin = session::ActiveModel {
            ip_address: Set(None),
            user_agent: Set(None),
            device_name: Set(None),
            location: Set(None),
            ..Default::default()
        };
        let theirs = of("tenant_id", user.tenant_id.uuid()).and(of("user_id", user.id.uuid()));
        self.table_of::<session::Entity>(&home)?.update().filter(theirs.clone()).set(origin).exec(&db).await?;
        self.table_of::<job::Entity>(&home)?.delete().filter(theirs.clone()).exec(&db).await?;
        self.table_of::<idempotency_key::Entity>(&home)?.delete().filter(theirs.clone()).exec(&db).await?;
        self.table_of::<consent::Entity>(&home)?.delete().filter(theirs).exec(&db).await?;
        Ok(())
    }

    async fn delete_owned(&self, home: &Home, owned: Expr, of_tenants: Expr) -> Result<()> {
        let (now, db) = (self.tx.now().micros(), self.tx.writing());
        let suspended = user::ActiveModel { status: Set(UserStatus::Suspended.to_string()), ..Default::default() };
        self.mark_and::<user::Entity>(home, owned.clone(), |rows| rows.set(suspended)).await?;
        self.mark::<role::Entity>(home, owned.clone()).await?;
        self.mark::<application::Entity>(home, owned.clone()).await?;
        self.mark::<assignment::Entity>(home, owned).await?;
        let withdrawn = signing_key::ActiveModel {
            state: Set(KeyState::Withdrawn.to_string()),
            withdrawn_at: Set(Some(now)),
            ..Default::default()
        };
        let keys = self.table_of::<signing_key::Entity>(home)?.update().set(withdrawn);
        let keys = keys.filter(signing_key::Column::State.ne(KeyState::Withdrawn.as_str())).filter(of_tenants.clone());
        again(keys).exec(&db).await?;
        let cancelled = user_import::ActiveModel {
            state: Set(ImportState::Cancelled.to_string()),
            updated_at: Set(now),
            forget_at: Set(Some(now)),
            ..Default::default()
        };
        let imports = self.table_of::<user_import::Entity>(home)?.update().set(cancelled);
        let under_way =
            user_import::Column::State.is_in([ImportState::Queued, ImportState::Running].map(ImportState::as_str));
        again(imports).filter(under_way).filter(of_tenants.clone()).exec(&db).await?;
        self.remove_links_and_devices(home, of_tenants).await
    }

    async fn forget_resources(&self, home: &Home, rows: Expr) -> Result<()> {
        self.table_of::<application_resource::Entity>(home)?.delete().filter(rows).exec(&self.tx.writing()).await?;
        Ok(())
    }

    async fn remove_links_and_devices(&self, home: &Home, rows: Expr) -> Result<()> {
        let db = self.tx.writing();
        self.table_of::<user_token::Entity>(home)?.delete().filter(rows.clone()).exec(&db).await?;
        self.table_of::<known_device::Entity>(home)?.delete().filter(rows).exec(&db).await?;
        Ok(())
    }

    async fn mark<E: Owned>(&self, home: &Home, rows: Expr) -> Result<()> {
        self.mark_and::<E>(home, rows, |update| update).await
    }

    /// Marks rows as deleted, and changes what else changes with that.
    async fn mark_and<E: Owned>(
        &self,
        home: &Home,
        rows: Expr,
        more: impl FnOnce(UpdateMany<E>) -> UpdateMany<E>,
    ) -> Result<()> {
        let now = self.tx.now().micros();
        let update = again(more(self.table_of::<E>(home)?.update()));
        let update = update.col_expr("updated_at", Expr::value(now)).col_expr("deleted_at", Expr::value(now));
        update.filter(Expr::col("deleted_at").is_null()).filter(rows).exec(&self.tx.writing()).await?;
        Ok(())
    }
}

/// Counts the change of a row.
fn again<E: EntityTrait>(update: UpdateMany<E>) -> UpdateMany<E> {
    update.col_expr("version", Expr::col("version").add(1))
}
