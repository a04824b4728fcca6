//! Where a request comes from, and the addresses that clients use.

use std::{
    borrow::Cow,
    cell::Cell,
    future::{Ready, ready},
    net::IpAddr,
    rc::Rc,
    sync::Arc,
};

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::header::{HOST, HeaderMap, HeaderName, USER_AGENT},
    web::Data,
};
use gatehouse_domain::{
    id::{TenantId, UserId},
    session::Client,
    text::Slug,
};

use crate::{
    app::{
        attempts::RateLimit,
        request::client::{ChangeContext, ISSUER_PATH, PLATFORM_PATH, RequestMeta},
    },
    http::{Site, conditional, context::RequestContext, forwarded::client_ip, idempotency::Keyed, problem::Failure},
};

const DEVICE: HeaderName = HeaderName::from_static("x-device");

/// Where a request comes from, and where to put what is left of its limit. Only handlers that change something ask for
/// it, so that the others do not pay for reading the headers.
#[derive(Debug)]
pub struct ChangeRequest {
    /// Where it comes from.
    pub meta: RequestMeta,
    pub(super) keyed: Option<Keyed>,
    quota: Rc<Cell<Option<RateLimit>>>,
    /// Who has signed in by this request, for the log.
    pub(super) subject: Rc<Cell<Option<(TenantId, UserId)>>>,
}

impl ChangeRequest {
    /// Takes the result of something limited, and has the rest of the limit shown in the answer's headers.
    ///
    /// # Errors
    /// Those of the result.
    pub fn limited<T>(&self, limited: crate::app::attempts::Limited<T>) -> Result<T, Failure> {
        Ok(self.judged(limited)?)
    }

    /// The same, where the result is not the answer.
    ///
    /// # Errors
    /// Those of the result.
    pub fn judged<T>(&self, limited: crate::app::attempts::Limited<T>) -> crate::app::Result<T> {
        self.quota.set(limited.quota);
        limited.result
    }
}

impl FromRequest for ChangeRequest {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let (condition, keyed) = match (conditional::condition(request), Keyed::of(request)) {
            (Ok(condition), Ok(keyed)) => (condition, keyed),
            (Err(failure), _) | (_, Err(failure)) => return ready(Err(failure)),
        };
        let mut meta = meta(request);
        meta.ctx.condition = condition;
        ready(Ok(RequestContext::with(request, |state| Self {
            meta,
            keyed,
            quota: Rc::clone(&state.quota),
            subject: Rc::clone(&state.subject),
        })))
    }
}

/// Where a request comes from, whatever it is.
pub(super) fn meta(request: &HttpRequest) -> RequestMeta {
    let Some(site) = request.app_data::<Data<Site>>() else { unreachable!("the site is part of every route") };
    let headers = request.headers();
    let peer = request.peer_addr().map(|address| address.ip());
    let text = |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let readable =
        |text: Cow<'_, str>| text.chars().filter(|c| !c.is_control()).take(Client::USER_AGENT_MAX).collect::<String>();
    RequestContext::with(request, |state| RequestMeta {
        ctx: ChangeContext {
            now: state.now,
            clock: Some(state.clock.clone()),
            ip: client_ip(peer, headers, site.forwarded_header, &site.trusted_proxies),
            user_agent: text(USER_AGENT).map(|text| readable(text).into()),
            request_id: Some(Arc::clone(&state.id)),
            condition: None,
        },
        declared_device: text(DEVICE).map(Cow::into_owned),
        store_response: None,
        base_url: site.base_urls.of(peer, headers),
    })
}

/// The addresses under which clients reach this instance.
#[derive(Debug, Clone)]
pub struct BaseUrls {
    fixed: Option<Arc<str>>,
    bind: Arc<str>,
}

impl BaseUrls {
    /// The configured address, or for want of one the address listened on.
    #[must_use]
    pub fn new(public: Option<&url::Url>, bind: std::net::SocketAddr) -> Self {
        Self {
            fixed: public.map(|url| url.as_str().trim_end_matches('/').into()),
            bind: format!("http://{bind}").into(),
        }
    }

    /// Whether clients use https.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.fixed.as_ref().is_some_and(|url| url.starts_with("https:"))
    }

    /// The address that this client uses. Without configuration a request's own word is taken only on loopback, where
    /// whoever sends it is on this machine; anything else in `Host` never gets into an issuer or a link.
    #[must_use]
    pub fn of(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Arc<str> {
        if let Some(fixed) = &self.fixed {
            return Arc::clone(fixed);
        }
        match headers.get(HOST).and_then(|host| host.to_str().ok()) {
            Some(host) if peer.is_some_and(|ip| ip.is_loopback()) && is_loopback(host) => {
                format!("http://{host}").into()
            }
            _ => Arc::clone(&self.bind),
        }
    }

    /// Whether an issuer is one that this instance names for a tenant, or for the platform where there is none.
    #[must_use]
    pub fn is_issuer(&self, issuer: &str, tenant: Option<&Slug>) -> bool {
        let base = match tenant {
            Some(tenant) => issuer.strip_suffix(tenant.as_str()).and_then(|rest| rest.strip_suffix(ISSUER_PATH)),
            None => issuer.strip_suffix(PLATFORM_PATH),
        };
        base.is_some_and(|base| match &self.fixed {
            Some(fixed) => base == &**fixed,
            None => base == &*self.bind || base.strip_prefix("http://").is_some_and(is_loopback),
        })
    }
}

/// Whether a host, with or without a port, can only be this machine.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;
    use gatehouse_domain::issue::Parse;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn host(name: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(name).unwrap());
        headers
    }

    #[test]
    fn host_header_is_believed_on_loopback_only_and_never_beside_a_configured_url() {
        let bind = "0.0.0.0:8000".parse().unwrap();
        let unset = BaseUrls::new(None, bind);
        assert_eq!(&*unset.of(Some(ip("127.0.0.1")), &host("localhost:8000")), "http://localhost:8000");
        assert_eq!(&*unset.of(Some(ip("127.0.0.1")), &host("evil.example")), "http://0.0.0.0:8000");
        assert_eq!(&*unset.of(Some(ip("127.0.0.1")), &host("localhost.evil.example")), "http://0.0.0.0:8000");
        assert_eq!(&*unset.of(Some(ip("198.51.100.1")), &host("localhost:8000")), "http://0.0.0.0:8000");
        let set = BaseUrls::new(Some(&url::Url::parse("https://id.example.com").unwrap()), bind);
        assert_eq!(&*set.of(Some(ip("127.0.0.1")), &host("localhost:8000")), "https://id.example.com");
    }

    #[test]
    fn issuer_is_the_exact_address_and_tenant() {
        let bind = "127.0.0.1:8000".parse().unwrap();
        let tenant = Slug::parse("acme").unwrap();
        let set = BaseUrls::new(Some(&url::Url::parse("https://id.example.com/").unwrap()), bind);
        assert!(set.is_issuer("https://id.example.com/api/v1/auth/tenants/acme", Some(&tenant)));
        assert!(set.is_issuer("https://id.example.com/api/v1/platform/oauth", None));
        assert!(!set.is_issuer("https://id.example.com/api/v1/platform/oauth", Some(&tenant)));
        for bad in [
            "https://id.example.com/api/v1/auth/tenants/other",
            "https://id.example.com.evil.example/api/v1/auth/tenants/acme",
            "http://id.example.com/api/v1/auth/tenants/acme",
            "http://localhost:8000/api/v1/auth/tenants/acme",
            "acme",
        ] {
            assert!(!set.is_issuer(bad, Some(&tenant)) && !set.is_issuer(bad, None), "{bad}");
        }
        let unset = BaseUrls::new(None, bind);
        assert!(unset.is_issuer("http://localhost:8000/api/v1/auth/tenants/acme", Some(&tenant)));
        assert!(!unset.is_issuer("http://evil.example/api/v1/auth/tenants/acme", Some(&tenant)));
    }
}
