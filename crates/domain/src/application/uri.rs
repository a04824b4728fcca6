//! Addresses of applications, in the one form in which they are compared.
//!
//! A redirect URI is compared as text (RFC 9700, section 4.1.3), so it is taken only as a URL parser would write it back:
//! what a browser makes of it is what was registered.

use serde::{Deserialize, Serialize};
use url::{Host, Position, Url};

use crate::issue::{Fault, Parse};

/// The most characters of a redirect URI or an origin.
const MAX: usize = 2_000;
/// The parameters that answers are made of (RFC 6749, section 4.1.2; RFC 9207).
const ANSWERS: [&str; 4] = ["code", "error", "iss", "state"];

/// The parts of a URI of visible characters, without user name, wildcard, fragment and backslash.
fn parts(text: &str, max: usize) -> Option<Url> {
    if text.len() > max || !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains(['#', '*', '\\']) {
        return None;
    }
    Url::parse(text).ok().filter(|url| url.username().is_empty() && url.password().is_none())
}

/// The same of a URI that the parser writes back as it is; an empty path may be missing.
fn exact(text: &str) -> Option<Url> {
    let is_written = |url: &Url| {
        let without_path = || [&url[..Position::BeforePath], &url[Position::AfterPath..]].concat();
        url.as_str() == text || url.path() == "/" && without_path() == text
    };
    parts(text, MAX).filter(is_written)
}

/// Whether it is `http` at an address of the user's own device (RFC 8252, section 7.3).
fn is_loopback(url: &Url) -> bool {
    let own = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address == std::net::Ipv4Addr::LOCALHOST,
        Some(Host::Ipv6(address)) => address == std::net::Ipv6Addr::LOCALHOST,
        None => false,
    };
    url.scheme() == "http" && own
}

macro_rules! uris {
    ($($(#[$doc:meta])* $name:ident { max: $max:expr, pattern: $pattern:literal, example: $example:literal })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// What the text matches (ECMA-262).
            pub const PATTERN: &'static str = $pattern;

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .max_length(Some($max))
                    .pattern(Some($pattern))
                    .examples([serde_json::json!($example)])
                    .into()
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $name {}
    )*};
}

uris! {
    /// Where an answer may be sent: `https`, `http` on a loopback host, or a private-use scheme (RFC 8252, section 7.1).
    RedirectUri {
        max: MAX,
        pattern: "^[a-z][a-z0-9+.-]*:[!-\"$-)+-\\[\\]-~]+$",
        example: "https://app.example.com/callback"
    }

    /// Scheme, host and port of a page that may read answers (RFC 6454).
    Origin {
        max: MAX,
        pattern: "^https?://[a-z0-9.:_\\[\\]-]+$",
        example: "https://app.example.com"
    }

    /// Where an application is told that sessions have ended (OpenID Connect Back-Channel Logout 1.0, section 2.2): `https`,
    /// or `http` where the server may call private addresses.
    LogoutUri {
        max: MAX,
        pattern: "^https?://[!-\"$-)+-\\[\\]-~]+$",
        example: "https://app.example.com/backchannel-logout"
    }

    /// Where a client ID metadata document is, which is the `client_id` of the application that it describes: `https`
    /// alone, as others could change on the way what `http` brings.
    DocumentUrl {
        max: Self::MAX,
        pattern: "^https://[a-z0-9.:_\\[\\]-]+/[A-Za-z0-9._~!$&'()+,;=:@%/-]+$",
        example: "https://tool.example.com/oauth/client.json"
    }

    /// An API that tokens are for (RFC 8707).
    ResourceUri {
        max: Self::MAX,
        pattern: "^[A-Za-z][A-Za-z0-9+.-]*:[!-\"$-)+-\\[\\]-~]+$",
        example: "https://api.example.com/"
    }
}

impl LogoutUri {
    /// Whether what is sent there can be read by others on the way.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.0.starts_with("http:")
    }
}

impl Parse for LogoutUri {
    fn parse(text: &str) -> Result<Self, Fault> {
        let is_web = |url: &Url| matches!(url.scheme(), "https" | "http") && url.has_host();
        match exact(text).filter(is_web) {
            Some(_) => Ok(Self(text.to_owned())),
            None => Err(Fault::new(
                "url_parsing",
                "must be an https address of at most 2000 characters without user name and fragment, as a URL parser writes it",
            )),
        }
    }
}

impl DocumentUrl {
    /// Takes what was stored.
    #[must_use]
    pub const fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The most characters.
    pub const MAX: usize = 512;

    /// The host that answers there, with its port where that is not the usual one.
    #[must_use]
    pub fn host(&self) -> &str {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        rest.split('/').next().unwrap_or_default()
    }
}

impl Parse for DocumentUrl {
    fn parse(text: &str) -> Result<Self, Fault> {
        let is_plain_text = |byte: u8| byte.is_ascii_alphanumeric() || b"._~!$&'()+,;=:@%/-".contains(&byte);
        // The parser takes away segments of dots, an empty user name and the usual port, so that the text differs then.
        let is_document = |url: &Url| {
            let has_path = url.path().len() > 1 && url.path().bytes().all(is_plain_text);
            url.scheme() == "https" && has_path && url.query().is_none() && url.as_str() == text
        };
        match parts(text, Self::MAX).filter(is_document) {
            Some(_) => Ok(Self(text.to_owned())),
            None => Err(Fault::new(
                "url_parsing",
                "must be an https address with a path, without user name, query, fragment and segments of dots, as a URL \
                 parser writes it, of at most 512 characters",
            )),
        }
    }
}

impl RedirectUri {
    fn url(&self) -> Option<Url> {
        Url::parse(&self.0).ok()
    }

    /// Whether the scheme is one that an application on the user's device claims for itself.
    #[must_use]
    pub fn is_private_use(&self) -> bool {
        !self.0.starts_with("https:") && !self.0.starts_with("http:")
    }

    /// Whether the answer goes to a program on the user's own device, which any other program there could be instead.
    #[must_use]
    pub fn is_on_device(&self) -> bool {
        !self.0.starts_with("https:")
    }

    /// What people know who gets the answer by: the host, with its port where that is fixed and not the usual one; behind a
    /// private-use scheme that scheme alone, as whoever writes it puts any host there.
    #[must_use]
    pub fn who(text: &str) -> String {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "https" | "http"));
        let host = url.as_ref().and_then(|url| Some((url.host_str()?, url.port().filter(|_| !is_loopback(url)))));
        match host {
            Some((host, Some(port))) => format!("{host}:{port}"),
            Some((host, None)) => host.to_owned(),
            None => text.split(':').next().unwrap_or_default().to_owned(),
        }
    }

    /// Whether an address is this one, as text. On a loopback host any port may do: an application on the user's device
    /// takes whichever is free (RFC 8252, section 7.3).
    #[must_use]
    pub fn matches(&self, text: &str, any_port: bool) -> bool {
        if self.0 == text {
            return true;
        }
        let without_port =
            |url: Url| is_loopback(&url).then(|| [&url[..Position::AfterHost], &url[Position::BeforePath..]].concat());
        let registered = || self.url().and_then(without_port);
        let shown = || exact(text).and_then(without_port);
        any_port && registered().is_some_and(|registered| shown().as_ref() == Some(&registered))
    }

    /// The origin of what is behind it; none behind a private-use scheme.
    #[must_use]
    pub fn origin(&self) -> Option<Origin> {
        self.url().filter(|_| !self.is_private_use()).map(|url| Origin(url.origin().ascii_serialization()))
    }
}

impl Parse for RedirectUri {
    fn parse(text: &str) -> Result<Self, Fault> {
        let is_allowed = |url: &Url| match url.scheme() {
            "https" => url.has_host(),
            "http" => is_loopback(url),
            scheme => scheme.contains('.') && (url.has_host() || !url.path().is_empty()),
        };
        // Beside one of its own an application could take for the answer what was registered.
        let is_answer = |url: &Url| url.query_pairs().any(|(name, _)| ANSWERS.contains(&name.as_ref()));
        let msg = "must be https, http on 127.0.0.1, [::1] or localhost, or a scheme with a dot in its name, without \
                   fragment, user name, wildcard and the parameters code, error, iss and state, as a URL parser writes \
                   it, of at most 2000 characters";
        match exact(text).filter(is_allowed).filter(|url| !is_answer(url)) {
            Some(_) => Ok(Self(text.to_owned())),
            None => Err(Fault::new("redirect_uri", msg)),
        }
    }
}

impl Parse for Origin {
    fn parse(text: &str) -> Result<Self, Fault> {
        let is_origin =
            |url: &Url| (url.scheme() == "https" || is_loopback(url)) && url.origin().ascii_serialization() == text;
        let msg = "must be https://host[:port], or http on 127.0.0.1, [::1] or localhost, without a path, as a browser \
                   writes it";
        match parts(text, MAX).filter(is_origin) {
            Some(_) => Ok(Self(text.to_owned())),
            None => Err(Fault::new("origin", msg)),
        }
    }
}

impl ResourceUri {
    /// The most characters.
    pub const MAX: usize = 1_000;

    /// The form that is compared: `https://h` and `https://h/` are one, and so are cases of scheme and host.
    #[must_use]
    pub fn key(&self) -> String {
        Url::parse(&self.0).map_or_else(|_| self.0.clone(), String::from)
    }
}

impl Parse for ResourceUri {
    fn parse(text: &str) -> Result<Self, Fault> {
        // What a URI may hold (RFC 3986, section 2); the parser takes more.
        let is_written = !text.contains(['"', '<', '>', '^', '`', '{', '|', '}']);
        match parts(text, Self::MAX).filter(|url| is_written && (url.has_host() || !url.path().is_empty())) {
            Some(_) => Ok(Self(text.to_owned())),
            None => {
                let msg =
                    "must be an absolute URI without fragment, user name and wildcard, of at most 1000 characters";
                Err(Fault::new("resource_uri", msg))
            }
        }
    }
}
