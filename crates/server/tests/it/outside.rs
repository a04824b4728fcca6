//! What is not part of the API: pages, the document, health. The rules of HTTP hold there too.

use std::io::Read;

use actix_web::http::Method;
use flate2::read::GzDecoder;
use gatehouse_persistence::testing::Engine;
use gatehouse_server::http::openapi;

use crate::harness::World;

const REFERENCE: [&str; 7] =
    ["/", "/openapi.json", "/docs", "/docs/", "/docs/errors", "/docs/manual/", "/docs/swagger-ui-bundle.js"];
const OTHERS: [&str; 7] =
    ["/healthz", "/readyz", "/invitation", "/password-reset", "/email", "/link.js", "/hosted.css"];

fn paths() -> impl Iterator<Item = String> {
    REFERENCE.into_iter().chain(OTHERS).map(|path| format!("/{path}"))
}

#[actix_web::test]
async fn head_answers_like_get() {
    let Some(world) = World::new(Engine::Sqlite).await else { return };
    for path in paths().chain(["//nothing".to_owned(), "//docs/nothing.js".to_owned()]) {
        let get = world.get(&path).send().await;
        let head = world.call(Method::HEAD, &path).send().await;
        assert_eq!((head.status, head.header("content-type")), (get.status, get.header("content-type")), "{path}");
        assert_eq!(get.status == 404, path.contains("nothing"), "{path}: {}", get.status);
    }
}

#[actix_web::test]
async fn other_methods_are_405_and_name_the_right_ones() {
    let Some(world) = World::new(Engine::Sqlite).await else { return };
    let methods = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS, Method::TRACE];
    for method in methods {
        for path in paths() {
            let answer = world.call(method.clone(), &path).send().await.problem(405, "method_not_allowed");
            assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{method} {path}");
        }
        world.call(method, "//nothing").send().await.problem(404, "not_found");
    }
    world.call(Method::TRACE, "/me").send().await.problem(405, "method_not_allowed");
}

#[actix_web::test]
async fn no_page_shares_its_window_with_who_opened_it() {
    let Some(world) = World::new(Engine::Sqlite).await else { return };
    for path in paths() {
        let answer = world.get(&path).send().await;
        assert_eq!(answer.header("cross-origin-opener-policy"), Some("same-origin"), "{path}");
    }
}

#[actix_web::test]
async fn reference_can_be_turned_off() {
    let Some(world) = World::new(Engine::Sqlite).await else { return };
    let without = world.replica(|config| config.docs = false).await;
    for path in REFERENCE {
        without.get(&format!("/{path}")).send().await.problem(404, "not_found");
    }
    for path in OTHERS {
        without.get(&format!("/{path}")).send().await.expect(200);
    }
}

#[actix_web::test]
async fn trailing_slash_of_a_page_is_the_same_path() {
    let Some(world) = World::new(Engine::Sqlite).await else { return };
    for path in OTHERS {
        world.get(&format!("/{path}/")).send().await.expect(200);
    }
    world.get("//docs/errors/").send().await.expect(200);
    world.get("//docs/manual/nothing/").send().await.expect(404);
}

#[actix_web::test]
async fn document_is_packed_for_who_unpacks_it_and_not_sent_again_to_who_has_it() {
    let Some(world) = World::new(Engine::Sqlite).await else { return };
    let get = || world.get("//openapi.json");
    let plain = get().send().await.expect(200);
    assert_eq!((&*plain.text, plain.header("content-encoding")), (openapi::COMMITTED, None));
    let packed = get().header("accept-encoding", "br, gzip").send().await;
    assert_eq!((packed.status, packed.header("content-encoding")), (200, Some("gzip")));
    let mut text = String::new();
    GzDecoder::new(&*packed.bytes).read_to_string(&mut text).unwrap();
    assert!(text == openapi::COMMITTED && packed.bytes.len() * 5 < text.len(), "{}", packed.bytes.len());
    let tags = [plain.header("etag").unwrap(), packed.header("etag").unwrap()];
    assert_ne!(tags[0], tags[1]);
    for answer in [plain.header("vary"), packed.header("vary")] {
        assert_eq!(answer, Some("accept-encoding"));
    }
    for (accepted, tag) in [("identity", tags[0]), ("gzip", tags[1])] {
        let known = get().header("accept-encoding", accepted).header("if-none-match", tag).send().await.expect(304);
        assert_eq!((known.header("etag"), &*known.text), (Some(tag), ""));
    }
    get().header("if-none-match", "\"another\"").send().await.expect(200);
    for refused in ["gzip;q=0", "identity", "br"] {
        let answer = get().header("accept-encoding", refused).send().await.expect(200);
        assert_eq!(answer.header("content-encoding"), None, "{refused}");
    }
}

#[actix_web::test]
async fn browser_is_told_of_a_failure_by_a_page_with_a_reference() {
    let Some(world) = World::new(Engine::Sqlite).await else { return };
    let browser = |method: Method, path: &str| {
        let call = world.call(method, path).header("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
        call.header("x-request-id", "reference-1").send()
    };
    for path in ["//nothing", "//docs/nothing.js", "//docs/manual/nothing"] {
        let answer = browser(Method::GET, path).await.expect(404);
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert!(answer.header("content-security-policy").unwrap().starts_with("default-src 'none'"), "{path}");
        assert!(answer.text.contains("<h1>Not found</h1>"), "{path}: {}", answer.text);
        assert!(answer.text.contains("reference-1"), "{path}: {}", answer.text);
    }
    let answer = browser(Method::POST, "//invitation").await.expect(405);
    assert_eq!(answer.header("allow"), Some("GET, HEAD"));
    browser(Method::GET, "/nothing").await.problem(404, "not_found");
}
