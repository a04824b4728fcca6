//! Sessions: rows, what is read of one, and the exchange of a refresh token. How they end: `session_end.rs`.

use std::{net::IpAddr, time::Duration};

use gatehouse_domain::{
    change::Changed,
    id::{ApplicationId, PartnerId, SessionId, TenantId, UserId},
    refresh::Chain,
    secret::TokenHash,
    session::{AuthMethod, Client, Device, Ended, Refreshes, Session, SessionApp, SessionView},
    time::Timestamp,
};
use sea_orm::{ColumnTrait, ConnectionTrait, FromQueryResult, QueryFilter, QueryResult, Set};

use crate::{
    db::Change,
    entity::session::{ActiveModel, Column, Entity, Model},
    error::{Error, Result},
    repo::{
        Home, Row,
        list::unsigned,
        sql::{self, Sql},
        term::Terms,
        word,
    },
    scope::{Scope, WriteScope},
};

pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

pub(crate) fn domain(row: Model) -> Result<Session> {
    let hash = <[u8; 32]>::try_from(row.refresh_hash).map_err(|_| Error::Corrupt("refresh token digest"))?;
    let ended = match (row.ended_at, row.end_reason) {
        (Some(at), Some(reason)) => Some(Ended {
            at: Timestamp::from_micros(at),
            reason: word(&reason, "end reason")?,
            by: row.ended_by.map(UserId::from_uuid),
        }),
        _ => None,
    };
    Ok(Session {
        id: SessionId::from_uuid(row.id),
        tenant_id: TenantId::from_uuid(row.tenant_id),
        partner_id: PartnerId::from_uuid(row.partner_id),
        user_id: UserId::from_uuid(row.user_id),
        client: Client {
            ip: row.ip_address.map(|ip| ip.parse().map_err(|_| Error::Corrupt("address"))).transpose()?,
            user_agent: row.user_agent,
            device: Device { kind: word(&row.device_type, "device type")?, name: row.device_name },
            location: row.location,
        },
        auth_methods: row
            .auth_methods
            .split_ascii_whitespace()
            .map(|m| word(m, "auth method"))
            .collect::<Result<_>>()?,
        created_at: Timestamp::from_micros(row.created_at),
        last_activity_at: Timestamp::from_micros(row.last_activity_at),
        expires_at: Timestamp::from_micros(row.expires_at),
        max_expires_at: Timestamp::from_micros(row.max_expires_at),
        // Older than the column: as long as when it was last exchanged.
        refresh: Duration::from_micros(unsigned(row.refresh_micros.unwrap_or(row.expires_at - row.refreshed_at))),
        idle: row.idle_micros.map(|n| Duration::from_micros(unsigned(n))),
        ended,
        chain: Chain {
            generation: u32::try_from(row.refresh_generation).map_err(|_| Error::Corrupt("generation"))?,
            current: TokenHash::new(hash),
            rotated_at: Timestamp::from_micros(row.refreshed_at),
            replay: row.refresh_replay,
        },
        refreshes: Refreshes {
            since: Timestamp::from_micros(row.refreshes_since),
            count: u32::try_from(row.refreshes).map_err(|_| Error::Corrupt("refreshes"))?,
        },
    })
}

impl Row for Session {
    type Entity = Entity;
    type Active = ActiveModel;

    fn home(&self) -> Home {
        Home { partner: self.partner_id, tenant: Some(self.tenant_id), user: Some(self.user_id) }
    }

    fn terms(&self) -> Option<Terms> {
        None
    }

    fn uuid(&self) -> uuid::Uuid {
        self.id.uuid()
    }

    fn insertable(&self) -> Result<ActiveModel> {
        let methods: Vec<_> = self.auth_methods.iter().map(|method| AuthMethod::as_str(*method)).collect();
        Ok(ActiveModel {
            id: Set(self.id.uuid()),
            tenant_id: Set(self.tenant_id.uuid()),
            partner_id: Set(self.partner_id.uuid()),
            user_id: Set(self.user_id.uuid()),
            ip_address: Set(self.client.ip.as_ref().map(IpAddr::to_string)),
            user_agent: Set(self.client.user_agent.clone()),
            device_type: Set(self.client.device.kind.to_string()),
            device_name: Set(self.client.device.name.clone()),
            location: Set(self.client.location.clone()),
            auth_methods: Set(methods.join(" ")),
            created_at: Set(self.created_at.micros()),
            ..merge(ended(self), rotated(self))
        })
    }
}

/// The columns that a rotation changes.
fn rotated(session: &Session) -> ActiveModel {
    ActiveModel {
        last_activity_at: Set(session.last_activity_at.micros()),
        expires_at: Set(session.expires_at.micros()),
        max_expires_at: Set(session.max_expires_at.micros()),
        refresh_micros: Set(Some(micros(session.refresh))),
        idle_micros: Set(session.idle.map(micros)),
        ends_at: Set(session.ends_at().micros()),
        refresh_generation: Set(i64::from(session.chain.generation)),
        refresh_hash: Set(session.chain.current.as_bytes().to_vec()),
        refreshed_at: Set(session.chain.rotated_at.micros()),
        refresh_replay: Set(session.chain.replay.clone()),
        refreshes_since: Set(session.refreshes.since.micros()),
        refreshes: Set(i64::from(session.refreshes.count)),
        ..ActiveModel::default()
    }
}

/// The columns that an end changes.
pub(super) fn ended(session: &Session) -> ActiveModel {
    ActiveModel {
        ended_at: Set(session.ended.map(|end| end.at.micros())),
        end_reason: Set(session.ended.map(|end| end.reason.to_string())),
        ended_by: Set(session.ended.and_then(|end| end.by).map(UserId::uuid)),
        ..ActiveModel::default()
    }
}

fn merge(end: ActiveModel, rest: ActiveModel) -> ActiveModel {
    ActiveModel { ended_at: end.ended_at, end_reason: end.end_reason, ended_by: end.ended_by, ..rest }
}

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
    /// One session.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn session(&self, id: SessionId) -> Result<Option<Session>> {
        self.select::<Entity>().filter(Column::Id.eq(id.uuid())).one(&self.exec).await?.map(domain).transpose()
    }

    /// One session with its user and its applications.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn session_view(&self, id: SessionId) -> Result<Option<(SessionView, Vec<SessionApp>)>> {
        let db = self.exec;
        let mut sql = Sql::new("SELECT ");
        sql.push(&view_columns()).push(", (SELECT COUNT(*)");
        self.push_shown(&mut sql, "s.ended_by", "s.tenant_id");
        sql.push(") AS shown FROM (SELECT * FROM sessions WHERE id = ").bind(id.uuid()).push(" AND ");
        self.push_condition(&mut sql);
        sql.push(") s JOIN users u ON u.id = s.user_id");
        let Some(row) = sql.one(db).await? else { return Ok(None) };
        let hides = !self.shows_everybody() && row.try_get::<i64>("", "shown")? == 0;
        let mut view = view(&row)?;
        view.ended_by_operator = hides && view.session.ended.as_mut().is_some_and(|end| end.by.take().is_some());
        if view.app_count == 0 {
            return Ok(Some((view, Vec::new())));
        }
        let mut sql = Sql::new(
            "SELECT a.id, a.name, x.accessed_at FROM session_applications x \
             JOIN applications a ON a.tenant_id = x.tenant_id AND a.id = x.application_id WHERE x.session_id = ",
        );
        sql.bind(id.uuid()).push(" AND x.tenant_id = ").bind(view.session.tenant_id.uuid());
        sql.push(" ORDER BY x.accessed_at DESC, a.id LIMIT 200");
        let rows = sql.all(db).await?;
        let apps = rows.iter().map(app).collect::<Result<_>>()?;
        Ok(Some((view, apps)))
    }

    /// How many of these sessions a user has, whether ended or not.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn count_sessions(&self, user: UserId, ids: &[SessionId]) -> Result<u64> {
        let mut sql = Sql::new("SELECT COUNT(*) FROM sessions WHERE user_id = ");
        sql.bind(user.uuid()).push(" AND id").one_of(ids.iter().map(|id| id.uuid())).push(" AND ");
        self.push_condition(&mut sql);
        let row = sql.one(self.exec).await?;
        row.map_or(Ok(0), |row| row.try_get_by_index::<i64>(0)).map(unsigned).map_err(|_| Error::Corrupt("count"))
    }

    /// The `n` active sessions of a user that began first.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn oldest_sessions(&self, user: UserId, n: u64, now: Timestamp) -> Result<Vec<SessionId>> {
        let mut sql = Sql::new("SELECT id FROM sessions WHERE user_id = ");
        sql.bind(user.uuid()).push(" AND ");
        self.push_condition(&mut sql);
        sql.push(" AND ").push(ACTIVE).bind(now.micros()).push(" ORDER BY created_at, id LIMIT ");
        sql.bind(i64::try_from(n).unwrap_or(i64::MAX));
        let rows = sql.all(self.exec).await?;
        rows.iter()
            .map(|row| Ok(SessionId::from_uuid(row.try_get_by_index(0).map_err(|_| Error::Corrupt("session"))?)))
            .collect()
    }
}

/// What makes a session active; the instant follows. The addition keeps the planner from choosing the index on
/// `ends_at`, which nearly every active session satisfies, over the one that has the wanted order.
pub(crate) const ACTIVE: &str = "ended_at IS NULL AND ends_at + 0 > ";

fn app(row: &QueryResult) -> Result<SessionApp> {
    Ok(SessionApp {
        application_id: ApplicationId::from_uuid(row.try_get("", "id")?),
        application_name: row.try_get("", "name")?,
        accessed_at: Timestamp::from_micros(row.try_get("", "accessed_at")?),
    })
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
        let mut sql = Sql::new("UPDATE sessions SET ");
        sql.assign(&rotated(&session)).push(" WHERE ");
        self.push_condition(&mut sql);
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
