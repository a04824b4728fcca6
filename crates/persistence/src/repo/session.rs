//! Sessions: rows, and what is read of few. How one is shown and refreshed is in `tuned/session.rs`, how they end in
//! `tuned/session_end.rs`, lists in `tuned/session_list.rs`.

use std::{net::IpAddr, time::Duration};

use gatehouse_domain::{
    change::Changed,
    id::{ApplicationId, PartnerId, SessionId, TenantId, UserId},
    refresh::Chain,
    secret::TokenHash,
    session::{AuthMethod, Client, Device, Ended, Refreshes, Session, SessionApp},
    time::Timestamp,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, ExprTrait, IntoSimpleExpr, JoinType, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, RelationTrait, Set, sea_query::Expr,
};
use uuid::Uuid;

use crate::{
    db::Change,
    entity::{
        application,
        session::{ActiveModel, Column, Entity, Model},
        session_application, session_count,
    },
    error::{Error, Result},
    repo::{
        Home, Row,
        list::{Stored, any, count, unsigned},
        term::Terms,
        word,
    },
    scope::{Scope, system::WriteSystem},
};

pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// A stored digest.
pub(crate) fn digest(bytes: Vec<u8>, what: &'static str) -> Result<TokenHash> {
    Ok(TokenHash::new(bytes.try_into().map_err(|_| Error::Corrupt(what))?))
}

pub(crate) fn domain(row: Model) -> Result<Session> {
    let hash = digest(row.refresh_hash, "refresh token digest")?;
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
        kind: word(&row.kind, "kind of session")?,
        application_id: row.application_id.map(ApplicationId::from_uuid),
        cookie: row.cookie_digest.map(|bytes| digest(bytes, "cookie digest")).transpose()?,
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
        // Older than the column: since it began.
        authenticated_at: Timestamp::from_micros(row.authenticated_at.unwrap_or(row.created_at)),
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
            current: hash,
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
            kind: Set(self.kind.to_string()),
            application_id: Set(self.application_id.map(ApplicationId::uuid)),
            cookie_digest: Set(self.cookie.map(|hash| hash.as_bytes().to_vec())),
            authenticated_at: Set(Some(self.authenticated_at.micros())),
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
pub(super) fn rotated(session: &Session) -> ActiveModel {
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

impl Stored for Session {
    fn read(row: Model) -> Result<Self> {
        domain(row)
    }
}

impl Scope<'_> {
    /// One session.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn session(&self, id: SessionId) -> Result<Option<Session>> {
        self.one(id.uuid()).await
    }

    /// How many of these sessions a user has, whether ended or not.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn count_sessions(&self, user: UserId, ids: &[SessionId]) -> Result<u64> {
        let Some(ids) = any(Column::Id, ids.iter().map(|id| id.uuid())) else { return Ok(0) };
        count(self.exec, self.select::<Entity>().filter(Column::UserId.eq(user.uuid())).filter(ids)).await
    }

    /// The `n` active sessions of a user that began first.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn oldest_sessions(&self, user: UserId, n: u64, now: Timestamp) -> Result<Vec<SessionId>> {
        // As in `ACTIVE`: see there for the addition.
        let ends_at = Column::EndsAt.into_simple_expr().add(0);
        let active = self.select::<Entity>().filter(Column::EndedAt.is_null()).filter(ends_at.gt(now.micros()));
        let theirs = active.filter(Column::UserId.eq(user.uuid())).select_only().column(Column::Id);
        let oldest = theirs.order_by_asc(Column::CreatedAt).order_by_asc(Column::Id).limit(n);
        let ids = oldest.into_tuple::<Uuid>().all(&self.exec).await?;
        Ok(ids.into_iter().map(SessionId::from_uuid).collect())
    }

    /// What a session was used with, at most 200 applications.
    pub(super) async fn session_apps(&self, session: &Session) -> Result<Vec<SessionApp>> {
        use session_application::{Column, Relation};
        let used = self.table_of::<session_application::Entity>(&session.home())?.select().select_only();
        let used = used.column(application::Column::Id).column(application::Column::Name).column(Column::AccessedAt);
        let used = used.join(JoinType::InnerJoin, Relation::Application.def());
        let used = used.filter(Column::SessionId.eq(session.id.uuid()));
        let used = used.filter(Column::TenantId.eq(session.tenant_id.uuid()));
        let used = used.order_by_desc(Column::AccessedAt).order_by_asc(application::Column::Id).limit(200);
        let rows = used.into_tuple::<(Uuid, String, i64)>().all(&self.exec).await?;
        let app = |(id, application_name, at)| SessionApp {
            application_id: ApplicationId::from_uuid(id),
            application_name,
            accessed_at: Timestamp::from_micros(at),
        };
        Ok(rows.into_iter().map(app).collect())
    }
}

impl WriteSystem<'_> {
    /// Stores that the user of a session proved once more to be who they are; whether it had not ended.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn reauthenticate(&self, changed: Changed<Session>) -> Result<bool> {
        let (session, event) = changed.into_parts();
        let proved = ActiveModel {
            cookie_digest: Set(session.cookie.map(|hash| hash.as_bytes().to_vec())),
            authenticated_at: Set(Some(session.authenticated_at.micros())),
            last_activity_at: Set(session.last_activity_at.micros()),
            ends_at: Set(session.ends_at().micros()),
            ..Default::default()
        };
        let update = self.update_where::<Entity>().set(proved).filter(Column::Id.eq(session.id.uuid()));
        let update = update.filter(Column::EndedAt.is_null()).build(self.exec.get_database_backend());
        self.tx.changed(Change::Session(session.id));
        self.tx.update(update, Some(event)).await
    }
}

/// What makes a session active; the instant follows. The addition keeps the planner from choosing the index on
/// `ends_at`, which nearly every active session satisfies, over the one that has the wanted order.
pub(crate) const ACTIVE: &str = "ended_at IS NULL AND ends_at + 0 > ";

impl crate::System<'_> {
    /// How many sessions have not ended, those included that have run out since the last sweep.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn active_sessions(&self) -> Result<u64> {
        let active = Expr::col(session_count::Column::Active).sum().cast_as("bigint");
        let counts = self.table::<session_count::Entity>().select().select_only().column_as(active, "active");
        let active = counts.into_tuple::<Option<i64>>().one(&self.exec).await?;
        Ok(unsigned(active.flatten().unwrap_or(0)))
    }
}
