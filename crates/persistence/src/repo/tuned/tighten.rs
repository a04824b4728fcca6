//! Bringing the sessions that are there within limits that became stricter: whose end was shortened to the past is over
//! at once, and so is what somebody has beyond the greatest number of sessions. A few statements, however
//! many tenants they are in.

use std::time::Duration;

use gatehouse_domain::{
    authz::TenantRef,
    id::UserId,
    session::{ACTIVITY_LAG, Cap, Effects, EndReason, Tighten, Within},
    settings::{ADMIN_SESSION_IDLE, ADMIN_SESSION_LIFETIME},
    time::Timestamp,
};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, ExprTrait, QueryFilter, sea_query::Expr};

use crate::{
    db::Change,
    entity::{session::Entity, user},
    error::Result,
    repo::{
        Home,
        session::{ACTIVE, micros},
        sql::Sql,
        tuned::{effects, session_end::End},
    },
    scope::{Scope, WriteScope},
};

/// More than any cap, in microseconds; it can be added to an instant.
const ANYTHING: i64 = i64::MAX / 4;

/// What the columns of a session become, as expressions over the row as it was: each is spelled out where another one
/// depends on it.
struct Shortened {
    max_expires_at: String,
    refresh_micros: String,
    expires_at: String,
    idle_micros: String,
    ends_at: String,
    /// What says that the row has more than it may.
    exceeds: Vec<String>,
}

/// What tenants of whom a cap is for; nothing where it is for all.
fn undecided<T>(cap: &Cap<T>, within: Within, backend: DbBackend) -> Option<String> {
    let field = cap.unless_decided?;
    let silent = |alias: &str| match backend {
        DbBackend::Postgres => format!("{alias}.settings::jsonb ->> '{field}' IS NULL"),
        _ => format!("json_extract({alias}.settings, '$.{field}') IS NULL"),
    };
    Some(match within {
        Within::Platform => format!(
            "tenant_id IN (SELECT t.id FROM tenants t JOIN partners p ON p.id = t.partner_id WHERE {} AND {})",
            silent("t"),
            silent("p")
        ),
        Within::Partner(_) | Within::Tenant(_) => {
            format!("tenant_id IN (SELECT t.id FROM tenants t WHERE {})", silent("t"))
        }
    })
}

/// A cap as an expression; what it is not for may have anything.
fn bound<T>(cap: Option<&Cap<T>>, within: Within, backend: DbBackend, most: impl Fn(&T) -> i64) -> Option<String> {
    let cap = cap?;
    let most = most(&cap.most);
    Some(match undecided(cap, within, backend) {
        Some(condition) => format!("(CASE WHEN {condition} THEN {most} ELSE {ANYTHING} END)"),
        None => most.to_string(),
    })
}

/// A cap for each kind of sessions, those of the API, of browsers, and applications' own; what has none may have anything.
fn by_kind([of_api, of_browser, own]: [Option<String>; 3]) -> Option<String> {
    if of_api.is_none() && of_browser.is_none() && own.is_none() {
        return None;
    }
    let [of_api, of_browser, own] = [of_api, of_browser, own].map(|cap| cap.unwrap_or_else(|| ANYTHING.to_string()));
    Some(format!("(CASE kind WHEN 'api' THEN {of_api} WHEN 'browser' THEN {of_browser} ELSE {own} END)"))
}

impl Shortened {
    fn of(tighten: &Tighten, backend: DbBackend) -> Self {
        let least = |parts: &[&str]| match (parts, backend) {
            ([only], _) => (*only).to_owned(),
            (parts, DbBackend::Postgres) => format!("LEAST({})", parts.join(", ")),
            (parts, _) => format!("MIN({})", parts.join(", ")),
        };
        let bound = |cap: &Option<Cap<Duration>>| bound(cap.as_ref(), tighten.within, backend, |most| micros(*most));
        let mut exceeds = Vec::new();
        let mut capped = |column: &str, cap: Option<String>| match cap {
            None => column.to_owned(),
            Some(cap) => {
                exceeds.push(format!("{column} > {cap}"));
                least(&[column, &cap])
            }
        };
        let caps = &tighten.caps;
        let (lifetime, refresh) = (bound(&caps.lifetime), bound(&caps.refresh));
        let longest = by_kind([lifetime.clone(), lifetime, bound(&caps.offline)]);
        let max_expires_at = capped("max_expires_at", longest.map(|most| format!("created_at + {most}")));
        let refresh_micros = capped("COALESCE(refresh_micros, expires_at - refreshed_at)", refresh.clone());
        // Only the API's own refresh tokens are those of the session: others idle for as long as one lives.
        let refreshed_until =
            format!("CASE WHEN kind = 'api' THEN refreshed_at + {refresh_micros} ELSE expires_at END");
        let expires_at = least(&["expires_at", &max_expires_at, &refreshed_until]);
        let idle = bound(&caps.idle);
        let of_browser = match (&idle, &refresh) {
            (Some(idle), Some(refresh)) => Some(least(&[idle, refresh])),
            (one, other) => one.clone().or_else(|| other.clone()),
        };
        let (idle_micros, ends_at) = match by_kind([idle, of_browser, refresh]) {
            Some(most) => {
                let idle = capped(&format!("COALESCE(idle_micros, {ANYTHING})"), Some(most));
                let deadline = format!("last_activity_at + {idle} + {}", micros(ACTIVITY_LAG));
                (format!("NULLIF({idle}, {ANYTHING})"), least(&[&expires_at, &deadline]))
            }
            None => {
                let deadline = format!("last_activity_at + idle_micros + {}", micros(ACTIVITY_LAG));
                let idle = "idle_micros".to_owned();
                (idle, least(&[&expires_at, &format!("COALESCE({deadline}, expires_at)")]))
            }
        };
        Self { max_expires_at, refresh_micros, expires_at, idle_micros, ends_at, exceeds }
    }
}

impl Scope<'_> {
    /// Those that are active, of whom they are looked at, behind the predicate of the scope.
    fn push_within(sql: &mut Sql, within: Within, now: Timestamp) {
        match within {
            Within::Platform => {}
            Within::Partner(partner) => {
                sql.push(" AND partner_id = ").bind(partner.uuid());
            }
            Within::Tenant(tenant) => {
                sql.push(" AND tenant_id = ").bind(tenant.id.uuid());
            }
        }
        sql.push(" AND ").push(ACTIVE).bind(now.micros());
    }

    /// Counts what [`WriteScope::tighten`] would end now, in one statement.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn tightening(&self, tighten: &Tighten, now: Timestamp) -> Result<Effects> {
        let backend = self.exec.get_database_backend();
        let shortened = Shortened::of(tighten, backend);
        // Text: ranks the sessions of each user. Plan: `sessions_that_stricter_settings_end_are_found_by_an_index`.
        let mut sql = self.sql::<Entity>(|sql| {
            sql.push("WITH judged AS (SELECT id, tenant_id, user_id, created_at, CASE WHEN ").push(&shortened.ends_at);
            sql.push(" <= ").bind(now.micros()).push(" THEN 1 ELSE 0 END AS due FROM sessions WHERE");
        });
        Self::push_within(&mut sql, tighten.within, now);
        sql.push("), touched AS (SELECT id, user_id FROM ");
        match bound(tighten.caps.per_user.as_ref(), tighten.within, backend, |most| i64::from(*most)) {
            Some(most) => sql.push(&format!(
                "(SELECT id, tenant_id, user_id, due, {} AS nth FROM judged) ranked WHERE due = 1 OR nth > {most})",
                nth(", due")
            )),
            None => sql.push("judged WHERE due = 1)"),
        };
        effects::count(self.exec, sql).await
    }
}

/// Which session of its user it is, counted from the newest.
fn nth(besides: &str) -> String {
    format!("ROW_NUMBER() OVER (PARTITION BY tenant_id, user_id{besides} ORDER BY created_at DESC, id DESC)")
}

impl WriteScope<'_> {
    /// Brings the active sessions of a user within the limits of those who may administer. A sign-in that read the roles
    /// before, and begins its session afterwards, finds that the user was given one meanwhile.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn shorten_sessions(&self, tenant: TenantRef, user_id: UserId) -> Result<()> {
        let (lifetime, idle) = (micros(ADMIN_SESSION_LIFETIME), micros(ADMIN_SESSION_IDLE));
        // First, as it locks the user: a sign-in has the session that is shortened below, or waits and reads the roles again.
        let given = self.table_of::<user::Entity>(&Home { user: Some(user_id), ..tenant.into() })?.update();
        let given = given.col_expr("roles_given", Expr::col(user::Column::RolesGiven).add(1));
        let given = given.filter(user::Column::TenantId.eq(tenant.id.uuid()));
        given.filter(user::Column::Id.eq(user_id.uuid())).exec(&self.tx.writing()).await?;
        // The expressions read the row as it was: each new value is spelled out where another depends on it.
        let max = format!(
            "CASE WHEN max_expires_at < created_at + {lifetime} THEN max_expires_at ELSE created_at + {lifetime} END"
        );
        let expiry =
            format!("CASE WHEN expires_at < created_at + {lifetime} THEN expires_at ELSE created_at + {lifetime} END");
        let idle = format!("CASE WHEN idle_micros < {idle} THEN idle_micros ELSE {idle} END");
        let deadline = format!("last_activity_at + {idle} + {}", micros(ACTIVITY_LAG));
        // Text: calculates with the row as it was. Plan: `sessions_that_end_are_found_by_an_index`.
        let mut sql = self.sql::<Entity>(|sql| {
            sql.push(&format!(
                "UPDATE sessions SET max_expires_at = {max}, expires_at = {expiry}, idle_micros = {idle}, \
                 ends_at = CASE WHEN {expiry} < {deadline} THEN {expiry} ELSE {deadline} END WHERE"
            ));
        });
        sql.push(" AND tenant_id = ").bind(tenant.id.uuid()).push(" AND user_id = ").bind(user_id.uuid());
        sql.push(" AND ended_at IS NULL");
        sql.exec(self.tx.writing()).await?;
        self.tx.changed(Change::Everything);
        Ok(())
    }

    /// Shortens sessions, ends those that have had what they may have and those beyond the greatest number, and records how
    /// many these were. Nothing is made longer.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn tighten(&self, tighten: &Tighten) -> Result<()> {
        let (now, backend) = (self.tx.now(), self.exec.get_database_backend());
        let mut endings = Vec::new();
        let shortened = Shortened::of(tighten, backend);
        let exceeds = format!(" AND ({})", shortened.exceeds.join(" OR "));
        let is_shortened = !shortened.exceeds.is_empty();
        if is_shortened {
            endings.push(self.ending(End::now(now, EndReason::Expired, None).due(), true, |sql| {
                Scope::push_within(sql, tighten.within, now);
                sql.push(&exceeds).push(" AND ").push(&shortened.ends_at).push(" <= ").bind(now.micros());
            }));
        }
        if let Some(most) = bound(tighten.caps.per_user.as_ref(), tighten.within, backend, |most| i64::from(*most)) {
            let end = End::now(now, EndReason::SessionLimit, tighten.by.user_id());
            endings.push(self.ending(end, true, |sql| {
                // Here too, where rows are locked: what ended while a batch waited for it must not take a place in the batch.
                sql.push(" AND ended_at IS NULL AND id IN (SELECT id FROM (SELECT id, tenant_id, ").push(&nth(""));
                sql.push(" AS nth FROM sessions WHERE");
                self.push_condition::<Entity>(sql);
                Scope::push_within(sql, tighten.within, now);
                sql.push(&format!(") ranked WHERE nth > {most})"));
            }));
        }
        self.end_all(endings, |ended| tighten.event(ended)).await?;
        if is_shortened {
            // Behind the endings: one that was due and was refreshed meanwhile, under the old settings, is shortened here.
            self.shorten(shortened, tighten.within, &exceeds).await?;
        }
        Ok(())
    }

    /// Shortens those that have more than they may.
    async fn shorten(&self, shortened: Shortened, within: Within, exceeds: &str) -> Result<()> {
        let now = self.tx.now();
        let Shortened { max_expires_at, refresh_micros, expires_at, idle_micros, ends_at, .. } = shortened;
        // Text: calculates with the row as it was. Plan: `sessions_that_stricter_settings_end_are_found_by_an_index`.
        let mut sql = self.sql::<Entity>(|sql| {
            sql.push(&format!(
                "UPDATE sessions SET max_expires_at = {max_expires_at}, refresh_micros = {refresh_micros}, \
                 expires_at = {expires_at}, idle_micros = {idle_micros}, ends_at = {ends_at} WHERE"
            ));
        });
        Scope::push_within(&mut sql, within, now);
        sql.push(exceeds);
        sql.exec(self.tx.writing()).await?;
        self.tx.changed(Change::Everything);
        Ok(())
    }
}
