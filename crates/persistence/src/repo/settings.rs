//! What the levels decide.

use gatehouse_domain::{
    authz::Reach,
    change::Changed,
    id::PartnerId,
    platform::Platform,
    settings::{Layers, Level},
};
use sea_orm::QueryResult;

use crate::{
    error::{Error, Result},
    repo::{from_json, sql::Sql, to_json},
    scope::{Scope, WriteScope, system::System},
};

/// The columns that [`above`] reads, beside a partner `p`.
pub(crate) const ABOVE: &str =
    "p.settings AS partner_settings, (SELECT i.settings FROM installation i WHERE i.id = 1) AS platform_settings";

/// What is decided above the tenants of a partner. There is no platform to decide before the first start is over.
pub(crate) fn above(row: &QueryResult, partner: PartnerId) -> Result<Layers> {
    let platform: Option<String> = row.try_get("", "platform_settings")?;
    let platform = platform.map(|text| from_json(&text, "platform settings")).transpose()?.unwrap_or_default();
    let settings: String = row.try_get("", "partner_settings")?;
    Ok(Layers::of_platform(platform).with(Level::Partner(partner), from_json(&settings, "partner settings")?))
}

impl System<'_> {
    /// What is decided above the tenants of a partner.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn above(&self, partner: PartnerId) -> Result<Option<Layers>> {
        let mut sql = Sql::new("SELECT ");
        sql.push(ABOVE).push(" FROM partners p WHERE p.id = ").bind(partner.uuid());
        let row = sql.one(self.exec).await?;
        row.map(|row| above(&row, partner)).transpose()
    }
}

impl Scope<'_> {
    /// The platform; for whoever reaches it.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn platform(&self) -> Result<Option<Platform>> {
        if self.reach != Reach::Platform {
            return Ok(None);
        }
        let sql = Sql::new("SELECT settings, version FROM installation WHERE id = 1");
        let Some(row) = sql.one(self.exec).await? else { return Ok(None) };
        let settings: String = row.try_get("", "settings")?;
        Ok(Some(Platform {
            settings: from_json(&settings, "platform settings")?,
            version: row.try_get("", "version")?,
        }))
    }
}

impl WriteScope<'_> {
    /// Stores what the platform decides, with its event, if it is still what it was.
    ///
    /// # Errors
    /// [`Error::Stale`] when it is not, [`Error::ScopeViolation`] outside the platform's reach.
    pub async fn update_platform(&self, changed: Changed<Platform>) -> Result<Platform> {
        let (platform, event) = changed.into_parts();
        if self.reach != Reach::Platform {
            tracing::error!(reach = ?self.reach, "the platform was to be changed from outside its reach");
            return Err(Error::ScopeViolation);
        }
        self.tx.meets_condition(uuid::Uuid::nil(), platform.version)?;
        if event.is_idle() {
            return Ok(platform);
        }
        let next = Platform { version: platform.version + 1, ..platform };
        let mut sql = Sql::new("UPDATE installation SET settings = ");
        sql.bind(to_json(&next.settings)?).push(", version = ").bind(next.version);
        sql.push(" WHERE id = 1 AND version = ").bind(platform.version);
        let rows = sql.exec(self.tx.writing()).await?;
        if rows != 1 {
            return Err(self.tx.stale());
        }
        self.record(event).await?;
        Ok(next)
    }
}
