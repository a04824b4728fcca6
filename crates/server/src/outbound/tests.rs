//! Calls to listeners on loopback, with names that stand for what a test says.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::*;

/// Names that stand for one list of addresses after the other, and how often each was looked up.
#[derive(Default)]
struct Names {
    found: HashMap<&'static str, Vec<Vec<&'static str>>>,
    asked: Mutex<HashMap<String, usize>>,
}

struct Shared(Arc<Names>);

impl Resolve for Shared {
    fn resolve<'a>(&'a self, name: &'a str) -> resolve::Found<'a> {
        if name == "hangs.test" {
            return Box::pin(std::future::pending());
        }
        let mut asked = self.0.asked.lock().unwrap();
        let count = asked.entry(name.to_owned()).or_default();
        let lists = self.0.found.get(name).cloned().unwrap_or_default();
        let found = lists.get(*count).or(lists.last()).cloned().unwrap_or_default();
        *count += 1;
        Box::pin(async move { Ok(found.into_iter().map(|ip| ip.parse().unwrap()).collect()) })
    }
}

/// A listener that says one thing to everybody, and counts them.
struct Listener {
    port: u16,
    hits: Arc<AtomicUsize>,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Listener {
    async fn at(address: &str, answer: &'static str) -> Self {
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        Self::on(listener, port, answer)
    }

    fn on(listener: TcpListener, port: u16, answer: &'static str) -> Self {
        let (hits, heard): (Arc<AtomicUsize>, Arc<Mutex<Vec<String>>>) = Default::default();
        let (counting, hearing) = (Arc::clone(&hits), Arc::clone(&heard));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counting.fetch_add(1, Ordering::SeqCst);
                let hearing = Arc::clone(&hearing);
                tokio::spawn(async move {
                    let mut bytes = vec![0; 16 * 1024];
                    let mut n = stream.read(&mut bytes).await.unwrap_or(0);
                    if bytes[..n].starts_with(b"POST") && bytes[..n].ends_with(b"\r\n\r\n") {
                        n += stream.read(&mut bytes[n..]).await.unwrap_or(0);
                    }
                    hearing.lock().unwrap().push(String::from_utf8_lossy(&bytes[..n]).into_owned());
                    drop(stream.write_all(answer.as_bytes()).await);
                    if answer.is_empty() {
                        std::future::pending::<()>().await;
                    }
                });
            }
        });
        Self { port, hits, heard }
    }

    fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }
}

const FINE: &str = "HTTP/1.1 200 OK\r\nRetry-After: 7\r\nContent-Length: 5\r\n\r\nhello";

fn options(allow: &[&str]) -> OutboundOptions {
    OutboundOptions {
        allow: allow.iter().map(|network| network.parse().unwrap()).collect(),
        timeout: Duration::from_millis(500),
        ..OutboundOptions::default()
    }
}

fn outbound(allow: &[&str], names: Names) -> (Outbound, Arc<Names>) {
    let names = Arc::new(names);
    let shared = Box::new(Shared(Arc::clone(&names)));
    (Outbound::with(&options(allow), shared, RootCertStore::empty()).unwrap(), names)
}

fn names(found: &[(&'static str, &[&[&'static str]])]) -> Names {
    let lists = |lists: &[&[&'static str]]| lists.iter().map(|list| list.to_vec()).collect();
    Names { found: found.iter().map(|(name, all)| (*name, lists(all))).collect(), ..Names::default() }
}

fn url(text: String) -> Url {
    Url::parse(&text).unwrap()
}

#[tokio::test]
async fn form_arrives_as_a_form_and_the_answer_is_its_head() {
    let listener = Listener::at("127.0.0.1", FINE).await;
    let (outbound, _) = outbound(&["127.0.0.0/8"], names(&[("app.test", &[&["127.0.0.1"]])]));
    let to = url(format!("http://app.test:{}/a%20b?c=d&e", listener.port));
    let answer = outbound.post_form(&to, "logout_token=x".to_owned()).await.unwrap();
    assert_eq!((answer.status, answer.retry_after(Timestamp::from_micros(0)), answer.body.len()), (200, Some(7), 0));
    let heard = listener.heard.lock().unwrap().remove(0);
    let expected = [
        "POST /a%20b?c=d&e HTTP/1.1\r\n",
        &format!("host: app.test:{}\r\n", listener.port),
        "content-type: application/x-www-form-urlencoded\r\n",
        "content-length: 14\r\n",
        "connection: close\r\n",
        "\r\n\r\nlogout_token=x",
    ];
    assert!(expected.iter().all(|part| heard.contains(part)), "{heard}");
}

#[test]
fn time_to_wait_is_said_in_seconds_or_by_a_date() {
    let now = Timestamp::from_micros(784_111_777_000_000);
    let after = |text: &'static str| {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, hyper::header::HeaderValue::from_static(text))]);
        Answer { status: 429, headers, body: Bytes::new() }.retry_after(now)
    };
    assert_eq!((after("120"), after("Sun, 06 Nov 1994 08:51:37 GMT")), (Some(120), Some(120)));
    assert_eq!((after("Sun, 06 Nov 1994 08:49:36 GMT"), after("soon"), after("-1")), (Some(0), None, None));
}

#[tokio::test]
async fn document_is_read_up_to_what_was_asked_for() {
    let listener = Listener::at("127.0.0.1", FINE).await;
    let (outbound, _) = outbound(&["127.0.0.0/8"], Names::default());
    let from = url(format!("http://127.0.0.1:{}/", listener.port));
    assert_eq!(outbound.get(&from, "application/json", 5).await.unwrap().body, "hello");
    assert_eq!(outbound.get(&from, "application/json", 4).await.unwrap_err(), Unanswered::TooLong);
    assert!(listener.heard.lock().unwrap()[0].contains("accept: application/json\r\n"));
}

#[tokio::test]
async fn name_is_looked_up_once_and_what_passed_is_dialled() {
    let good = Listener::at("127.0.0.2", FINE).await;
    let canary = Listener::on(TcpListener::bind(("127.0.0.1", good.port)).await.unwrap(), good.port, FINE);
    let rebinding: &[&[&str]] = &[&["127.0.0.2"], &["127.0.0.1"]];
    let (outbound, names) = outbound(&["127.0.0.2/32"], names(&[("rebinds.test", rebinding)]));
    let to = url(format!("http://rebinds.test:{}/", good.port));
    assert_eq!(outbound.get(&to, "*/*", 10).await.unwrap().status, 200);
    assert_eq!((good.hits(), canary.hits(), names.asked.lock().unwrap()["rebinds.test"]), (1, 0, 1));
    assert_eq!(outbound.get(&to, "*/*", 10).await.unwrap_err(), Unanswered::NotAllowed);
    assert_eq!((good.hits(), canary.hits()), (1, 0));
}

#[tokio::test]
async fn of_several_addresses_only_those_are_dialled_that_may_be() {
    let good = Listener::at("127.0.0.2", FINE).await;
    let canary = Listener::on(TcpListener::bind(("127.0.0.1", good.port)).await.unwrap(), good.port, FINE);
    let mixed: &[&[&str]] = &[&["127.0.0.1", "::ffff:127.0.0.1", "10.0.0.1", "127.0.0.2"]];
    let (outbound, _) = outbound(&["127.0.0.2/32"], names(&[("mixed.test", mixed)]));
    let to = url(format!("http://mixed.test:{}/", good.port));
    assert_eq!(outbound.get(&to, "*/*", 10).await.unwrap().status, 200);
    assert_eq!((good.hits(), canary.hits()), (1, 0));
}

#[tokio::test]
async fn nothing_private_is_dialled_by_whatever_name() {
    let canary = Listener::at("127.0.0.1", FINE).await;
    let private = ["127.0.0.1", "0.0.0.0", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "::1", "169.254.169.254", "fd00::1"];
    for address in private {
        let list: &[&[&'static str]] = &[&[address]];
        let (outbound, _) = outbound(&["10.1.0.0/16"], names(&[("inner.test", list)]));
        for scheme in ["https", "http"] {
            let to = url(format!("{scheme}://inner.test:{}/", canary.port));
            assert_eq!(outbound.post_form(&to, String::new()).await.unwrap_err(), Unanswered::NotAllowed, "{address}");
        }
    }
    let (outbound, _) = outbound(&[], Names::default());
    for host in ["127.0.0.1", "2130706433", "0177.0.0.1", "0x7f.1", "127.1", "0", "[::1]", "[::ffff:127.0.0.1]", "[::]"]
    {
        let to = url(format!("https://{host}:{}/", canary.port));
        assert_eq!(outbound.post_form(&to, String::new()).await.unwrap_err(), Unanswered::NotAllowed, "{host}");
    }
    assert_eq!(canary.hits(), 0);
}

#[tokio::test]
async fn public_address_is_not_called_over_http_or_anything_else() {
    let (outbound, _) = outbound(&["127.0.0.0/8"], Names::default());
    for to in ["http://8.8.8.8/", "ftp://8.8.8.8/", "file:///etc/passwd", "gopher://127.0.0.1/"] {
        assert_eq!(outbound.get(&url(to.to_owned()), "*/*", 10).await.unwrap_err(), Unanswered::NotAllowed, "{to}");
    }
}

#[tokio::test]
async fn redirect_is_an_answer() {
    let canary = Listener::at("127.0.0.1", FINE).await;
    let answer = format!("HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:{}/\r\nContent-Length: 0\r\n\r\n", canary.port);
    let listener = Listener::at("127.0.0.1", answer.leak()).await;
    let (outbound, _) = outbound(&["127.0.0.0/8"], Names::default());
    let answer = outbound.get(&url(format!("http://127.0.0.1:{}/", listener.port)), "*/*", 10).await.unwrap();
    assert_eq!((answer.status, listener.hits(), canary.hits()), (307, 1, 0));
}

#[tokio::test]
async fn who_says_nothing_talks_nonsense_or_is_not_there_is_left() {
    let (silent, nonsense) = (Listener::at("127.0.0.1", "").await, Listener::at("127.0.0.1", "220 smtp\r\n").await);
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let (outbound, _) = outbound(&["127.0.0.0/8"], Names::default());
    let ask = async |port: u16| outbound.get(&url(format!("http://127.0.0.1:{port}/")), "*/*", 10).await.unwrap_err();
    assert_eq!(ask(silent.port).await, Unanswered::TooSlow);
    assert_eq!(ask(nonsense.port).await, Unanswered::Unreachable);
    assert_eq!(ask(nobody).await, Unanswered::Unreachable);
    let unknown = url("https://unknown.test/".to_owned());
    assert_eq!(outbound.get(&unknown, "*/*", 10).await.unwrap_err(), Unanswered::Unresolved);
}

#[tokio::test]
async fn look_up_counts_as_part_of_the_call_and_holds_up_no_other() {
    let listener = Listener::at("127.0.0.1", FINE).await;
    let (outbound, _) = outbound(&["127.0.0.0/8"], names(&[("app.test", &[&["127.0.0.1"]])]));
    let (hangs, good) = (url("https://hangs.test/".to_owned()), url(format!("http://app.test:{}/", listener.port)));
    let hanging = outbound.get(&hangs, "*/*", 10);
    tokio::pin!(hanging);
    tokio::select! {
        biased;
        answer = &mut hanging => unreachable!("{answer:?}"),
        answer = outbound.get(&good, "*/*", 10) => assert_eq!(answer.unwrap().status, 200),
    }
    assert_eq!(hanging.await.unwrap_err(), Unanswered::TooSlow);
}

#[tokio::test]
async fn system_knows_what_this_machine_is_called() {
    let outbound = Outbound::new(&options(&["127.0.0.0/8"])).unwrap();
    let listener = Listener::at("127.0.0.1", FINE).await;
    let answer = outbound.get(&url(format!("http://localhost:{}/", listener.port)), "*/*", 10).await;
    assert_eq!(answer.unwrap().status, 200);
    let closed = Outbound::new(&options(&[])).unwrap();
    let refused = closed.get(&url(format!("https://localhost:{}/", listener.port)), "*/*", 10).await;
    assert_eq!((refused.unwrap_err(), listener.hits()), (Unanswered::NotAllowed, 1));
}

#[tokio::test]
async fn certificate_has_to_be_for_the_name_and_from_somebody_who_is_trusted() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["app.test".to_owned()]).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(vec![cert.der().clone()], key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            drop(stream.read(&mut [0; 4096]).await);
            drop(stream.write_all(FINE.as_bytes()).await);
        }
    });
    let found: &[&[&str]] = &[&["127.0.0.1"]];
    let known = || Box::new(Shared(Arc::new(names(&[("app.test", found), ("other.test", found)]))));
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let trusting = Outbound::with(&options(&["127.0.0.0/8"]), known(), roots).unwrap();
    let strict = Outbound::with(&options(&["127.0.0.0/8"]), known(), RootCertStore::empty()).unwrap();
    let ask = async |outbound: &Outbound, name: &str| {
        let answer = outbound.get(&url(format!("https://{name}:{port}/")), "*/*", 10).await;
        answer.map(|answer| answer.status)
    };
    assert_eq!(ask(&trusting, "app.test").await, Ok(200));
    assert_eq!(ask(&trusting, "other.test").await, Err(Unanswered::Untrusted));
    assert_eq!(ask(&strict, "app.test").await, Err(Unanswered::Untrusted));
}
