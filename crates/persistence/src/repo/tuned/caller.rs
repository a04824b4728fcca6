//! Who makes a change, as the rows are in its transaction.

use gatehouse_domain::{
    authz::{SystemReason, UserActor},
    partner::Status,
    user::UserStatus,
};
use sea_orm::{ConnectionTrait, DbBackend, QueryResult};

use crate::{db::WriteTx, error::Result, repo::tuned::assignment::HELD_COLUMNS};

impl WriteTx<'_> {
    /// The session of a user, and what the user holds where, one row for each role; none where user, tenant or partner
    /// do not stand. On PostgreSQL the roles are locked.
    pub(in crate::repo) async fn caller_rows(&self, user: &UserActor) -> Result<Vec<QueryResult>> {
        let db = self.exec();
        let (id, tenant) = (user.user_id.uuid(), user.tenant_id.uuid());
        let lock = if db.get_database_backend() == DbBackend::Postgres { " FOR SHARE" } else { "" };
        let gatehouse = self.system(SystemReason::Authentication);
        // Text: three common table expressions, two of which lock; runs in every change. Plan:
        // `who_makes_a_change_is_found_by_an_index`.
        let mut sql = gatehouse.unscoped("WITH s AS (SELECT id, ended_at, end_reason, ends_at FROM sessions");
        sql.push(" WHERE id = ").bind(user.session_id.uuid());
        sql.push("), a AS (SELECT * FROM role_assignments WHERE tenant_id = ").bind(tenant).push(" AND user_id = ");
        sql.bind(id).push(" AND deleted_at IS NULL").push(lock);
        sql.push(
            "), r AS (SELECT * FROM roles WHERE (tenant_id, id) IN (SELECT role_tenant_id, role_id FROM a) \
             AND deleted_at IS NULL",
        );
        sql.push(lock).push(") SELECT s.id AS s_id, s.ended_at, s.end_reason, s.ends_at, ").push(HELD_COLUMNS);
        sql.push(
            " FROM users u JOIN tenants t ON t.id = u.tenant_id JOIN partners p ON p.id = t.partner_id \
             LEFT JOIN s ON 1 = 1 LEFT JOIN a ON 1 = 1 LEFT JOIN r ON r.tenant_id = a.role_tenant_id AND r.id = a.role_id \
             WHERE u.deleted_at IS NULL AND t.deleted_at IS NULL AND p.deleted_at IS NULL AND u.status = ",
        );
        sql.bind(UserStatus::Active.as_str()).push(" AND t.status = ").bind(Status::Active.as_str());
        sql.push(" AND p.status = ").bind(Status::Active.as_str());
        sql.push(" AND u.tenant_id = ").bind(tenant).push(" AND u.id = ").bind(id);
        sql.all(db).await
    }
}
