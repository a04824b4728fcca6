//! Whether a reader is shown who acted: one rule, for statements by hand and for those that are built.

use gatehouse_domain::authz::ActorsShown;
use sea_orm::{
    ColumnTrait, Condition, ExprTrait, IntoSimpleExpr,
    sea_query::{Expr, Query, SelectStatement},
};

use crate::{
    entity::user::{Column, Entity},
    repo::sql::Sql,
    scope::Scope,
};

impl Scope<'_> {
    /// Whether the reader is shown everybody, so that there is nothing to ask for.
    pub(crate) const fn shows_everybody(&self) -> bool {
        matches!(self.shown, ActorsShown::All)
    }

    /// Appends a table and a predicate: the user that a column names, where the reader is shown that it acted in the
    /// tenant that another one names. It comes behind a `SELECT`.
    pub(crate) fn push_shown(&self, sql: &mut Sql, actor: &str, tenant: &str) {
        sql.push(" FROM users o WHERE o.id = ").push(actor);
        let ActorsShown::OfPartners(partners) = &self.shown else { return };
        sql.push(" AND (o.tenant_id = ").push(tenant);
        if !partners.is_empty() {
            sql.push(" OR o.partner_id").one_of(partners.iter().map(|id| id.uuid()));
        }
        sql.push(")");
    }

    /// The same, built.
    pub(crate) fn shown(&self, actor: impl IntoSimpleExpr, tenant: impl IntoSimpleExpr) -> SelectStatement {
        let mut user = Query::select();
        user.expr(Expr::val(1)).from(Entity);
        user.and_where(Column::Id.into_simple_expr().eq(actor.into_simple_expr()));
        if let ActorsShown::OfPartners(partners) = &self.shown {
            let at_home = Column::TenantId.into_simple_expr().eq(tenant.into_simple_expr());
            let below = Column::PartnerId.is_in(partners.iter().map(|id| id.uuid()));
            user.cond_where(Condition::any().add(at_home).add(below));
        }
        user
    }
}
