//! What is used below its owner: applications of the platform are seen by everybody, those of a partner in its tenants.

use gatehouse_domain::{authz::Reach, id::PartnerId};
use sea_orm::{ColumnTrait, Condition, EntityTrait, ExprTrait, QueryFilter, Select, sea_query::Expr};
use uuid::Uuid;

use crate::{
    entity::application::{Column, Entity},
    scope::Scope,
};

/// What stands for the platform where an owner is named.
pub(crate) const PLATFORM: Uuid = Uuid::nil();

impl Scope<'_> {
    /// The applications within, and those above that can be used there, unless they are deleted.
    #[expect(clippy::disallowed_methods, reason = "the one place that adds what is seen from below")]
    pub(crate) fn select_applications(&self) -> Select<Entity> {
        let seen = match &self.reach {
            Reach::Platform => Condition::all(),
            // The partner of what the platform owns is the platform.
            Reach::Partners(ids) => {
                let owners = ids.iter().map(|id| PartnerId::uuid(*id)).chain([PLATFORM]);
                Condition::all().add(Column::PartnerId.is_in(owners))
            }
            Reach::Tenant(tenant) => {
                let owners = [tenant.id.uuid(), tenant.partner_id.uuid(), PLATFORM];
                Condition::all().add(Column::OwnerId.is_in(owners))
            }
            Reach::Own(..) => Condition::all().add(Expr::val(1).eq(0)),
        };
        Entity::find().filter(seen).filter(Column::DeletedAt.is_null())
    }
}
