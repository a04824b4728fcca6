//! Counters of what a user has.

use gatehouse_domain::user::User;
use sea_orm::ConnectionTrait;

use crate::{
    error::Result,
    repo::{
        sql::Sql,
        throttle::{ThrottleKey, key_of},
    },
    scope::system::WriteSystem,
};

impl WriteSystem<'_> {
    /// Forgets the failures of a user and of the user's devices, those that lock too; false if nothing was counted.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn forget_failures(&self, user: &User) -> Result<bool> {
        let device = key_of("id", self.tx.writing().get_database_backend());
        // Text: an id becomes the bytes of a key by a function of each database. Plan:
        // `signing_in_and_being_known_are_found_by_an_index`.
        let mut sql = Sql::new("DELETE FROM throttles WHERE key IN (SELECT ");
        sql.push(&device).push(" FROM known_devices WHERE tenant_id = ").bind(user.tenant_id.uuid());
        sql.push(" AND user_id = ").bind(user.id.uuid());
        sql.push(" UNION ALL SELECT ").bind(ThrottleKey::User(user.id).bytes()).push(")");
        Ok(self.execute(sql).await? > 0)
    }
}
