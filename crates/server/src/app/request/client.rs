//! What is told of the client of a session: device and place.

use std::{net::IpAddr, path::PathBuf};

use gatehouse_domain::{
    session::{Client, Device, DeviceKind},
    text::Slug,
};
use maxminddb::{Reader, geoip2};
use woothee::{parser::Parser, woothee::VALUE_UNKNOWN};

use crate::{app::StartError, config::Config};

pub use gatehouse_persistence::{Clock, Condition, Ctx};

/// Where a request comes from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// What the audit trail keeps of it.
    pub ctx: Ctx,
    /// The `X-Device` header.
    pub declared_device: Option<String>,
    /// How to keep the answer, if the request may be sent again.
    pub store_response: Option<std::sync::Arc<crate::app::request::idempotency::StoreResponse>>,
    /// The address that the client uses, without a path: `https://id.example.com`. Tokens name their issuer by it.
    pub base_url: std::sync::Arc<str>,
}

impl Origin {
    /// The issuer of a tenant's tokens.
    #[must_use]
    pub fn issuer(&self, tenant: &Slug) -> String {
        format!("{}{}{tenant}", self.base_url, ISSUER_PATH)
    }
}

/// The path of a tenant's issuer, without the slug.
pub const ISSUER_PATH: &str = "/api/v1/auth/tenants/";

/// Reads User-Agents and addresses.
pub struct Clients {
    parser: Parser,
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
        Ok(Self { parser: Parser::new(), places: config.geoip_file.as_ref().map(open).transpose()? })
    }

    /// Describes the client of a request.
    #[must_use]
    pub fn of(&self, origin: &Origin) -> Client {
        self.describe(origin.ctx.ip, origin.ctx.user_agent.as_deref(), origin.declared_device.as_deref())
    }

    /// Describes a client. `declared` is the `X-Device` header; only `app` has a meaning.
    #[must_use]
    pub fn describe(&self, ip: Option<IpAddr>, user_agent: Option<&str>, declared: Option<&str>) -> Client {
        let user_agent = user_agent.map(|text| text.chars().take(Client::USER_AGENT_MAX).collect::<String>());
        let mut device =
            user_agent.as_deref().map_or(Device { kind: DeviceKind::Unknown, name: None }, |text| self.device(text));
        if declared == Some("app") {
            device.kind = DeviceKind::App;
        }
        Client { ip, device, location: ip.and_then(|ip| self.place(ip)), user_agent }
    }

    fn device(&self, user_agent: &str) -> Device {
        let unknown = Device { kind: DeviceKind::Unknown, name: None };
        let Some(found) = self.parser.parse(user_agent) else { return unknown };
        let kind = match found.category {
            "pc" => DeviceKind::Desktop,
            // A tablet's Android browser leaves out the word "Mobile", which a telephone's has.
            "smartphone" if found.os == "iPad" || found.os == "Android" && !user_agent.contains("Mobile") => {
                DeviceKind::Tablet
            }
            "smartphone" | "mobilephone" => DeviceKind::Mobile,
            "crawler" => DeviceKind::Bot,
            _ => DeviceKind::Unknown,
        };
        let is_known = |word: &str| !word.is_empty() && word != VALUE_UNKNOWN;
        let name = match (is_known(found.name), is_known(found.os)) {
            (true, true) => Some(format!("{} on {}", found.name, system(found.os))),
            (true, false) => Some(found.name.to_owned()),
            _ => None,
        };
        Device { kind, name: name.filter(|_| kind != DeviceKind::Unknown) }
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

/// The names that people use.
fn system(os: &str) -> &str {
    match os {
        "Mac OSX" => "macOS",
        "iPhone" | "iPod" => "iOS",
        "iPad" => "iPadOS",
        os if os.starts_with("Windows") => "Windows",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(user_agent: &str) -> (DeviceKind, Option<String>) {
        let clients = Clients { parser: Parser::new(), places: None };
        let device = clients.describe(None, Some(user_agent), None).device;
        (device.kind, device.name)
    }

    #[test]
    fn devices_are_told_apart_by_their_user_agents() {
        for (user_agent, kind, name) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
                DeviceKind::Desktop,
                "Firefox on Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
                DeviceKind::Desktop,
                "Chrome on Windows",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15",
                DeviceKind::Desktop,
                "Safari on macOS",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
                DeviceKind::Mobile,
                "Safari on iOS",
            ),
            (
                "Mozilla/5.0 (iPad; CPU OS 12_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/12.1 Mobile/15E148 Safari/604.1",
                DeviceKind::Tablet,
                "Safari on iPadOS",
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
                DeviceKind::Mobile,
                "Chrome on Android",
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; SM-X710) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
                DeviceKind::Tablet,
                "Chrome on Android",
            ),
            ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", DeviceKind::Bot, "Googlebot"),
        ] {
            assert_eq!(device(user_agent), (kind, Some(name.to_owned())), "{user_agent}");
        }
    }

    #[test]
    fn unrecognised_agents_are_unknown_and_nameless() {
        for user_agent in ["", "x", "hello world", "\u{1b}[31m<script>"] {
            assert_eq!(device(user_agent), (DeviceKind::Unknown, None), "{user_agent}");
        }
    }

    #[test]
    fn native_client_declares_itself_and_nothing_else_can_be_declared() {
        let clients = Clients { parser: Parser::new(), places: None };
        assert_eq!(clients.describe(None, Some("MyApp/1"), Some("app")).device.kind, DeviceKind::App);
        assert_eq!(clients.describe(None, None, Some("toaster")).device.kind, DeviceKind::Unknown);
        assert_eq!(clients.describe(None, None, None).user_agent, None);
    }

    #[test]
    fn long_user_agents_are_cut() {
        let clients = Clients { parser: Parser::new(), places: None };
        let client = clients.describe(None, Some(&"ä".repeat(10_000)), None);
        assert_eq!(client.user_agent.unwrap().chars().count(), Client::USER_AGENT_MAX);
    }
}
