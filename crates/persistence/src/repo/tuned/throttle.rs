//! Counters of what a user has.

use gatehouse_domain::user::User;
use sea_orm::ConnectionTrait;

use crate::{
    error::Result,
    repo::{
        Row,
        throttle::{ThrottleKey, key_of},
    },
    scope::WriteScope,
};

impl WriteScope<'_> {
    /// Forgets the failures of a user and of the user's devices, those that lock too; false if nothing was counted.
    ///
    /// # Errors
    /// [`crate::Error::ScopeViolation`] when the user lies outside the scope.
    pub async fn forget_failures(&self, user: &User) -> Result<bool> {
        let (home, db) = (user.home(), self.tx.writing());
        let device = key_of("id", db.get_database_backend());
        // Text: an id becomes the bytes of a key by a function of each database. Plan:
        // `signing_in_and_being_known_are_found_by_an_index`.
        let mut sql = self.sql_of(&home, |sql| {
            sql.push("DELETE FROM throttles WHERE key IN (SELECT ")
                .push(&device)
                .push(" FROM known_devices WHERE tenant_id");
        })?;
        sql.push(" AND user_id = ").bind(user.id.uuid());
        sql.push(" UNION ALL SELECT ").bind(ThrottleKey::User(user.id).bytes()).push(")");
        Ok(sql.exec(db).await? > 0)
    }
}
