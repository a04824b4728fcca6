//! Users with their passwords, by the hundred: as they come from another system, and as they go to one.

use gatehouse_domain::{
    authz::{By, TenantRef},
    id::UserId,
    secret::PasswordHash,
    time::Timestamp,
    user::{User, UserCredentials, exported},
};
use sea_orm::{
    ColumnTrait, Condition, ExprTrait, IntoSimpleExpr, QueryFilter, QueryOrder, QuerySelect, Set, sea_query::Expr,
};
use uuid::Uuid;

use crate::{
    entity::user::{ActiveModel, Column, Entity, Model},
    error::Result,
    repo::{
        Home, Row, Versioned,
        term::Terms,
        user::{domain, password_hash},
    },
    scope::{Scope, WriteScope},
};

fn portable(mut row: Model) -> Result<UserCredentials> {
    Ok(UserCredentials { hash: password_hash(&mut row), user: domain(row)? })
}

fn with_hash(value: &UserCredentials, row: ActiveModel) -> ActiveModel {
    ActiveModel {
        password_hash: Set(value.hash.as_ref().map(|hash| hash.as_str().to_owned())),
        password_hash_cost: Set(value.hash.as_ref().and_then(PasswordHash::cost).map(i64::from)),
        ..row
    }
}

impl Row for UserCredentials {
    type Entity = Entity;
    type Active = ActiveModel;

    fn home(&self) -> Home {
        self.user.home()
    }

    fn terms(&self) -> Option<Terms> {
        Row::terms(&self.user)
    }

    fn uuid(&self) -> Uuid {
        self.user.uuid()
    }

    fn insertable(&self) -> Result<ActiveModel> {
        let changed = self.hash.as_ref().map(|_| self.user.updated_at.micros());
        Ok(ActiveModel { password_changed_at: Set(changed), ..with_hash(self, self.user.insertable()?) })
    }
}

impl Versioned for UserCredentials {
    fn version(&mut self) -> &mut i64 {
        &mut self.user.version
    }

    fn updatable(&self) -> Result<ActiveModel> {
        Ok(with_hash(self, self.user.updatable()?))
    }
}

impl Scope<'_> {
    /// One user with the password.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn portable_user(&self, id: UserId) -> Result<Option<UserCredentials>> {
        self.select::<Entity>().filter(Column::Id.eq(id.uuid())).one(&self.exec).await?.map(portable).transpose()
    }

    /// The users of a tenant with their passwords, in the order in which they came, behind one, up to an instant.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn user_feed(
        &self,
        tenant: TenantRef,
        after: Option<&User>,
        until: Timestamp,
        limit: u64,
    ) -> Result<Vec<UserCredentials>> {
        let users = self.select::<Entity>().filter(Column::TenantId.eq(tenant.id.uuid()));
        let users = users.filter(Column::CreatedAt.lte(until.micros()));
        let behind = after.map(|user| {
            let last = Expr::tuple([Expr::value(user.created_at.micros()), Expr::value(user.id.uuid())]);
            Expr::tuple([Column::CreatedAt.into_simple_expr(), Column::Id.into_simple_expr()]).gt(last)
        });
        let users = users.filter(Condition::all().add_option(behind)).order_by_asc(Column::CreatedAt);
        let rows = users.order_by_asc(Column::Id).limit(limit).all(&self.exec).await?;
        rows.into_iter().map(portable).collect()
    }
}

impl WriteScope<'_> {
    /// Stores the event of the users of a tenant being read out.
    ///
    /// # Errors
    /// [`crate::Error::ScopeViolation`] when the tenant lies outside the scope.
    pub async fn note_export(&self, tenant: TenantRef, with_password_hashes: bool, by: By) -> Result<()> {
        self.guard(&Home { partner: tenant.partner_id, tenant: Some(tenant.id), user: None })?;
        self.tx.record(exported(tenant, with_password_hashes, by)).await
    }
}
