//! What is deleted gives nothing any more, whoever was faster.

use gatehouse_domain::{
    authz::{PermissionSet, ReadUsers},
    id::{AssignmentId, RoleId},
    issue::Parse,
    role::{Anchor, AnyRole, Assignment, NewAssignment, Role},
    text::Name,
};
use gatehouse_persistence::db_tests;

use crate::fixture::*;

db_tests! {
    async fn role_that_is_given_while_it_is_deleted_is_held_by_nobody(db) {
        let tenant = tenant(&db, &partner(&db, "p").await, "t").await;
        let ada = user(&db, &tenant, "ada").await;
        let (at, user, id) = (tenant.reference(), ada.id, RoleId::from_parts(NOW.unix_millis(), bytes()));
        write(&db, NOW, async move |tx| {
            let system = tx.system(SYSTEM);
            let role = Role::create(id, at, Name::parse("clerk").unwrap(), PermissionSet::all(), &caller(), NOW).unwrap();
            let role = system.insert(role).await?;
            let role = system.update(role.delete(&caller(), NOW).unwrap()).await?;
            system.delete_below_role(&role).await?;
            // Whoever gave it had looked before that, and comes after.
            let new = NewAssignment {
                id: AssignmentId::from_parts(NOW.unix_millis(), bytes()),
                tenant: at,
                user_id: user,
                role: AnyRole::Custom(role),
                anchor: Anchor::Tenant(at.id),
                expires_at: None,
            };
            system.insert(Assignment::create(new, &caller(), NOW).unwrap()).await
        })
        .await
        .unwrap();
        let view = db.scope(&in_tenant::<ReadUsers>(&tenant)).user_view(ada.id, NOW).await.unwrap().unwrap();
        assert_eq!(view.roles, []);
    }
}
