//! The address of the client behind trusted proxies, which say it in a header.

use std::net::{IpAddr, Ipv4Addr};

use actix_web::http::header::HeaderMap;
use ipnet::IpNet;

use crate::config::ForwardedHeader;

/// The address of the client: the peer's, or what trusted proxies say, read from the right up to the first hop that is
/// not one of them. A hop without an address ends the reading.
#[must_use]
pub fn client_ip(
    peer: Option<IpAddr>,
    headers: &HeaderMap,
    header: ForwardedHeader,
    trusted: &[IpNet],
) -> Option<IpAddr> {
    let mut client = peer?.to_canonical();
    let is_trusted = |ip: &IpAddr| trusted.iter().any(|network| network.contains(ip));
    if trusted.is_empty() || !is_trusted(&client) {
        return Some(client);
    }
    let values: Vec<_> = headers.get_all(header.as_str()).collect();
    for value in values.into_iter().rev() {
        // What is no text spoils its own hop only.
        let value = String::from_utf8_lossy(value.as_bytes());
        for hop in from_the_right(&value) {
            let node = match header {
                ForwardedHeader::Forwarded => node_of(hop),
                ForwardedHeader::XForwardedFor | ForwardedHeader::XRealIp => Some(hop),
            };
            let Some(ip) = node.and_then(address) else { return Some(client) };
            client = ip.to_canonical();
            if !is_trusted(&client) {
                return Some(client);
            }
        }
    }
    Some(client)
}

/// The elements of a list, from the right. A comma between quotes separates nothing. Quotes are paired from the right too,
/// because the left end comes from the client: a quote that it leaves open cannot take in what proxies have appended.
fn from_the_right(list: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(list);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut is_quoted = false;
        let comma = text.bytes().rposition(|byte| {
            is_quoted ^= byte == b'"';
            byte == b',' && !is_quoted
        });
        let (before, element) = comma.map_or((None, text), |at| (Some(&text[..at]), &text[at + 1..]));
        rest = before;
        Some(element)
    })
}

/// Splits an element, but not inside of quotes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut is_quoted = false;
    text.split(|c| {
        is_quoted ^= c == '"';
        c == separator && !is_quoted
    })
    .collect()
}

/// The node that an element of `Forwarded` names by its parameter `for` (RFC 7239, section 4). An element with an escaped
/// character names none: where such a quote ends is for the client to decide, and no address needs one.
fn node_of(element: &str) -> Option<&str> {
    if element.contains('\\') {
        return None;
    }
    let pairs = split(element, ';');
    let node = pairs
        .into_iter()
        .filter_map(|pair| pair.split_once('='))
        .find_map(|(name, value)| name.trim().eq_ignore_ascii_case("for").then(|| value.trim()))?;
    Some(node)
}

/// The address in a hop, as proxies write it: bare, in quotes, in brackets, with a port, with a zone (RFC 7239, section
/// 6; RFC 4007, section 11).
fn address(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim().trim_matches('"');
    if let Some(rest) = hop.strip_prefix('[') {
        let (inner, port) = rest.split_once(']')?;
        return if is_port(port) { without_zone(inner) } else { None };
    }
    match hop.split_once(':') {
        Some((host, port)) if !port.contains(':') => {
            if is_port(&hop[host.len()..]) {
                host.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
            } else {
                None
            }
        }
        _ => without_zone(hop),
    }
}

/// Whether this is nothing, or a colon with a port, which may be an obfuscated one.
fn is_port(text: &str) -> bool {
    let Some(port) = text.strip_prefix(':') else { return text.is_empty() };
    let is_number = (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
    let is_obfuscated = port
        .strip_prefix('_')
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)));
    is_number || is_obfuscated
}

fn without_zone(text: &str) -> Option<IpAddr> {
    let (address, zone) = text.split_once('%').map_or((text, None), |(address, zone)| (address, Some(zone)));
    let ip: IpAddr = address.parse().ok()?;
    match zone {
        Some(zone) if zone.is_empty() || ip.is_ipv4() || !zone.bytes().all(|b| b.is_ascii_alphanumeric()) => None,
        _ => Some(ip),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn by(header: ForwardedHeader, peer: &str, values: &[&str], trusted: &[&str]) -> IpAddr {
        let mut headers = HeaderMap::new();
        for value in values {
            let name = HeaderName::from_static(header.as_str());
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        client_ip(Some(ip(peer)), &headers, header, &trusted).unwrap()
    }

    fn client(peer: &str, values: &[&str], trusted: &[&str]) -> IpAddr {
        by(ForwardedHeader::XForwardedFor, peer, values, trusted)
    }

    #[test]
    fn forwarded_addresses_count_from_trusted_peers_only() {
        assert_eq!(client("198.51.100.1", &["203.0.113.9"], &[]), ip("198.51.100.1"));
        assert_eq!(client("198.51.100.1", &["203.0.113.9"], &["10.0.0.0/8"]), ip("198.51.100.1"));
        assert_eq!(client("10.0.0.1", &["203.0.113.9"], &["10.0.0.0/8"]), ip("203.0.113.9"));
    }

    #[test]
    fn rightmost_untrusted_hop_is_the_client() {
        let trusted = ["10.0.0.0/8"];
        assert_eq!(client("10.0.0.1", &["1.1.1.1, 203.0.113.9, 10.0.0.2"], &trusted), ip("203.0.113.9"));
        assert_eq!(client("10.0.0.1", &["1.1.1.1", "203.0.113.9"], &trusted), ip("203.0.113.9"));
        assert_eq!(client("10.0.0.1", &["10.0.0.3, 10.0.0.2"], &trusted), ip("10.0.0.3"));
        assert_eq!(client("::ffff:10.0.0.1", &["2001:db8::7"], &trusted), ip("2001:db8::7"));
    }

    #[test]
    fn hop_is_an_address_however_proxies_spell_it() {
        for (hop, address) in [
            ("198.51.100.7:52344", "198.51.100.7"),
            ("[2001:db8::5]:40112", "2001:db8::5"),
            ("[2001:db8::5]", "2001:db8::5"),
            ("198.51.100.7:52344, 10.0.0.5:3444", "198.51.100.7"),
            ("\"198.51.100.7:52344\"", "198.51.100.7"),
            ("\"[2001:db8::5]:40112\"", "2001:db8::5"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%eth0]:80", "fe80::1"),
            ("2001:db8::7", "2001:db8::7"),
            ("::ffff:198.51.100.7", "198.51.100.7"),
            ("198.51.100.7:_a.b-c", "198.51.100.7"),
        ] {
            assert_eq!(client("10.0.0.1", &[hop], &["10.0.0.0/8"]), ip(address), "{hop}");
        }
    }

    #[test]
    fn hop_without_an_address_ends_the_reading() {
        let trusted = ["10.0.0.0/8"];
        for garbage in [
            "",
            "unknown",
            "_hidden",
            "<script>",
            "999.1.1.1",
            "\u{e9}",
            "1.2.3.4:",
            "1.2.3.4:http",
            "1.2.3.4:123456",
            "[1.2.3.4",
            "[2001:db8::5]x",
            "1.2.3.4%eth0",
            "fe80::1%",
            "fe80::1%a b",
            ":80",
        ] {
            assert_eq!(client("10.0.0.1", &[garbage], &trusted), ip("10.0.0.1"), "{garbage}");
            let hops = format!("203.0.113.9, {garbage}, 10.0.0.2");
            assert_eq!(client("10.0.0.1", &[&hops], &trusted), ip("10.0.0.2"), "{garbage}");
        }
    }

    #[test]
    fn quote_that_the_client_leaves_open_does_not_take_in_what_the_proxy_appends() {
        let trusted = ["10.0.0.0/8"];
        for value in [
            "\", 203.0.113.9",
            "2001:db8::1%\", 203.0.113.9",
            "1.1.1.1, \"x, 203.0.113.9",
            "\"a\", \", 203.0.113.9, 10.0.0.2",
        ] {
            assert_eq!(client("10.0.0.1", &[value], &trusted), ip("203.0.113.9"), "{value}");
        }
        for (value, address) in [
            ("for=\"1.1.1.1, for=203.0.113.9", "203.0.113.9"),
            ("for=1.1.1.1;x=\", for=203.0.113.9", "203.0.113.9"),
            ("for=1.1.1.1;x=\", for=203.0.113.9;host=\"a\\\"b\"", "10.0.0.1"),
            ("host=\"a, for=\"[2001:db8::5]:80\"", "2001:db8::5"),
            ("for=1.1.1.1, for=203.0.113.9;host=\"a,b\"", "203.0.113.9"),
        ] {
            assert_eq!(by(ForwardedHeader::Forwarded, "10.0.0.1", &[value], &trusted), ip(address), "{value}");
        }
    }

    #[test]
    fn header_of_rfc_7239_is_read_where_it_is_the_one_that_counts() {
        let trusted = ["10.0.0.0/8"];
        for (value, address) in [
            ("for=198.51.100.7", "198.51.100.7"),
            ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
            ("proto=https; for=\"192.0.2.60:80\" ;host=\"a,b;c\"", "192.0.2.60"),
            ("for=1.1.1.1, for=192.0.2.43, for=10.0.0.9", "192.0.2.43"),
            ("for=1.1.1.1, for=unknown", "10.0.0.1"),
            ("for=1.1.1.1, proto=http", "10.0.0.1"),
            ("for=1.1.1.1, for=\"_gazonk\"", "10.0.0.1"),
        ] {
            assert_eq!(by(ForwardedHeader::Forwarded, "10.0.0.1", &[value], &trusted), ip(address), "{value}");
        }
        assert_eq!(by(ForwardedHeader::XRealIp, "10.0.0.1", &["198.51.100.7"], &trusted), ip("198.51.100.7"));
    }
}
