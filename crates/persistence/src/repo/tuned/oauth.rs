//! Codes and families with the session that they are in.

use gatehouse_domain::{
    change::Changed,
    id::FamilyId,
    oauth::{AuthorizationCode, DeviceRequest, TokenFamily},
    partner::Status,
    secret::TokenHash,
    session::Session,
    time::Timestamp,
    user::UserStatus,
};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, QueryFilter, QueryTrait, sea_query::Expr};

use crate::{
    db::Batch,
    entity::{self, authorization_code, token_family},
    error::{Error, Result},
    repo::{
        authorization_code::domain,
        device_request,
        list::{Stored, unsigned},
        sql::{CODE, DEVICE, FAMILY, Sql},
        tuned::login::{SessionState, session_state},
    },
    scope::{
        insertion_after_change,
        system::{System, WriteSystem},
    },
};

const CODES: &str = "authorization_codes c JOIN sessions s ON s.tenant_id = c.tenant_id AND s.id = c.session_id \
     JOIN users u ON u.tenant_id = s.tenant_id AND u.id = s.user_id";
const FAMILIES: &str = "token_families f JOIN sessions s ON s.tenant_id = f.tenant_id AND s.id = f.session_id \
     JOIN users u ON u.tenant_id = s.tenant_id AND u.id = s.user_id";
/// Devices, with the session of whoever opened what they ask for.
const DEVICES: &str = "device_requests d LEFT JOIN sessions s ON s.tenant_id = d.tenant_id AND s.id = d.session_id \
     LEFT JOIN users u ON u.tenant_id = s.tenant_id AND u.id = s.user_id";

impl System<'_> {
    /// A code with its session, user and roles, in one statement.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn code_state(
        &self,
        hash: TokenHash,
        now: Timestamp,
    ) -> Result<Option<(AuthorizationCode, SessionState)>> {
        let columns = format!("{}, ", *CODE);
        let rows = self.state_rows(&columns, CODES, ("c.digest", hash.as_bytes().to_vec().into())).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let code = domain(authorization_code::Model::from_query_result(first, "c_")?)?;
        Ok(Some((code, session_state(&rows, now)?.ok_or(Error::Corrupt("code"))?)))
    }

    /// A family with its session, user and roles, in one statement.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn family_state(&self, id: FamilyId, now: Timestamp) -> Result<Option<(TokenFamily, SessionState)>> {
        let columns = format!("{}, ", *FAMILY);
        let rows = self.state_rows(&columns, FAMILIES, ("f.id", id.uuid().into())).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let family = TokenFamily::read(token_family::Model::from_query_result(first, "f_")?)?;
        Ok(Some((family, session_state(&rows, now)?.ok_or(Error::Corrupt("family"))?)))
    }
}

impl System<'_> {
    /// A device that waits, with the session, user and roles of whoever opened what it asks for, in one statement.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn device_state(
        &self,
        hash: TokenHash,
        now: Timestamp,
    ) -> Result<Option<(DeviceRequest, Option<SessionState>)>> {
        let columns = format!("{}, ", *DEVICE);
        let rows = self.state_rows(&columns, DEVICES, ("d.digest", hash.as_bytes().to_vec().into())).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let request = device_request::domain(entity::device_request::Model::from_query_result(first, "d_")?)?;
        let state = if request.opened_by.is_some() { session_state(&rows, now)? } else { None };
        Ok(Some((request, state)))
    }
}

/// What is exchanged for a session of an application's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exchanged {
    /// An authorization code.
    Code(TokenHash),
    /// What a device asked with, and was answered.
    Device(TokenHash),
}

/// A user for whom one more session may begin, and who stays so until the transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// How many sessions the user has, including those that have run out and are not swept yet.
    pub sessions: u64,
    /// How often the user has been given a role.
    pub roles_given: i64,
}

impl WriteSystem<'_> {
    /// Spends what is exchanged if nobody had and the session of whoever agreed to it stands, with user, tenant and partner.
    /// On PostgreSQL these stay so until the transaction ends: a session of the application's own may begin.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn spend_within(&self, exchanged: Exchanged, session: &Session) -> Result<Option<Held>> {
        let mut sql = self.spending(exchanged, session);
        self.push_returning_held(&mut sql, session);
        let Some(row) = sql.one(self.tx.writing()).await? else { return Ok(None) };
        Ok(Some(Held {
            sessions: unsigned(row.try_get("", "active_sessions")?),
            roles_given: row.try_get("", "roles_given")?,
        }))
    }

    /// Exchanges a code for a family in its session, as [`Self::spend_within`]; false where that is not possible any more.
    /// Beyond as many as there may be, the oldest family of the application in the session ends. On SQLite all of it is
    /// sent together: each time that the thread of the connection is woken costs as much as the statements do.
    ///
    /// # Errors
    /// The database refuses a statement, or does not answer in time.
    pub async fn exchange_code(
        &self,
        code: TokenHash,
        session: &Session,
        family: Changed<TokenFamily>,
    ) -> Result<bool> {
        if self.exec.get_database_backend() == DbBackend::Postgres {
            // The user is locked: what is exchanged in a session at the same time is counted one after the other.
            if self.spend_within(Exchanged::Code(code), session).await?.is_none() {
                return Ok(false);
            }
            self.make_room_for_family(family.value()).await?;
            self.insert(family).await?;
            return Ok(true);
        }
        let (family, event) = family.into_parts();
        let surplus = self.surplus_of_families(&family).filter(Expr::cust("changes() = 1"));
        let all = Batch([
            self.spending(Exchanged::Code(code), session).statement(DbBackend::Sqlite),
            insertion_after_change(&family)?,
            self.tx.recording_a_change(&event)?,
            surplus.build(DbBackend::Sqlite),
        ]);
        Ok(all.exec(self.tx.writing()).await? > 0)
    }

    /// Spends what is exchanged, as the beginning of a statement.
    fn spending(&self, exchanged: Exchanged, session: &Session) -> Sql {
        let (table, hash) = match exchanged {
            Exchanged::Code(hash) => ("authorization_codes", hash),
            Exchanged::Device(hash) => ("device_requests", hash),
        };
        // Text: an update from a query that locks. Plan: `codes_and_families_are_found_by_an_index`.
        let mut sql = self.unscoped("UPDATE ");
        sql.push(table).push(" SET spent_at = ").bind(self.tx.now().micros());
        self.push_held(&mut sql, session);
        sql.push(" WHERE digest = ").bind(hash.as_bytes().to_vec()).push(" AND spent_at IS NULL");
        sql
    }

    /// The user of a session that stands, as `held`. The user is locked first, as everywhere; a row that was waited for is
    /// looked at anew.
    fn push_held(&self, sql: &mut Sql, session: &Session) {
        sql.push(
            " FROM (SELECT u.active_sessions, u.roles_given FROM users u \
             JOIN sessions s ON s.tenant_id = u.tenant_id AND s.user_id = u.id \
             JOIN tenants t ON t.id = u.tenant_id JOIN partners p ON p.id = t.partner_id WHERE s.id = ",
        );
        sql.bind(session.id.uuid()).push(" AND s.ended_at IS NULL AND s.ends_at > ").bind(self.tx.now().micros());
        sql.push(" AND u.tenant_id = ")
            .bind(session.tenant_id.uuid())
            .push(" AND u.id = ")
            .bind(session.user_id.uuid());
        sql.push(" AND u.deleted_at IS NULL AND u.status = ").bind(UserStatus::Active.as_str());
        sql.push(" AND t.status = ").bind(Status::Active.as_str());
        sql.push(" AND p.status = ").bind(Status::Active.as_str());
        if self.exec.get_database_backend() == DbBackend::Postgres {
            sql.push(" FOR NO KEY UPDATE OF u FOR SHARE OF t, p, s");
        }
        sql.push(") held");
    }

    /// What is returned of `held`. On SQLite that cannot be named there; its one writer reads the same row once more.
    fn push_returning_held(&self, sql: &mut Sql, session: &Session) {
        if self.exec.get_database_backend() == DbBackend::Postgres {
            sql.push(" RETURNING held.active_sessions, held.roles_given");
            return;
        }
        let id = session.user_id.uuid();
        sql.push(" RETURNING (SELECT active_sessions FROM users WHERE id = ").bind(id).push(") AS active_sessions");
        sql.push(", (SELECT roles_given FROM users WHERE id = ").bind(id).push(") AS roles_given");
    }
}
