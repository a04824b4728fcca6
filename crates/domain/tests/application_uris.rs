//! Which URIs an application may be registered with, one by one.

use gatehouse_domain::{
    application::{Origin, RedirectUri, ResourceUri},
    issue::Parse,
};

/// Taken for applications of every type.
const FOR_ALL: [&str; 37] = [
    "https://app.example.com",
    "https://app.example.com/",
    "https://app.example.com/callback",
    "https://app.example.com/callback/",
    "https://app.example.com/callback?tenant=acme",
    "https://app.example.com?tenant=acme",
    "https://app.example.com/?",
    "https://app.example.com:8443/callback",
    "https://app.example.com:80/callback",
    "https://app/callback",
    "https://app.example.com./callback",
    "https://xn--bcher-kva.example/callback",
    "https://a-b.c_d.example/callback",
    "https://192.0.2.7/callback",
    "https://[2001:db8::7]/callback",
    "https://[2001:db8::7]:8443/callback",
    "https://localhost/callback",
    "https://127.0.0.1:8443/callback",
    "https://app.example.com/a//b",
    "https://app.example.com/a%2Fb",
    "https://app.example.com/a%20b",
    "https://app.example.com/~user/(cb)",
    "https://app.example.com/a;b=c",
    "https://app.example.com/@me",
    "https://app.example.com/callback?a=b&c=d%26e",
    "https://app.example.com/callback?next=https://other.example/",
    "https://app.example.com/callback?next=//other.example",
    "https://app.example.com/Callback",
    "https://app.example.com/...",
    "http://localhost",
    "http://localhost/",
    "http://localhost:8080/callback",
    "http://127.0.0.1/callback",
    "http://127.0.0.1:49152/callback",
    "http://[::1]/callback",
    "http://[::1]:49152/callback",
    "http://localhost:8080/callback?a=b",
];

/// Taken for applications of the type NATIVE alone.
const FOR_NATIVE: [&str; 9] = [
    "com.example.app:/callback",
    "com.example.app:callback",
    "com.example.app://callback",
    "com.example.app://callback/path?a=b",
    "com.example.app:/",
    "com.example.my-app:/callback",
    "com.example.app+beta:/callback",
    "net.example.a1:/oauth2redirect",
    "example.app:/callback",
];

/// Taken for none.
const FOR_NONE: [&str; 93] = [
    "https://app.example.com/callback?code=mine",
    "https://app.example.com/callback?a=b&st%61te=mine",
    "http://127.0.0.1/callback?iss=https://other.example",
    "",
    " ",
    "callback",
    "/callback",
    "//app.example.com/callback",
    "app.example.com/callback",
    "https:",
    "https://",
    "https:///callback",
    "https:/app.example.com/callback",
    "https:app.example.com/callback",
    "https:\\\\app.example.com\\callback",
    "https://app.example.com\\callback",
    "https://app.example.com/a\\b",
    "https://app.example.com/callback#",
    "https://app.example.com/callback#top",
    "https://app.example.com#",
    "https://*.example.com/callback",
    "https://app.example.com/*",
    "https://app.example.com/callback?*",
    "https://app.example.com/callback?a=*",
    "https://user@app.example.com/callback",
    "https://user:secret@app.example.com/callback",
    "https://:secret@app.example.com/callback",
    "https://@app.example.com/callback",
    "https://app.example.com@other.example/callback",
    "https://app.example.com:443/callback",
    "https://app.example.com:/callback",
    "https://app.example.com:0443/callback",
    "https://app.example.com:65536/callback",
    "https://app.example.com:-1/callback",
    "https://app.example.com:port/callback",
    "HTTPS://app.example.com/callback",
    "Https://app.example.com/callback",
    "https://App.example.com/callback",
    "https://APP.EXAMPLE.COM/callback",
    "https://b\u{fc}cher.example/callback",
    "https://app.example.com/b\u{fc}cher",
    "https://app.example.com/callback?b=\u{fc}",
    "https://\u{ff41}pp.example.com/callback",
    "https://app\u{3002}example.com/callback",
    "https://app.example.com/a/../b",
    "https://app.example.com/./callback",
    "https://app.example.com/..",
    "https://app.example.com/a/%2e%2e/b",
    "https://app.example.com/a/%2E/b",
    "https://app.example.com/call back",
    " https://app.example.com/callback",
    "https://app.example.com/callback ",
    "https://app.example.com/callback\n",
    "https://app.example.com/call\tback",
    "https://app.example.com/call\rback",
    "https://app.example.com/callback\0",
    "https://app.example.com/callback\u{7f}",
    "https://app.example.com/callback\u{a0}",
    "https://app.example.com/callback\u{200b}",
    "https://app.example.com/\"quoted\"",
    "https://app.example.com/<b>",
    "https://app.example.com/a`b",
    "https://app.example.com/{a}",
    "https://app example.com/callback",
    "https://app%2eexample.com/callback",
    "https://app.example.com%00.other.example/callback",
    "https://[2001:DB8::7]/callback",
    "https://[2001:db8:0:0:0:0:0:7]/callback",
    "https://[2001:db8::7/callback",
    "https://192.0.2/callback",
    "https://192.0.2.007/callback",
    "https://0xc0000207/callback",
    "https://3221225991/callback",
    "http://app.example.com/callback",
    "http://app.example.com:8080/callback",
    "http://127.0.0.2/callback",
    "http://127.1/callback",
    "http://2130706433/callback",
    "http://0.0.0.0/callback",
    "http://[::]/callback",
    "http://[::ffff:127.0.0.1]/callback",
    "http://[0:0:0:0:0:0:0:1]/callback",
    "http://localhost./callback",
    "http://localhost.example.com/callback",
    "http://LOCALHOST/callback",
    "http://localhost:80/callback",
    "http://user@localhost/callback",
    "javascript:alert(1)",
    "data:text/html,hello",
    "vbscript:msgbox",
    "myapp://callback",
    "com.example.app:",
    "Com.example.app:/callback",
];

/// Taken for none either: schemes that lead to something else.
const SCHEMES: [&str; 14] = [
    "JavaScript:alert(1)",
    "java\nscript:alert(1)",
    "about:blank",
    "blob:https://app.example.com/1",
    "file:///etc/passwd",
    "ftp://app.example.com/callback",
    "ws://app.example.com/callback",
    "wss://app.example.com/callback",
    "urn:ietf:wg:oauth:2.0:oob",
    "mailto:ada@example.com",
    "tel:123",
    "intent://callback",
    "view-source:https://app.example.com/",
    "x-callback:/path",
];

const ORIGINS: [(&str, bool); 26] = [
    ("https://app.example.com", true),
    ("https://app.example.com:8443", true),
    ("https://app", true),
    ("https://192.0.2.7", true),
    ("https://[2001:db8::7]:8443", true),
    ("https://xn--bcher-kva.example", true),
    ("http://localhost", true),
    ("http://localhost:5173", true),
    ("http://127.0.0.1:5173", true),
    ("http://[::1]:5173", true),
    ("", false),
    ("*", false),
    ("null", false),
    ("https://*.example.com", false),
    ("https://app.example.com/", false),
    ("https://app.example.com/path", false),
    ("https://app.example.com?a", false),
    ("https://app.example.com#", false),
    ("https://app.example.com:443", false),
    ("https://user@app.example.com", false),
    ("https://App.example.com", false),
    ("HTTPS://app.example.com", false),
    ("http://app.example.com", false),
    ("http://localhost.example.com", false),
    ("com.example.app://callback", false),
    ("https://app.example.com https://other.example", false),
];

const RESOURCES: [(&str, bool); 24] = [
    ("https://api.example.com", true),
    ("https://api.example.com/", true),
    ("HTTPS://API.example.com/", true),
    ("https://api.example.com/v1?region=eu", true),
    ("https://api.example.com:8443/v1", true),
    ("http://api.internal/v1", true),
    ("urn:example:api", true),
    ("api://orders", true),
    ("com.example.api:/orders", true),
    ("", false),
    ("api", false),
    ("/v1", false),
    ("//api.example.com/", false),
    ("api.example.com", false),
    ("https://", false),
    ("https://api.example.com/#v1", false),
    ("https://api.example.com/#", false),
    ("https://user@api.example.com/", false),
    ("https://api.example.com/*", false),
    ("https://api.example.com/a b", false),
    ("https://api.example.com/{id}", false),
    ("https://api.example.com/\"", false),
    ("https://b\u{fc}cher.example/", false),
    ("urn:", false),
];

#[test]
fn redirect_uris_are_taken_as_a_url_parser_writes_them_and_no_other() {
    for text in FOR_ALL {
        let uri = RedirectUri::parse(text);
        assert!(uri.is_ok_and(|uri| uri.as_str() == text && !uri.is_private_use()), "{text}");
    }
    for text in FOR_NATIVE {
        let uri = RedirectUri::parse(text);
        assert!(uri.is_ok_and(|uri| uri.is_private_use() && uri.origin().is_none()), "{text}");
    }
    for text in FOR_NONE.into_iter().chain(SCHEMES) {
        assert!(RedirectUri::parse(text).is_err(), "{text:?}");
    }
    let long = |n: usize| format!("https://h/{}", "a".repeat(n - 10));
    assert!(RedirectUri::parse(&long(2_000)).is_ok() && RedirectUri::parse(&long(2_001)).is_err());
}

#[test]
fn origin_is_scheme_host_and_port_as_a_browser_sends_them() {
    for (text, is_taken) in ORIGINS {
        assert_eq!(Origin::parse(text).is_ok(), is_taken, "{text:?}");
    }
}

#[test]
fn origin_of_a_redirect_uri_is_one_that_is_taken() {
    for text in FOR_ALL {
        let origin = RedirectUri::parse(text).ok().and_then(|uri| uri.origin());
        assert!(origin.is_some_and(|origin| Origin::parse(origin.as_str()).is_ok()), "{text}");
    }
}

#[test]
fn resource_is_an_absolute_uri_without_a_fragment() {
    for (text, is_taken) in RESOURCES {
        assert_eq!(ResourceUri::parse(text).is_ok(), is_taken, "{text:?}");
    }
}

#[test]
fn resources_are_one_whatever_the_case_of_scheme_and_host_and_with_or_without_an_empty_path() {
    let key = |text: &str| ResourceUri::parse(text).map(|uri| uri.key()).unwrap_or_default();
    for same in ["https://api.example.com", "HTTPS://API.EXAMPLE.COM", "https://Api.example.com/"] {
        assert_eq!(key(same), "https://api.example.com/", "{same}");
    }
    for other in ["https://api.example.com/a", "https://api.example.com/A", "https://api.example.com:8443/"] {
        assert_eq!(key(other), other);
    }
}
