//! What the levels decide.

use gatehouse_domain::{
    authz::Reach,
    change::Changed,
    id::PartnerId,
    platform::Platform,
    settings::{Layers, Level},
};
use sea_orm::{
    ColumnTrait, FromQueryResult, QueryFilter, QueryResult, QuerySelect, QueryTrait, Set, sea_query::SimpleExpr,
};

use crate::{
    entity::{installation, partner},
    error::Result,
    repo::{from_json, to_json},
    scope::{Scope, WriteScope, system::System},
};

/// The columns that [`above`] reads, beside a partner `p`.
pub(crate) const ABOVE: &str =
    "p.settings AS partner_settings, (SELECT i.settings FROM installation i WHERE i.id = 1) AS platform_settings";

/// What is stored above the tenants of a partner.
#[derive(FromQueryResult)]
struct Above {
    partner_settings: String,
    platform_settings: Option<String>,
}

impl Above {
    /// There is no platform to decide before the first start is over.
    fn layers(&self, partner: PartnerId) -> Result<Layers> {
        let platform = self.platform_settings.as_deref().map(|text| from_json(text, "platform settings"));
        let layers = Layers::of_platform(platform.transpose()?.unwrap_or_default());
        Ok(layers.with(Level::Partner(partner), from_json(&self.partner_settings, "partner settings")?))
    }
}

/// What is decided above the tenants of a partner.
pub(crate) fn above(row: &QueryResult, partner: PartnerId) -> Result<Layers> {
    Above::from_query_result(row, "")?.layers(partner)
}

impl System<'_> {
    /// What the platform decides.
    pub(super) async fn platform_layers(&self) -> Result<Layers> {
        let row = self.table::<installation::Entity>().select().one(&self.exec).await?;
        let settings = row.map(|row| from_json(&row.settings, "platform settings")).transpose()?;
        Ok(Layers::of_platform(settings.unwrap_or_default()))
    }

    /// What is decided above the tenants of a partner.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn above(&self, partner: PartnerId) -> Result<Option<Layers>> {
        let platform =
            self.table::<installation::Entity>().select().select_only().column(installation::Column::Settings);
        let platform = SimpleExpr::SubQuery(None, Box::new(platform.into_query().into()));
        let row = self.table::<partner::Entity>().select().filter(partner::Column::Id.eq(partner.uuid())).select_only();
        let row = row.column_as(partner::Column::Settings, "partner_settings").expr_as(platform, "platform_settings");
        let row = row.into_model::<Above>().one(&self.exec).await?;
        row.map(|row| row.layers(partner)).transpose()
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
        let row = self.platform_table::<installation::Entity>()?.select().one(&self.exec).await?;
        let platform = |row: installation::Model| {
            Ok(Platform { settings: from_json(&row.settings, "platform settings")?, version: row.version })
        };
        row.map(platform).transpose()
    }
}

impl WriteScope<'_> {
    /// Stores what the platform decides, with its event, if it is still what it was.
    ///
    /// # Errors
    /// [`Error::Stale`] when it is not, [`Error::ScopeViolation`] outside the platform's reach.
    pub async fn update_platform(&self, changed: Changed<Platform>) -> Result<Platform> {
        let endangers_platform = changed.endangers_platform();
        let (platform, event) = changed.into_parts();
        let installations = self.platform_table::<installation::Entity>()?;
        self.tx.meets_condition(uuid::Uuid::nil(), platform.version)?;
        if event.is_idle() {
            return Ok(platform);
        }
        let next = Platform { version: platform.version + 1, ..platform };
        let row = installation::ActiveModel {
            settings: Set(to_json(&next.settings)?),
            version: Set(next.version),
            ..installation::ActiveModel::default()
        };
        let update = installations.update().set(row);
        let update = update.filter(installation::Column::Version.eq(platform.version));
        if update.exec(&self.tx.writing()).await?.rows_affected != 1 {
            return Err(self.tx.stale());
        }
        self.record(event).await?;
        self.tx.administrator_stays(endangers_platform).await?;
        Ok(next)
    }
}
