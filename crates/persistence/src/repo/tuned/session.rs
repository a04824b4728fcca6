//! Sessions as they are shown and refreshed.

use gatehouse_domain::{
    change::Changed,
    id::SessionId,
    secret::TokenHash,
    session::{Session, SessionApp, SessionView},
};
use sea_orm::{ConnectionTrait, FromQueryResult, QueryResult};

use crate::{
    db::Change,
    entity::session::{Entity, Model},
    error::{Error, Result},
    repo::{
        Row,
        session::{domain, micros, rotated},
        sql,
    },
    scope::{Scope, WriteScope},
};

#[derive(Debug, FromQueryResult)]
struct Beside {
    user_email: String,
    user_display_name: Option<String>,
    app_count: i64,
}

/// The columns of a [`SessionView`] over `sessions s JOIN users u`.
pub(crate) fn view_columns() -> String {
    format!(
        "{}, u.email AS user_email, u.display_name AS user_display_name, \
         (SELECT COUNT(*) FROM session_applications x WHERE x.session_id = s.id) AS app_count",
        *sql::SESSION
    )
}

pub(crate) fn view(row: &QueryResult) -> Result<SessionView> {
    let beside = Beside::from_query_result(row, "")?;
    Ok(SessionView {
        session: domain(Model::from_query_result(row, "s_")?)?,
        user_email: beside.user_email,
        user_display_name: beside.user_display_name,
        app_count: u32::try_from(beside.app_count).unwrap_or(u32::MAX),
        ended_by_operator: false,
    })
}

impl Scope<'_> {
    /// One session with its user and its applications.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn session_view(&self, id: SessionId) -> Result<Option<(SessionView, Vec<SessionApp>)>> {
        // Text: counts beside the row whether the reader is shown who ended it. Plan:
        // `sessions_across_tenants_are_found_by_an_index`.
        let mut sql = self.sql::<Entity>(|sql| {
            sql.push("SELECT ").push(&view_columns()).push(", (SELECT COUNT(*)");
            self.push_shown(sql, "s.ended_by", "s.tenant_id");
            sql.push(") AS shown FROM (SELECT * FROM sessions WHERE id = ").bind(id.uuid()).push(" AND");
        });
        sql.push(") s JOIN users u ON u.id = s.user_id");
        let Some(row) = sql.one(self.exec).await? else { return Ok(None) };
        let hides = !self.shows_everybody() && row.try_get::<i64>("", "shown")? == 0;
        let mut view = view(&row)?;
        view.ended_by_operator = hides && view.session.ended.as_mut().is_some_and(|end| end.by.take().is_some());
        let apps = if view.app_count == 0 { Vec::new() } else { self.session_apps(&view.session).await? };
        Ok(Some((view, apps)))
    }
}

impl WriteScope<'_> {
    /// Stores the exchange of a refresh token, if `presented` is still the current one and the session may still have
    /// what it is given.
    ///
    /// # Errors
    /// [`Error::Stale`] otherwise: another exchange won, or the session ended or was shortened.
    pub async fn rotate(&self, presented: TokenHash, changed: Changed<Session>) -> Result<Session> {
        let (session, event) = changed.into_parts();
        self.guard(&session.home())?;
        // Text: every refresh runs it. Plan: `signing_in_and_being_known_are_found_by_an_index`.
        let mut sql = self.sql::<Entity>(|sql| {
            sql.push("UPDATE sessions SET ").assign(&rotated(&session)).push(" WHERE");
        });
        sql.push(" AND id = ").bind(session.id.uuid());
        sql.push(" AND refresh_hash = ").bind(presented.as_bytes().to_vec());
        sql.push(" AND refresh_generation = ").bind(i64::from(session.chain.generation) - 1);
        sql.push(" AND ended_at IS NULL AND ends_at > ").bind(self.tx.now().micros());
        sql.push(" AND max_expires_at >= ").bind(session.max_expires_at.micros());
        sql.push(" AND (refresh_micros IS NULL OR refresh_micros >= ").bind(micros(session.refresh)).push(")");
        match session.idle {
            Some(idle) => sql.push(" AND (idle_micros IS NULL OR idle_micros >= ").bind(micros(idle)).push(")"),
            None => sql.push(" AND idle_micros IS NULL"),
        };
        let event = session.refreshes.is_recorded().then_some(event);
        if !self.tx.update(sql.statement(self.exec.get_database_backend()), event).await? {
            return Err(Error::Stale);
        }
        self.tx.changed(Change::Session(session.id));
        Ok(session)
    }
}
