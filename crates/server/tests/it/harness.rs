//! A world to test in: a fresh database, a server called in process, a clock that moves by hand, and people made through
//! the API itself.

mod answer;
pub mod bank;
mod browser;
mod direct;
pub mod documents;
pub mod dpop;
mod ending;
mod held;
pub mod oauth;
mod people;
pub mod platform;
mod post;
mod proxy;
mod receiver;
mod smtp;

use std::{
    cell::{Cell, OnceCell},
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use actix_web::{
    http::Method,
    test::{TestRequest, init_service, try_call_service},
    web::Data,
};
use futures_util::future::LocalBoxFuture;
use gatehouse_domain::secret::Secret;
use gatehouse_persistence::{
    Target,
    testing::{Cluster, Engine, Fresh},
};
use gatehouse_server::{
    app::App,
    config::{Config, Database},
    env::{Env, ManualClock},
    http::{self, Site},
    security::password::Cost,
};
use serde_json::Value;

pub use answer::{Answer, MOST, claims};
pub use browser::{Browser, Form, account};
pub use ending::{Ending, Victim};
pub use held::Held;
pub use people::{Person, Signed, Tenant};
pub use post::Mail;
pub use proxy::Proxy;
pub use receiver::{Manner, Receiver};
pub use smtp::{MailServer, Mood};

/// A password that the rules accept.
pub const PASSWORD: &str = "mountain otter juggles 42 lamps";

/// How often something is raced: as often as `RACE_ROUNDS` says, or so often where that says nothing.
pub fn rounds(usual: u64) -> u64 {
    std::env::var("RACE_ROUNDS").map_or(usual, |number| number.parse().unwrap())
}

type Serve = Rc<dyn Fn(TestRequest, Option<Held>) -> LocalBoxFuture<'static, Answer>>;

/// A server with everything it needs.
#[derive(Clone)]
pub struct World {
    pub app: Data<App>,
    pub config: Rc<Config>,
    pub clock: ManualClock,
    env: Env,
    serve: Serve,
    admin: Rc<OnceCell<Signed>>,
    /// Tells the addresses of people apart who are made for a test, so that no limit on addresses meets them.
    people: Rc<Cell<u32>>,
    /// By how much every request moves the clock.
    step: Rc<Cell<Duration>>,
    _scratch: Rc<Scratch>,
}

/// What goes away with the last world that uses it.
struct Scratch {
    fresh: Fresh,
    folder: PathBuf,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

impl World {
    /// A world with a platform administrator; `None` where the engine is not to be had.
    pub async fn new(engine: Engine) -> Option<Self> {
        Some(Self::on(Fresh::migrated(engine)?).await)
    }

    /// The same on a database that is there.
    pub async fn on(fresh: Fresh) -> Self {
        let (env, clock) = Env::manual();
        let folder = std::env::temp_dir().join(format!("gh-world-{:032x}", u128::from_be_bytes(env.random())));
        let mut config = Config::defaults(folder.clone()).unwrap();
        config.database = match &fresh.target {
            Target::Sqlite(path) => Database::Sqlite(path.clone()),
            Target::Postgres(url) => Database::Postgres(Secret::new(url.expose().clone())),
        };
        config.database_connections = 4;
        config.hasher.cost = Cost { memory_kib: 8, passes: 1 };
        // The clock stands still, so whatever a test does is done at once.
        config.limits.user_requests = None;
        config.limits.tenant_requests = None;
        config.limits.sign_ins = None;
        let scratch = Rc::new(Scratch { fresh, folder });
        Self::open(config, env, clock, scratch).await
    }

    async fn open(config: Config, env: Env, clock: ManualClock, scratch: Rc<Scratch>) -> Self {
        let app = Data::new(App::open(&config, env.clone()).await.unwrap());
        let site = Arc::new(Site::new(&config, &env));
        let service = Rc::new(init_service(http::service(app.clone(), site)).await);
        let serve: Serve = Rc::new(move |request, held| {
            let service = Rc::clone(&service);
            Box::pin(async move {
                let mut request = request.to_request();
                if let Some(held) = held {
                    let payload = held.back(request.take_payload());
                    request = request.replace_payload(payload).0;
                }
                Answer::read(try_call_service(&*service, request).await).await
            })
        });
        Self {
            app,
            config: Rc::new(config),
            clock,
            env,
            serve,
            admin: Rc::default(),
            people: Rc::default(),
            step: Rc::default(),
            _scratch: scratch,
        }
    }

    /// Another process on the same database, with settings of its own if that is wanted.
    pub async fn replica(&self, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = (*self.config).clone();
        change(&mut config);
        let mut world = Self::open(config, self.env.clone(), self.clock.clone(), Rc::clone(&self._scratch)).await;
        world.people = Rc::clone(&self.people);
        world.step = Rc::clone(&self.step);
        world
    }

    /// Another process on the same database, with a clock of its own that is ahead.
    pub async fn ahead_by(&self, time: Duration) -> Self {
        let (env, clock) = Env::manual();
        clock.advance(time);
        let mut world = Self::open((*self.config).clone(), env, clock, Rc::clone(&self._scratch)).await;
        world.people = Rc::clone(&self.people);
        world
    }

    /// The database as the operating system sees it.
    pub fn target(&self) -> &Target {
        &self._scratch.fresh.target
    }

    /// The PostgreSQL server that is this world's alone.
    pub fn cluster(&self) -> &Cluster {
        self._scratch.fresh.cluster().unwrap()
    }

    /// Lets every request from now on come a millisecond after the one before, for tests of order.
    pub fn tick(&self) {
        self.step.set(Duration::from_millis(1));
    }

    /// A request to a path below `/api/v1`, or to any path if it begins with a double slash.
    pub fn call(&self, method: Method, path: &str) -> Call {
        let uri = path
            .strip_prefix('/')
            .filter(|rest| rest.starts_with('/'))
            .map_or_else(|| format!("/api/v1{path}"), str::to_owned);
        let peer = SocketAddr::from(([192, 0, 2, 1], 40_000));
        let request = TestRequest::with_uri(&uri).method(method).peer_addr(peer);
        Call { request, serve: Rc::clone(&self.serve), clock: self.clock.clone(), step: Rc::clone(&self.step) }
    }

    pub fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    pub fn post(&self, path: &str) -> Call {
        self.call(Method::POST, path)
    }

    pub fn patch(&self, path: &str) -> Call {
        self.call(Method::PATCH, path)
    }

    pub fn delete(&self, path: &str) -> Call {
        self.call(Method::DELETE, path)
    }
}

/// A request in the making.
pub struct Call {
    request: TestRequest,
    serve: Serve,
    clock: ManualClock,
    step: Rc<Cell<Duration>>,
}

impl Call {
    fn map(self, change: impl FnOnce(TestRequest) -> TestRequest) -> Self {
        Self { request: change(self.request), ..self }
    }

    pub fn header(self, name: &str, value: &str) -> Self {
        self.map(|request| request.append_header((name, value)))
    }

    pub fn bearer(self, token: impl AsRef<str>) -> Self {
        self.header("authorization", &format!("Bearer {}", token.as_ref()))
    }

    pub fn from(self, ip: impl Into<IpAddr>) -> Self {
        let peer = SocketAddr::new(ip.into(), 40_000);
        self.map(|request| request.peer_addr(peer))
    }

    /// Another target, perhaps one that names a host.
    pub fn uri(self, uri: &str) -> Self {
        self.map(|request| request.uri(uri))
    }

    pub fn json(self, body: Value) -> Self {
        self.body("application/json", body.to_string())
    }

    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.body("application/x-www-form-urlencoded", text)
    }

    pub fn body(self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let body: Vec<u8> = body.into();
        self.map(|request| request.insert_header(("content-type", content_type)).set_payload(body))
    }

    /// A body of no type.
    pub fn bytes(self, body: impl Into<Vec<u8>>) -> Self {
        let body: Vec<u8> = body.into();
        self.map(|request| request.set_payload(body))
    }

    pub async fn send(self) -> Answer {
        self.clock.advance(self.step.get());
        (self.serve)(self.request, None).await
    }

    /// Sends all but the end of the body.
    pub fn hold(self, held: &Held) -> LocalBoxFuture<'static, Answer> {
        (self.serve)(self.request, Some(held.clone()))
    }
}

/// Runs each body in a world on SQLite and in one on PostgreSQL.
macro_rules! api_tests {
    ($($(#[$meta:meta])* async fn $name:ident($world:ident) $body:block)*) => {$(
        $(#[$meta])*
        async fn $name($world: $crate::harness::World) $body

        mod $name {
            async fn on(engine: gatehouse_persistence::testing::Engine) {
                if let Some(world) = $crate::harness::World::new(engine).await {
                    super::$name(world).await;
                }
            }

            #[actix_web::test]
            async fn sqlite() {
                on(gatehouse_persistence::testing::Engine::Sqlite).await;
            }

            #[actix_web::test]
            async fn postgres() {
                on(gatehouse_persistence::testing::Engine::Postgres).await;
            }
        }
    )*};
}

pub(crate) use api_tests;
