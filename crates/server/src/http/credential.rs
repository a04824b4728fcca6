//! What a request shows to prove who sends it: a closed set, each member of which is made in one place.
//!
//! Which of them a request may show depends on its surface: see [`crate::http::surface::Surface::credential`].

use std::{borrow::Cow, fmt};

use actix_web::{
    HttpMessage,
    dev::ServiceRequest,
    http::header::{AUTHORIZATION, COOKIE, HeaderMap},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use gatehouse_domain::secret::Secret;
use percent_encoding::percent_decode_str;

use crate::{cli::operator::Operator, http::surface::Surface};

/// A credential. Showing one proves nothing yet: the edge finds out whose it is.
#[derive(Debug)]
pub enum Credential<'r> {
    /// An access token.
    AccessToken(AccessToken<'r>),
    /// The cookies by which a browser keeps its sessions.
    Cookie(SessionCookies),
    /// The id and the secret of an application.
    Client(ClientSecret),
    /// None is needed: the request was made in this process, by the command line.
    Operator(Operator),
}

/// A credential was shown in a form that cannot be read, or there was more than one.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable;

impl<'r> Credential<'r> {
    /// The credential of a request, if it shows one. That of an operator lies beside the request and not in its headers,
    /// so no request that came over a network can have it.
    ///
    /// # Errors
    /// When there is one that cannot be read.
    pub fn of(request: &'r ServiceRequest, surface: &dyn Surface, is_https: bool) -> Result<Option<Self>, Unreadable> {
        match request.extensions().get::<Operator>() {
            Some(operator) => Ok(Some(Self::Operator(operator.clone()))),
            None => surface.credential(request.headers(), is_https),
        }
    }
}

/// What follows a scheme in the only `Authorization` header. Two credentials are one too many.
fn authorization<'r>(headers: &'r HeaderMap, scheme: &str) -> Result<Option<&'r [u8]>, Unreadable> {
    let mut values = headers.get_all(AUTHORIZATION);
    let Some(value) = values.next() else { return Ok(None) };
    let (shown, rest) = value.as_bytes().split_at_checked(scheme.len()).ok_or(Unreadable)?;
    let rest = rest.strip_prefix(b" ").ok_or(Unreadable)?.trim_ascii_start();
    let is_one = values.next().is_none() && shown.eq_ignore_ascii_case(scheme.as_bytes()) && !rest.is_empty();
    if is_one { Ok(Some(rest)) } else { Err(Unreadable) }
}

/// An access token (RFC 6750 section 2.1), with a proof where it came by the scheme `DPoP` (RFC 9449, section 7.1). What is
/// not of its alphabet is no token of ours anyway.
pub struct AccessToken<'r> {
    /// The token.
    pub token: &'r [u8],
    /// The proof that the sender holds the key of the token.
    pub proof: Option<&'r str>,
}

impl fmt::Debug for AccessToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(…)")
    }
}

impl<'r> AccessToken<'r> {
    /// The token in the headers.
    ///
    /// # Errors
    /// When there is another credential.
    pub fn of(headers: &'r HeaderMap) -> Result<Option<Self>, Unreadable> {
        if let Ok(found) = authorization(headers, "Bearer") {
            return Ok(found.map(|token| Self { token, proof: None }));
        }
        let token = authorization(headers, "DPoP")?.ok_or(Unreadable)?;
        // None, or two, prove nothing, and nor does an empty one.
        let proof = proof(headers).ok().flatten().unwrap_or_default();
        Ok(Some(Self { token, proof: Some(proof) }))
    }
}

/// The proof in the only header `DPoP`.
///
/// # Errors
/// When there are two, or it is no text.
pub fn proof(headers: &HeaderMap) -> Result<Option<&str>, Unreadable> {
    let mut values = headers.get_all("dpop");
    let Some(value) = values.next() else { return Ok(None) };
    let proof = value.to_str().map_err(|_| Unreadable)?;
    if values.next().is_none() { Ok(Some(proof)) } else { Err(Unreadable) }
}

/// The id and the secret of an application (RFC 6749 section 2.3.1). Libraries differ in whether they escape them: neither
/// has a percent sign of its own, so both ways are read.
#[derive(Debug)]
pub struct ClientSecret {
    /// The id.
    pub id: String,
    /// The secret.
    pub secret: Secret<String>,
}

impl ClientSecret {
    /// Id and secret in the headers.
    ///
    /// # Errors
    /// When there is another credential, or no text with a colon in it.
    pub fn of(headers: &HeaderMap) -> Result<Option<Self>, Unreadable> {
        let Some(encoded) = authorization(headers, "Basic")? else { return Ok(None) };
        let text = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or(Unreadable)?;
        let (id, secret) = text.split_once(':').ok_or(Unreadable)?;
        let unescaped = |text: &str| match percent_decode_str(text).decode_utf8() {
            Ok(text) => Ok(text.into_owned()),
            Err(_) => Err(Unreadable),
        };
        Ok(Some(Self { id: unescaped(id)?, secret: Secret::new(unescaped(secret)?) }))
    }
}

/// The name of a cookie. Where clients use https it has the prefix that makes browsers refuse it from anybody else
/// (RFC 6265bis section 4.1.3.2); on http they would refuse it from us too.
#[must_use]
pub fn cookie_name(name: &str, is_https: bool) -> Cow<'_, str> {
    if is_https { format!("__Host-{name}").into() } else { name.into() }
}

/// The cookies of a request: names and values.
pub fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let values = headers.get_all(COOKIE).filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='))
}

/// The most sessions that a browser keeps.
pub const SESSIONS_MAX: usize = 20;
/// The name of such a cookie, without what https adds and without the tenant.
const SESSION_COOKIE: &str = "gh-s-";

/// The name of the cookie by which a browser keeps its session of a tenant: `suffix` is the tenant's id without its prefix.
#[must_use]
pub fn session_cookie_name(suffix: &str, is_https: bool) -> String {
    format!("{}{suffix}", cookie_name(SESSION_COOKIE, is_https))
}

/// The cookies by which a browser keeps its sessions, one for each tenant.
pub struct SessionCookies(Vec<(String, String)>);

impl fmt::Debug for SessionCookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionCookies(…)")
    }
}

impl SessionCookies {
    /// The cookies in the headers.
    #[must_use]
    pub fn of(headers: &HeaderMap, is_https: bool) -> Self {
        let prefix = cookie_name(SESSION_COOKIE, is_https);
        let ours = |(name, value): (&str, &str)| Some((name.strip_prefix(&*prefix)?.to_owned(), value.to_owned()));
        Self(cookies(headers).filter_map(ours).collect())
    }

    /// The cookie of a tenant. Of two, somebody else may have set one: neither counts.
    #[must_use]
    pub fn of_tenant(&self, suffix: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(tenant, _)| *tenant == suffix).map(|(_, value)| value.as_str());
        values.next().filter(|_| values.next().is_none())
    }

    /// The cookies of all tenants that it has one alone of.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|(tenant, _)| self.of_tenant(tenant))
    }

    /// The tenants that it has cookies of, by their suffixes, in the order in which the browser sends them.
    pub fn tenants(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(tenant, _)| tenant.as_str())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    fn headers(name: HeaderName, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        values.iter().for_each(|value| headers.append(name.clone(), HeaderValue::from_str(value).unwrap()));
        headers
    }

    fn bearer(values: &[&str]) -> Result<Option<String>, Unreadable> {
        let token = |it: AccessToken<'_>| String::from_utf8_lossy(it.token).into_owned();
        AccessToken::of(&headers(AUTHORIZATION, values)).map(|found| found.map(token))
    }

    #[test]
    fn bearer_token_is_the_only_credential() {
        assert_eq!(bearer(&[]), Ok(None));
        assert_eq!(bearer(&["Bearer a.b"]), Ok(Some("a.b".to_owned())));
        assert_eq!(bearer(&["bEARER   a.b"]), Ok(Some("a.b".to_owned())));
        for bad in
            [&["Bearer "][..], &["Bearer"], &["Bearera.b"], &["Basic YTpi"], &["", ""], &["Bearer a", "Bearer a"]]
        {
            assert_eq!(bearer(bad), Err(Unreadable), "{bad:?}");
        }
    }

    #[test]
    fn token_that_is_bound_comes_with_one_proof() {
        let with = |tokens: &[&str], proofs: &[&str]| {
            let mut all = headers(AUTHORIZATION, tokens);
            proofs
                .iter()
                .for_each(|it| all.append(HeaderName::from_static("dpop"), HeaderValue::from_str(it).unwrap()));
            AccessToken::of(&all).map(|found| found.and_then(|it| it.proof.map(str::to_owned)))
        };
        assert_eq!(with(&["dpop a.b"], &["p"]), Ok(Some("p".to_owned())));
        assert_eq!(with(&["Bearer a.b"], &["p"]), Ok(None), "another scheme needs none");
        for nothing in [&[][..], &["p", "p"]] {
            assert_eq!(with(&["DPoP a"], nothing), Ok(Some(String::new())), "{nothing:?}");
        }
        assert_eq!(with(&["DPoP a", "Bearer a"], &["p"]), Err(Unreadable));
    }

    #[test]
    fn secret_of_an_application_may_have_colons_and_may_be_escaped() {
        let read = |value: &str| {
            let found = ClientSecret::of(&headers(AUTHORIZATION, &[value]))?;
            Ok(found.map(|it| (it.id, it.secret.expose().clone())))
        };
        let encoded = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert_eq!(read(&encoded("app_1:a:+b")), Ok(Some(("app_1".to_owned(), "a:+b".to_owned()))));
        assert_eq!(read(&encoded("app%5F1:ghk%5fa%2Db")), Ok(Some(("app_1".to_owned(), "ghk_a-b".to_owned()))));
        for bad in [encoded("app_1"), encoded("app_1:%ff"), "Basic ***".to_owned(), "Bearer YTpi".to_owned()] {
            assert_eq!(read(&bad), Err(Unreadable), "{bad}");
        }
    }

    #[test]
    fn browser_keeps_a_session_for_each_tenant() {
        let headers = headers(COOKIE, &["__Host-gh-s-a=1; gh-s-a=2; other=3", "__Host-gh-s-b=4; __Host-gh-s-b=5"]);
        let (https, http) = (SessionCookies::of(&headers, true), SessionCookies::of(&headers, false));
        assert_eq!((https.of_tenant("a"), http.of_tenant("a")), (Some("1"), Some("2")));
        assert_eq!((https.of_tenant("b"), https.of_tenant("c")), (None, None), "two of one name, or none");
        assert!(SessionCookies::of(&HeaderMap::new(), true).is_empty());
    }
}
