//! What is told of the client of a session: device and place.

use std::{net::IpAddr, path::PathBuf};

use gatehouse_domain::{
    session::{Client, Device, DeviceKind},
    text::Slug,
};
use maxminddb::{Reader, geoip2};

use crate::{
    app::{StartError, request::device},
    config::Config,
    env::Env,
};

pub use gatehouse_persistence::{ChangeContext, Clock, Condition};

/// Where a request comes from.
#[derive(Debug, Clone)]
pub struct RequestMeta {
    /// What the audit trail keeps of it.
    pub ctx: ChangeContext,
    /// The `X-Device` header.
    pub declared_device: Option<String>,
    /// How to keep the answer, if the request may be sent again.
    pub store_response: Option<std::sync::Arc<crate::app::request::idempotency::StoreResponse>>,
    /// The address that the client uses, without a path: `https://id.example.com`. Tokens name their issuer by it.
    pub base_url: std::sync::Arc<str>,
}

impl RequestMeta {
    /// What there is to say of a command.
    pub(crate) fn of_command(env: &Env) -> Self {
        Self { ctx: env.ctx(), declared_device: None, store_response: None, base_url: "".into() }
    }

    /// The issuer of a tenant's tokens.
    #[must_use]
    pub fn issuer(&self, tenant: &Slug) -> String {
        format!("{}{}{tenant}", self.base_url, ISSUER_PATH)
    }
}

/// The path of a tenant's issuer, without the slug.
pub const ISSUER_PATH: &str = "/api/v1/auth/tenants/";
/// The path of the platform's issuer, below which its endpoints are.
pub const PLATFORM_PATH: &str = "/api/v1/platform/oauth";

/// Describes clients: devices by their User-Agents, places by their addresses.
pub struct Clients {
    places: Option<Reader<Vec<u8>>>,
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clients(…)")
    }
}

impl Clients {
    /// Opens the file of places, if there is one.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn open(config: &Config) -> Result<Self, StartError> {
        let open = |path: &PathBuf| {
            Reader::open_readfile(path).map_err(|error| StartError::File(path.clone(), std::io::Error::other(error)))
        };
        Ok(Self { places: config.geoip_file.as_ref().map(open).transpose()? })
    }

    /// Describes the client of a request.
    #[must_use]
    pub fn of(&self, meta: &RequestMeta) -> Client {
        self.describe(meta.ctx.ip, meta.ctx.user_agent.as_deref(), meta.declared_device.as_deref())
    }

    /// Describes a client. `declared` is the `X-Device` header; only `app` has a meaning.
    #[must_use]
    pub fn describe(&self, ip: Option<IpAddr>, user_agent: Option<&str>, declared: Option<&str>) -> Client {
        let user_agent = user_agent.map(|text| text.chars().take(Client::USER_AGENT_MAX).collect::<String>());
        let mut device =
            user_agent.as_deref().map_or(Device { kind: DeviceKind::Unknown, name: None }, device::describe);
        if declared == Some("app") {
            device.kind = DeviceKind::App;
        }
        Client { ip, device, location: ip.and_then(|ip| self.place(ip)), user_agent }
    }

    fn place(&self, ip: IpAddr) -> Option<String> {
        let city: geoip2::City<'_> = self.places.as_ref()?.lookup(ip).ok()?.decode().ok()??;
        let country = city.country.iso_code;
        match (city.city.names.english, country) {
            (Some(city), Some(country)) => Some(format!("{city}, {country}")),
            (Some(one), None) | (None, Some(one)) => Some(one.to_owned()),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn native_client_declares_itself_and_nothing_else_can_be_declared() {
        let clients = Clients { places: None };
        assert_eq!(clients.describe(None, Some("MyApp/1"), Some("app")).device.kind, DeviceKind::App);
        assert_eq!(clients.describe(None, None, Some("toaster")).device.kind, DeviceKind::Unknown);
        assert_eq!(clients.describe(None, None, None).user_agent, None);
    }

    #[test]
    fn long_user_agents_are_cut() {
        let clients = Clients { places: None };
        let client = clients.describe(None, Some(&"ä".repeat(10_000)), None);
        assert_eq!(client.user_agent.unwrap().chars().count(), Client::USER_AGENT_MAX);
    }
}
