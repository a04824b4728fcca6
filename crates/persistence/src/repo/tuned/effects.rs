//! What ending many sessions would touch.

use gatehouse_domain::{
    session::{Effects, RevokeMany},
    time::Timestamp,
};

use crate::{
    db::Exec,
    entity::session::Entity,
    error::{Error, Result},
    repo::{list::unsigned, sql::Sql, tuned::session_end::push_target},
    scope::Scope,
};

impl Scope<'_> {
    /// Counts what [`crate::WriteScope::revoke_many`] would end now, in one statement.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn effects(&self, many: &RevokeMany, now: Timestamp) -> Result<Effects> {
        // Text: what one part finds is counted three times. Plan: `sessions_that_end_are_found_by_an_index`.
        let mut sql = self.sql::<Entity>(|sql| {
            sql.push("WITH touched AS (SELECT id, user_id FROM sessions WHERE");
        });
        push_target(&mut sql, many, now);
        sql.push(")");
        count(self.exec, sql).await
    }
}

/// Counts what a query that begins with the sessions as `touched` touches.
pub(crate) async fn count(db: Exec<'_>, mut sql: Sql) -> Result<Effects> {
    sql.push(
            " SELECT (SELECT COUNT(*) FROM touched) AS sessions, (SELECT COUNT(DISTINCT user_id) FROM touched) AS users, \
             (SELECT COUNT(DISTINCT x.application_id) FROM session_applications x WHERE x.session_id IN (SELECT id FROM touched)) AS applications",
        );
    let row = sql.one(db).await?.ok_or(Error::Corrupt("count"))?;
    let count = |name| Ok::<_, Error>(unsigned(row.try_get("", name)?));
    Ok(Effects { users: count("users")?, sessions: count("sessions")?, applications: count("applications")? })
}
