//! The server is killed right after it has acknowledged the end of a session: the application is told nevertheless.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use gatehouse_domain::{id::SessionId, issue::Parse};
use gatehouse_persistence::testing::Engine;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::{
    client::{Client, json, login, with_refresh_token},
    process::{Place, Server},
};

const KILLS: usize = 20;
/// Longer than a lease, and some.
const PATIENCE: Duration = Duration::from_secs(90);

/// The sessions of which an application has heard, with the ids of the tokens.
type Heard = Arc<Mutex<HashMap<String, Vec<String>>>>;

async fn application() -> (u16, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, heard) = (listener.local_addr().unwrap().port(), Heard::default());
    let hearing = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let hearing = Arc::clone(&hearing);
            tokio::spawn(async move {
                let mut bytes = Vec::new();
                // A token has three parts; what follows the last dot may come later and is of no interest.
                while stream.read_buf(&mut bytes).await.is_ok_and(|n| n > 0) {
                    let text = String::from_utf8_lossy(&bytes);
                    let Some((_, token)) = text.split_once("logout_token=") else { continue };
                    let parts: Vec<_> = token.split('.').collect();
                    let [_, payload, _] = parts[..] else { continue };
                    let claims = BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap();
                    let claims: Value = serde_json::from_slice(&claims).unwrap();
                    let text = |name: &str| claims[name].as_str().unwrap().to_owned();
                    hearing.lock().unwrap().entry(text("sid")).or_default().push(text("jti"));
                    drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await);
                    return;
                }
            });
        }
    });
    (port, heard)
}

fn start(place: &Place) -> Server {
    let mut command = place.command();
    command.env("GATEHOUSE_OUTBOUND_ALLOW", "127.0.0.0/8");
    Server::start(command, place.port, place.folder.join("log"))
}

/// Notes that a session was used with the application.
async fn use_application(place: &Place, session: &str, application: &str) {
    let literal = |id: &str| {
        let uuid = SessionId::parse(&format!("ses_{}", &id[4..])).unwrap().uuid();
        if place.is_sqlite() { format!("x'{}'", uuid.simple()) } else { format!("'{uuid}'") }
    };
    let sql = format!(
        "INSERT INTO session_applications (tenant_id, partner_id, session_id, application_id, owner_id, accessed_at) \
         SELECT s.tenant_id, s.partner_id, s.id, a.id, a.owner_id, s.created_at FROM sessions s, applications a \
         WHERE s.id = {} AND a.id = {}",
        literal(session),
        literal(application)
    );
    place.execute(&sql).await;
}

fn session(token: &str) -> String {
    let payload = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    claims["sid"].as_str().unwrap().to_owned()
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn survive(engine: Engine) {
    let Some(place) = Place::new(engine) else { return };
    let (port, heard) = application().await;
    let mut client = Client::new(place.port);
    let mut server = Some(start(&place));
    let admin = client.send(&login("default", "root")).await.unwrap().text("/access_token");
    let body = json!({"name": "Wiki", "application_type": "WEB", "scope_level": "TENANT",
        "redirect_uris": ["https://wiki.example/cb"], "backchannel_logout_uri": format!("http://127.0.0.1:{port}/out"),
        "tenant_id": client.send(&crate::client::get("/me", &admin)).await.unwrap().text("/data/tenant_id")});
    let made = client.send(&json("POST", "/admin/applications", &admin, &body)).await.unwrap();
    assert_eq!(made.status, 201, "{}", made.body);
    let application = made.text("/data/id");
    let mut ended = Vec::new();
    for kill in 0..KILLS {
        let signed = client.send(&login("default", "root")).await.unwrap();
        let session = session(&signed.text("/access_token"));
        use_application(&place, &session, &application).await;
        let logout = with_refresh_token("default", "logout", &signed.text("/refresh_token"));
        assert_eq!(client.send(&logout).await.unwrap().status, 200);
        // Sooner or later within the second in which it would have been told.
        tokio::time::sleep(Duration::from_millis(u64::try_from(kill).unwrap() * 60)).await;
        server.take().unwrap().kill();
        ended.push(session);
        server = Some(start(&place));
        client = Client::new(place.port);
    }
    let all = || ended.iter().all(|session| heard.lock().unwrap().contains_key(session));
    until("an end is lost", all).await;
    // Where nobody is killed the first attempt comes within two seconds, and here some for the machine.
    let signed = client.send(&login("default", "root")).await.unwrap();
    let prompt = session(&signed.text("/access_token"));
    use_application(&place, &prompt, &application).await;
    let logout = with_refresh_token("default", "logout", &signed.text("/refresh_token"));
    assert_eq!(client.send(&logout).await.unwrap().status, 200);
    let began = Instant::now();
    until("an end is lost", || heard.lock().unwrap().contains_key(&prompt)).await;
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    // An operator ends one beside the server.
    let signed = client.send(&login("default", "root")).await.unwrap();
    let session = session(&signed.text("/access_token"));
    use_application(&place, &session, &application).await;
    let began = Instant::now();
    let output = place.command().args(["session", "revoke", &session, "--yes"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    until("the end by a command is lost", || heard.lock().unwrap().contains_key(&session)).await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let mut ids: Vec<_> = heard.lock().unwrap().values().flatten().cloned().collect();
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "a token came twice");
    drop(server);
    place.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_end_is_lost_between_its_acknowledgement_and_its_delivery_on_sqlite() {
    survive(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_end_is_lost_between_its_acknowledgement_and_its_delivery_on_postgres() {
    survive(Engine::Postgres).await;
}
