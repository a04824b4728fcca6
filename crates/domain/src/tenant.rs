//! Tenants: customer organisations that own users.

use serde::{Deserialize, Serialize};

use crate::{
    audit::{Action, Event, Fields, Resource, ResourceKind},
    authz::{By, TenantRef},
    change::Changed,
    id::{PartnerId, TenantId},
    issue::{Fault, Parse},
    partner::Status,
    search::Searchable,
    session::{EndReason, RevokeMany, RevokeTarget},
    settings::{Layers, Level, Settings},
    text::{Email, Name, Slug},
    time::Timestamp,
};

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// The partner it belongs to.
    pub partner_id: PartnerId,
    /// Its name.
    pub name: Name,
    /// Unique in the installation; names it in addresses.
    pub slug: Slug,
    /// Whether it may be used; its partner may be suspended besides.
    pub status: Status,
    /// Whom to write to.
    pub contact_email: Option<Email>,
    /// What it decides for itself.
    pub settings: Settings,
    /// How its pages look.
    pub branding: Branding,
    /// How many users it has.
    pub users: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it was deleted; its name is free for another from then on.
    pub deleted_at: Option<Timestamp>,
    /// Counts the changes.
    pub version: i64,
}

/// How a tenant's pages look.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Branding {
    /// A picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_url: Option<HttpsUrl>,
    /// The main colour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_color: Option<Colour>,
}

/// An `https` address without credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HttpsUrl(String);

impl HttpsUrl {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the text matches (ECMA-262).
    pub const PATTERN: &'static str = "^https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?$";
}

impl Parse for HttpsUrl {
    fn parse(text: &str) -> Result<Self, Fault> {
        let fault =
            || Fault::new("url_parsing", "must be an https address without user name, of at most 2000 characters");
        let rest = text.strip_prefix("https://").filter(|_| text.len() <= 2_000).ok_or_else(fault)?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = authority.split_once(':').unwrap_or((authority, "0"));
        let host_ok = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b));
        let port_ok = (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
        let path_ok = path.bytes().all(|b| b.is_ascii_alphanumeric() || b"._~!$&'()*+,;=:@%/?-".contains(&b));
        if host_ok && port_ok && path_ok { Ok(Self(text.to_owned())) } else { Err(fault()) }
    }
}

#[cfg(feature = "openapi")]
fn text_schema(pattern: &str, max: usize, example: &str) -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    utoipa::openapi::ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::Type::String)
        .max_length(Some(max))
        .pattern(Some(pattern))
        .examples([serde_json::json!(example)])
        .into()
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for HttpsUrl {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        text_schema(Self::PATTERN, 2_000, "https://example.com/logo.svg")
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for Colour {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        text_schema(Self::PATTERN, 7, "#0a6cff")
    }
}

/// A colour as `#rrggbb`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Colour(String);

impl Colour {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the text matches (ECMA-262).
    pub const PATTERN: &'static str = "^#[0-9a-fA-F]{6}$";

    /// Black or white: whichever can be read better on this colour (WCAG 2.2, contrast ratio).
    #[must_use]
    pub fn text_colour(&self) -> &'static str {
        let linear = |at: usize| {
            let part = self.0.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok()).unwrap_or(0);
            let part = f64::from(part) / 255.0;
            if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        let luminance = 0.2126 * linear(1) + 0.7152 * linear(3) + 0.0722 * linear(5);
        if 1.05 / (luminance + 0.05) >= (luminance + 0.05) / 0.05 { "#ffffff" } else { "#000000" }
    }
}

impl Parse for Colour {
    fn parse(text: &str) -> Result<Self, Fault> {
        match text.strip_prefix('#') {
            Some(digits) if digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit()) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(Fault::new("colour_parsing", "must be a colour as #rrggbb")),
        }
    }
}

/// What is needed to make a tenant.
#[derive(Debug, Clone)]
pub struct NewTenant {
    /// The partner it will belong to.
    pub partner_id: PartnerId,
    /// Its name.
    pub name: Name,
    /// Its slug.
    pub slug: Slug,
    /// Whom to write to.
    pub contact_email: Option<Email>,
    /// What it decides for itself.
    pub settings: Settings,
    /// How its pages look.
    pub branding: Branding,
}

/// What may change of a tenant; an outer `None` leaves it as it is, an inner one removes it.
#[derive(Debug, Clone, Default)]
pub struct TenantPatch {
    /// The name.
    pub name: Option<Name>,
    /// The slug.
    pub slug: Option<Slug>,
    /// Whether it may be used.
    pub status: Option<Status>,
    /// Whom to write to.
    pub contact_email: Option<Option<Email>>,
    /// The partner it belongs to.
    pub partner_id: Option<PartnerId>,
    /// What it decides for itself.
    pub settings: Option<Settings>,
    /// How its pages look.
    pub branding: Option<Branding>,
}

impl Searchable for Tenant {
    fn texts(&self) -> impl Iterator<Item = &str> {
        [self.name.as_str(), self.slug.as_str()].into_iter()
    }
}

impl Tenant {
    fn resource(&self) -> Resource {
        Resource::of(ResourceKind::Tenant, self.id.uuid()).in_tenant(self.partner_id, self.id)
    }

    /// What the policy must know of it.
    #[must_use]
    pub const fn reference(&self) -> TenantRef {
        TenantRef { id: self.id, partner_id: self.partner_id }
    }

    /// What all levels decide, given those above.
    #[must_use]
    pub fn layers(&self, above: &Layers) -> Layers {
        above.clone().with(Level::Tenant(self.id), self.settings)
    }

    /// Makes a tenant.
    pub fn create(id: TenantId, new: NewTenant, by: &By, now: Timestamp) -> Changed<Self> {
        let tenant = Self {
            id,
            partner_id: new.partner_id,
            name: new.name,
            slug: new.slug,
            status: Status::Active,
            contact_email: new.contact_email,
            settings: new.settings,
            branding: new.branding,
            users: 0,
            created_at: now,
            updated_at: now,
            deleted_at: None,
            version: 0,
        };
        let mut fields = Fields::default();
        fields
            .set("name", &tenant.name)
            .set("slug", &tenant.slug)
            .set("contact_email", &tenant.contact_email)
            .set("settings", tenant.settings);
        if tenant.branding != Branding::default() {
            fields.set("branding", &tenant.branding);
        }
        let resource = tenant.resource();
        Changed::new(tenant, Action::TenantCreated, resource, by).with(fields)
    }

    /// Changes a tenant. Suspending it also ends every session in it.
    pub fn update(self, patch: TenantPatch, by: &By, now: Timestamp) -> (Changed<Self>, Option<RevokeMany>) {
        let mut next = self.clone();
        next.name = patch.name.unwrap_or(next.name);
        next.slug = patch.slug.unwrap_or(next.slug);
        next.status = patch.status.unwrap_or(next.status);
        next.contact_email = patch.contact_email.unwrap_or(next.contact_email);
        next.partner_id = patch.partner_id.unwrap_or(next.partner_id);
        next.settings = patch.settings.unwrap_or(next.settings);
        next.branding = patch.branding.unwrap_or(next.branding);
        let mut fields = Fields::default();
        fields
            .change("name", &self.name, &next.name)
            .change("slug", &self.slug, &next.slug)
            .change("status", self.status, next.status)
            .change("contact_email", &self.contact_email, &next.contact_email)
            .change("partner_id", self.partner_id, next.partner_id)
            .change("settings", self.settings, next.settings)
            .change("branding", &self.branding, &next.branding);
        let action = match (self.status, next.status) {
            (Status::Active, Status::Suspended) => Action::TenantSuspended,
            (Status::Suspended, Status::Active) => Action::TenantActivated,
            _ if self.partner_id != next.partner_id => Action::TenantTransferred,
            _ => Action::TenantUpdated,
        };
        let target = RevokeTarget::Tenant(self.reference());
        let ends = (action == Action::TenantSuspended).then(|| RevokeMany::below(target, EndReason::Suspended, by));
        if !fields.is_empty() {
            next.updated_at = now;
        }
        let resource = next.resource();
        let moves = self.partner_id != next.partner_id;
        let endangers = ends.is_some() || moves || next.settings.begins_to_ask_for_verified_email(&self.settings);
        let left = moves.then(|| self.left(by));
        let changed = Changed::new(next, action, resource, by).with(fields).endangering_platform(endangers);
        (changed.told_elsewhere(left), ends)
    }

    /// That a tenant has gone to another partner, for the one that it had: an event of the partner itself, as those of
    /// the tenant are no longer its own.
    fn left(&self, by: &By) -> Event {
        let resource = Resource::of(ResourceKind::Tenant, self.id.uuid()).in_partner(self.partner_id);
        let mut fields = Fields::default();
        fields.change("partner_id", Some(self.partner_id), None::<PartnerId>);
        Event { action: Action::TenantTransferred, resource, by: *by, failure: None, reason: None, fields }
    }

    /// Deletes a tenant with everything in it. Its slug is free for another.
    pub fn delete(self, by: &By, now: Timestamp) -> (Changed<Self>, RevokeMany) {
        let next = Self { status: Status::Suspended, updated_at: now, deleted_at: Some(now), ..self };
        let mut fields = Fields::default();
        fields.change("status", self.status, next.status).set("user_count", next.users);
        let ends = RevokeMany::below(RevokeTarget::Tenant(next.reference()), EndReason::Deleted, by);
        let resource = next.resource();
        (Changed::new(next, Action::TenantDeleted, resource, by).with(fields).endangering_platform(true), ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_on_a_colour_is_black_or_white_whichever_can_be_read_better() {
        for (colour, text) in [
            ("#000000", "#ffffff"),
            ("#ffffff", "#000000"),
            ("#ffee00", "#000000"),
            ("#1a4fa0", "#ffffff"),
            ("#777777", "#000000"),
        ] {
            assert_eq!(Colour::parse(colour).unwrap().text_colour(), text, "{colour}");
        }
    }

    #[test]
    fn logo_is_an_https_address_and_nothing_cleverer() {
        for good in ["https://example.com", "https://cdn.example.com:8443/a/logo.svg?v=1"] {
            assert!(HttpsUrl::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "http://example.com",
            "javascript:alert(1)",
            "HTTPS://x",
            "https://",
            "https://u@h/",
            "https://h/\"",
            "https://h:x/",
            "data:,",
        ] {
            assert!(HttpsUrl::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn colour_is_six_hex_digits() {
        assert!(Colour::parse("#00aaFF").is_ok());
        for bad in ["", "#fff", "red", "#00aaFG", "#00aaff;"] {
            assert!(Colour::parse(bad).is_err(), "{bad}");
        }
    }
}
