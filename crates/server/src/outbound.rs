//! Calling addresses that somebody else chose: applications, and documents of strangers.
//!
//! Whoever names an address must not reach by it what only this server reaches. So a name is looked up once, every address
//! that it stands for is judged, and what is dialled is an address that passed: a name that stands for another one a moment
//! later changes nothing. No redirect is followed, no proxy of the environment is asked, nothing of an answer is read but
//! what was asked for, and all of it takes five seconds at most.

mod address;
mod resolve;
#[cfg(test)]
mod tests;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use gatehouse_domain::time::Timestamp;
use http_body_util::{BodyExt, Empty, Full, Limited, combinators::BoxBody};
use hyper::{
    HeaderMap, Method, Request,
    body::Bytes,
    client::conn::http1,
    header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::Semaphore,
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

pub use resolve::{Resolve, SystemResolver};

/// How long a call may take, from the look-up of the name to the last byte that is read.
pub const TIMEOUT: Duration = Duration::from_secs(5);
/// The most of an answer that is read, whatever a caller asks for.
pub const MOST_READ: usize = 1024 * 1024;
/// Calls that are made at the same time.
pub const CONNECTIONS: usize = 256;
/// The most that the head of an answer may take.
const HEAD: usize = 64 * 1024;
/// Addresses of one name that are tried.
const TRIED: usize = 4;
const AGENT: &str = concat!("Gatehouse/", env!("CARGO_PKG_VERSION"));

/// What may be called.
#[derive(Debug, Clone)]
pub struct OutboundOptions {
    /// Networks that may be called although they are private, over http too.
    pub allow: Vec<IpNet>,
    /// Certificates that are trusted besides those of the authorities that browsers trust.
    pub authorities: Vec<CertificateDer<'static>>,
    /// How long a call may take.
    pub timeout: Duration,
}

impl Default for OutboundOptions {
    fn default() -> Self {
        Self { allow: Vec::new(), authorities: Vec::new(), timeout: TIMEOUT }
    }
}

/// Calls addresses that somebody else chose.
pub struct Outbound {
    allow: Vec<IpNet>,
    timeout: Duration,
    tls: TlsConnector,
    resolver: Box<dyn Resolve>,
    connections: Semaphore,
}

impl std::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbound").field("allow", &self.allow).finish_non_exhaustive()
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// The address is none that may be called.
    #[error("the address may not be called")]
    NotAllowed,
    /// The name stands for nothing.
    #[error("the name is not known")]
    Unresolved,
    /// Nobody listens there, or the connection broke.
    #[error("nobody answers")]
    Unreachable,
    /// Whoever answers is not who the name says.
    #[error("the certificate is not good")]
    Untrusted,
    /// It took too long.
    #[error("it takes too long")]
    TooSlow,
    /// The answer is longer than it may be.
    #[error("the answer is too long")]
    TooLong,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// What was read of its body.
    pub body: Bytes,
}

impl Answer {
    /// After how many seconds another call is welcome, if it says so: in seconds, or by a date (RFC 9110, section 10.2.3).
    #[must_use]
    pub fn retry_after(&self, now: Timestamp) -> Option<u64> {
        let text = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        let until = |at: SystemTime| {
            let at = i64::try_from(at.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()?;
            Some(u64::try_from(at.saturating_sub(now.unix_seconds())).unwrap_or(0))
        };
        text.parse().ok().or_else(|| until(httpdate::parse_http_date(text).ok()?))
    }
}

/// Ends what drives a connection together with its call.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Outbound {
    /// Calls over the network.
    ///
    /// # Errors
    /// When a certificate cannot be trusted, or the TLS library refuses its own defaults.
    pub fn new(options: &OutboundOptions) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for authority in &options.authorities {
            roots.add(authority.clone())?;
        }
        Self::with(options, Box::new(SystemResolver::default()), roots)
    }

    /// Calls with other names and other authorities.
    ///
    /// # Errors
    /// When the TLS library refuses its own defaults.
    pub fn with(
        options: &OutboundOptions,
        resolver: Box<dyn Resolve>,
        roots: RootCertStore,
    ) -> Result<Self, rustls::Error> {
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let mut config =
            config.with_safe_default_protocol_versions()?.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            allow: options.allow.clone(),
            timeout: options.timeout,
            tls: TlsConnector::from(Arc::new(config)),
            resolver,
            connections: Semaphore::new(CONNECTIONS),
        })
    }

    /// Whether any address may be called over http.
    #[must_use]
    pub fn allows_plain(&self) -> bool {
        !self.allow.is_empty()
    }

    /// Sends a form. Of the answer nothing is read but its head.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub async fn post_form(&self, url: &Url, form: String) -> Result<Answer, Unanswered> {
        let request = Request::builder().method(Method::POST).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let body = Full::new(Bytes::from(form)).boxed();
        self.call(url, request, body, None).await
    }

    /// Fetches what is there, at most so many bytes.
    ///
    /// # Errors
    /// [`Unanswered`]; [`Unanswered::TooLong`] when there is more.
    pub async fn get(&self, url: &Url, accept: &str, most: usize) -> Result<Answer, Unanswered> {
        let request = Request::builder().method(Method::GET).header(ACCEPT, accept);
        self.call(url, request, Empty::new().boxed(), Some(most.min(MOST_READ))).await
    }

    async fn call(
        &self,
        url: &Url,
        request: hyper::http::request::Builder,
        body: BoxBody<Bytes, std::convert::Infallible>,
        most: Option<usize>,
    ) -> Result<Answer, Unanswered> {
        let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
        let request = request.uri(path).header(HOST, host).header(USER_AGENT, AGENT).header(CONNECTION, "close");
        let request = request.body(body).map_err(|_| Unanswered::NotAllowed)?;
        let all = async {
            let _slot = self.connections.acquire().await.map_err(|_| Unanswered::TooSlow)?;
            let stream = self.connect(url).await?;
            match url.scheme() {
                "https" => {
                    let name = server_name(url).ok_or(Unanswered::NotAllowed)?;
                    let stream = self.tls.connect(name, stream).await.map_err(|error| untrusted(&error))?;
                    exchange(stream, request, most).await
                }
                _ => exchange(stream, request, most).await,
            }
        };
        timeout(self.timeout, all).await.unwrap_or(Err(Unanswered::TooSlow))
    }

    /// A connection to the first address of the name that may be called and answers.
    async fn connect(&self, url: &Url) -> Result<TcpStream, Unanswered> {
        let is_plain = match url.scheme() {
            "https" => false,
            "http" => true,
            _ => return Err(Unanswered::NotAllowed),
        };
        let port = url.port_or_known_default().ok_or(Unanswered::NotAllowed)?;
        let found: Vec<IpAddr> = match url.host() {
            Some(Host::Ipv4(ip)) => vec![ip.into()],
            Some(Host::Ipv6(ip)) => vec![ip.into()],
            Some(Host::Domain(name)) => self.resolver.resolve(name).await.map_err(|_| Unanswered::Unresolved)?,
            None => return Err(Unanswered::NotAllowed),
        };
        if found.is_empty() {
            return Err(Unanswered::Unresolved);
        }
        // Judged as it is dialled: an address of IPv4 in the clothes of IPv6 is one of IPv4.
        let allowed = found.iter().map(IpAddr::to_canonical).filter(|ip| self.may_be_called(*ip, is_plain));
        let mut refused = Unanswered::NotAllowed;
        for ip in allowed.take(TRIED) {
            let connecting = TcpStream::connect(SocketAddr::new(ip, port));
            match timeout(self.timeout / 2, connecting).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(_)) => refused = Unanswered::Unreachable,
                Err(_) => refused = Unanswered::TooSlow,
            }
        }
        Err(refused)
    }

    fn may_be_called(&self, ip: IpAddr, is_plain: bool) -> bool {
        let is_named = self.allow.iter().any(|network| network.contains(&ip));
        is_named || !is_plain && address::is_public(ip)
    }
}

/// Who has to answer.
fn server_name(url: &Url) -> Option<ServerName<'static>> {
    match url.host()? {
        Host::Domain(name) => ServerName::try_from(name.trim_end_matches('.').to_owned()).ok(),
        Host::Ipv4(ip) => Some(ServerName::from(IpAddr::from(ip))),
        Host::Ipv6(ip) => Some(ServerName::from(IpAddr::from(ip))),
    }
}

fn untrusted(error: &std::io::Error) -> Unanswered {
    let is_tls = error.get_ref().is_some_and(|cause| cause.is::<rustls::Error>());
    if is_tls { Unanswered::Untrusted } else { Unanswered::Unreachable }
}

/// One request and its answer; of its body at most so much, or nothing.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<BoxBody<Bytes, std::convert::Infallible>>,
    most: Option<usize>,
) -> Result<Answer, Unanswered> {
    let mut connection = http1::Builder::new();
    let handshake = connection.max_buf_size(HEAD).handshake(TokioIo::new(stream)).await;
    let (mut sender, driver) = handshake.map_err(|_| Unanswered::Unreachable)?;
    let _driver = Driver(tokio::spawn(async move { drop(driver.await) }));
    let answer = sender.send_request(request).await.map_err(|_| Unanswered::Unreachable)?;
    let (head, body) = answer.into_parts();
    let body = match most {
        None => Bytes::new(),
        Some(most) => match Limited::new(body, most).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => return Err(Unanswered::TooLong),
            Err(_) => return Err(Unanswered::Unreachable),
        },
    };
    Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
}
