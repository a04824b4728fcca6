//! The document: the committed text is the generated one, it is what is served, and it keeps the rules that make good
//! clients and good pages of it.

mod generators;
mod operations;
mod schemas;

use serde_json::Value;

use crate::harness::{World, api_tests};
use gatehouse_persistence::testing::Engine;
use gatehouse_server::http::openapi;

/// The committed document.
struct Document(Value);

impl Document {
    fn read() -> Self {
        Self(serde_json::from_str(openapi::COMMITTED).unwrap())
    }

    /// Every operation: its id, its path, its method, and itself.
    fn operations(&self) -> Vec<(&str, &str, &str, &Value)> {
        let mut all = Vec::new();
        for (path, item) in self.0["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                all.push((operation["operationId"].as_str().unwrap(), path.as_str(), method.as_str(), operation));
            }
        }
        all
    }

    /// The operations of the API. What is below issuers answers as the RFCs say.
    fn of_api(&self) -> Vec<(&str, &str, &str, &Value)> {
        let is_ours = |id: &str| !id.starts_with("oauth.") && !id.starts_with("platform_oauth.");
        self.operations().into_iter().filter(|(id, ..)| is_ours(id)).collect()
    }

    /// What a reference points to, or the value itself.
    #[track_caller]
    fn resolve<'d>(&'d self, value: &'d Value) -> &'d Value {
        value["$ref"].as_str().map_or(value, |path| {
            self.0.pointer(path.trim_start_matches('#')).unwrap_or_else(|| unreachable!("{path} leads nowhere"))
        })
    }

    fn schemas(&self) -> &serde_json::Map<String, Value> {
        self.0["components"]["schemas"].as_object().unwrap()
    }
}

/// Fails with every fault at once.
#[track_caller]
fn none(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn committed_document_is_the_generated_one() {
    let generated = openapi::render(&openapi::document());
    let differs = generated.lines().zip(openapi::COMMITTED.lines()).position(|(new, old)| new != old);
    assert!(
        generated == openapi::COMMITTED,
        "openapi/gatehouse.v1.json is not what the code says (line {}); write it anew and look at what changed: \
         cargo run -p gatehouse-server -- openapi > openapi/gatehouse.v1.json",
        differs.map_or(0, |line| line + 1)
    );
}

#[test]
fn committed_document_names_no_address() {
    let document = Document::read();
    assert_eq!(document.0["openapi"], "3.1.0");
    let servers = document.0["servers"].as_array().unwrap();
    assert_eq!(servers.len(), 1);
    assert_eq!(servers[0]["url"], "/");
    assert!(!openapi::COMMITTED.contains("localhost"));
}

api_tests! {
    async fn committed_document_is_served(world) {
        let answer = world.get("//openapi.json").send().await.expect(200);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.text, openapi::COMMITTED);
    }

    async fn served_document_differs_in_its_address_only(world) {
        let public = world.replica(|config| config.public_url = Some("https://id.example.com".parse().unwrap())).await;
        let mut served = public.get("//openapi.json").send().await.expect(200).json();
        assert_eq!(served["servers"][0]["url"], "https://id.example.com/");
        served["servers"][0]["url"] = "/".into();
        assert_eq!(served, Document::read().0);
    }
}

/// The attributes and functions of HTML, CSS and scripts that fetch something, each with an address of another host.
fn loads_from_elsewhere(text: &str) -> bool {
    let compact: String = text.chars().filter(|c| !c.is_whitespace() && *c != '"' && *c != '\'').collect();
    let fetches = ["src=", "href=", "url(", "import(", "@import", "fetch(", "url:", "urls:["];
    ["http:", "https:", "//"]
        .iter()
        .any(|scheme| fetches.iter().any(|word| compact.contains(&format!("{word}{scheme}"))))
}

#[actix_web::test]
async fn reference_page_loads_nothing_from_elsewhere() {
    let Some(world) = World::new(Engine::Sqlite).await else { return };
    let page = world.get("//docs/").send().await.expect(200);
    let files = page.text.split(['"', '\'']).filter(|word| word.ends_with(".js") || word.ends_with(".css"));
    let files: Vec<_> = files.map(|file| file.trim_start_matches("./").to_owned()).collect();
    assert!(files.iter().any(|file| file == "swagger-initializer.js"), "{files:?}");
    assert!(!loads_from_elsewhere(&page.text), "{}", page.text);
    for file in files {
        let answer = world.get(&format!("//docs/{file}")).send().await.expect(200);
        // The program itself speaks of addresses without fetching them; what it may fetch, the policy says.
        if !file.ends_with("bundle.js") && !file.ends_with("preset.js") {
            assert!(!loads_from_elsewhere(&answer.text), "{file}");
        }
    }
}

#[actix_web::test]
async fn policy_of_the_reference_page_admits_this_instance_only() {
    let Some(world) = World::new(Engine::Sqlite).await else { return };
    for path in ["//docs/", "//docs/index.html", "//docs/swagger-ui-bundle.js", "//docs/errors"] {
        let answer = world.get(path).send().await.expect(200);
        let policy = answer.header("content-security-policy").unwrap_or_else(|| unreachable!("{path} has none"));
        assert!(policy.starts_with("default-src 'none'"), "{path}: {policy}");
        for source in policy.split([' ', ';']).filter(|word| !word.is_empty() && !word.ends_with("-src")) {
            let own = ["'none'", "'self'", "'unsafe-inline'", "data:", "frame-ancestors", "base-uri", "form-action"];
            assert!(own.contains(&source), "{path}: {source}");
        }
        assert!(!policy.contains("script-src 'self' 'unsafe-inline'"), "{path}: {policy}");
    }
}
