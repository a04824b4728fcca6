//! Who administers the platform.

use gatehouse_domain::{partner::Status, role::BuiltinRole, user::UserStatus};
use sea_orm::QueryResult;

use crate::{error::Result, scope::system::WriteSystem};

impl WriteSystem<'_> {
    /// The users who administer the platform for good and have a password, each with the settings that decide whether
    /// they can sign in.
    pub(crate) async fn owner_rows(&self) -> Result<Vec<QueryResult>> {
        // Text: settings of three levels beside each user, of which one level has no key that leads to it. Plan:
        // `signing_in_and_being_known_are_found_by_an_index`.
        let mut sql = self.unscoped(
            "SELECT DISTINCT u.id, u.email_verified, t.settings, t.partner_id, t.id AS tenant_id, p.settings AS partner_settings, \
             i.settings AS platform_settings FROM role_assignments a JOIN users u ON u.tenant_id = a.tenant_id AND u.id = a.user_id \
             JOIN tenants t ON t.id = u.tenant_id JOIN partners p ON p.id = u.partner_id JOIN installation i ON i.id = 1 \
             WHERE a.deleted_at IS NULL AND a.expires_at IS NULL AND u.password_hash IS NOT NULL AND u.status = ",
        );
        sql.bind(UserStatus::Active.as_str()).push(" AND t.status = ").bind(Status::Active.as_str());
        sql.push(" AND p.status = ").bind(Status::Active.as_str());
        sql.push(" AND a.role_id = ").bind(BuiltinRole::SuperAdmin.id().uuid());
        sql.all(self.exec).await
    }
}
