//! Codes, pushed requests, devices and assertions that have run out go in batches, beside other requests.
//! `EXPIRED_ROWS` says how many of each there are; the test prints what others wait for meanwhile, which nobody
//! should take for what a server does: here everything shares one thread, and nothing is optimised.

use std::{
    cell::{Cell, RefCell},
    time::Instant,
};

use futures_util::{future::join_all, join};
use gatehouse_domain::application::SigningAlgorithm;
use gatehouse_persistence::testing::{LEFT_BEHIND, fill_expired};
use serde_json::json;

use crate::{
    harness::{
        Browser, World, api_tests,
        oauth::{App, Site, basic, text},
    },
    oauth_assertions::Robot,
    oauth_device::television,
    oauth_push::pushed,
};

/// More than a batch, and more than two.
const USUAL: u64 = 1_200;
/// From so many on it is measured for longer what others wait for.
const MANY: u64 = 50_000;
const CLIENTS: usize = 4;

fn rows() -> u64 {
    std::env::var("EXPIRED_ROWS").map_or(USUAL, |number| number.parse().unwrap())
}

async fn fill(world: &World, table: (&str, &str, &str), count: u64) {
    fill_expired(world.app.db(), table, count, world.app.env().now()).await.unwrap();
}

async fn count(world: &World, table: &str) -> i64 {
    world.number(format!("SELECT COUNT(*) FROM {table}")).await
}

/// Applications that go on asking while others are cleaned up after.
struct Load {
    site: Site,
    spa: App,
    wiki: App,
    /// The refresh token of each client, and an access token.
    tokens: Vec<(RefCell<String>, String)>,
}

impl Load {
    async fn new(site: Site) -> Self {
        let (spa, wiki) = (site.spa().await, site.app(json!({})).await);
        let mut tokens = Vec::new();
        for _ in 0..CLIENTS {
            let got = site.tokens(&Browser::new(&site.world), &spa, &[]).await;
            tokens.push((RefCell::new(text(&got, "refresh_token").to_owned()), text(&got, "access_token").to_owned()));
        }
        Self { site, spa, wiki, tokens }
    }

    /// What one client asks for in turn: something of the memory, something of the database, a change.
    async fn ask(&self, client: usize, n: usize) {
        let (refresh, access) = &self.tokens[client];
        match n % 3 {
            0 => drop(self.site.user_info(access).await.expect(200)),
            1 => {
                let call = self.site.world.post("/auth/tenants/acme/oauth/introspect");
                let call = call.header("authorization", &basic(&self.wiki.id, self.wiki.secret.as_deref().unwrap()));
                let token = refresh.borrow().clone();
                call.form(&[("token", &token)]).send().await.expect(200);
            }
            _ => {
                let token = refresh.borrow().clone();
                let next = self.site.refresh(&self.spa, &token).await.expect(200).json();
                refresh.replace(text(&next, "refresh_token").to_owned());
            }
        }
    }

    /// How long requests took until something is over, in milliseconds, by what they ask for.
    async fn until(&self, is_over: impl Fn() -> bool) -> [Vec<f64>; 3] {
        let times = RefCell::new([(); 3].map(|()| Vec::new()));
        join_all((0..CLIENTS).map(|client| {
            let (times, is_over) = (&times, &is_over);
            async move {
                let mut n = client;
                while !is_over() {
                    let began = Instant::now();
                    self.ask(client, n).await;
                    times.borrow_mut()[n % 3].push(began.elapsed().as_secs_f64() * 1e3);
                    n += 1;
                    tokio::task::yield_now().await;
                }
            }
        }))
        .await;
        times.into_inner()
    }
}

/// The median, the 99th of 100, and the longest.
fn quantiles(times: &[f64]) -> [f64; 3] {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize];
    [at(0.5), at(0.99), at(1.0)]
}

/// A tenant with one row in each table, which is still good.
async fn with_one_each(world: &World) -> Site {
    let robot = Robot::new(world, SigningAlgorithm::Es256).await;
    robot.ask_at(world, &robot.assertion(|_| ()), &[]).await.expect(200);
    let site = robot.into_site();
    let (app, device, browser) = (site.app(json!({})).await, television(&site, json!({})).await, Browser::new(world));
    site.sign_in(&browser, &app, &[]).await.expect(303);
    pushed(&site, &app, &[]).await;
    site.wait(&device, &[]).await.expect(200);
    for (table, ..) in LEFT_BEHIND {
        assert_eq!(count(world, table).await, 1, "{table}");
    }
    site
}

api_tests! {
    async fn rows_that_have_run_out_go_while_others_are_served_and_good_ones_stay(world) {
        let world = world.replica(|config| config.limits.refreshes = None).await;
        let (site, rows) = (with_one_each(&world).await, rows());
        for table in LEFT_BEHIND {
            let began = Instant::now();
            fill(&world, table, rows).await;
            println!("{}: {rows} rows in {:.1} s", table.0, began.elapsed().as_secs_f64());
        }
        let load = Load::new(site).await;
        let good: Vec<_> = join_all(LEFT_BEHIND.map(|(table, ..)| count(&world, table))).await.into_iter().map(|all| all - rows as i64).collect();
        let seconds = if rows < MANY { 0.1 } else { 15.0 };
        let began = Instant::now();
        let without = load.until(|| began.elapsed().as_secs_f64() > seconds).await;
        let is_over = Cell::new(false);
        let began = Instant::now();
        let clean_up = async {
            world.app.maintenance().clean_up().await.unwrap();
            is_over.set(true);
            began.elapsed().as_secs_f64()
        };
        let (took, with) = join!(clean_up, load.until(|| is_over.get()));
        for ((table, ..), good) in LEFT_BEHIND.into_iter().zip(good) {
            assert_eq!(count(&world, table).await, good, "{table}");
        }
        println!("cleaned up in {took:.1} s");
        for (n, name) in ["userinfo", "introspection", "refresh"].into_iter().enumerate().filter(|(n, _)| !with[*n].is_empty()) {
            let (before, after) = (quantiles(&without[n]), quantiles(&with[n]));
            println!("{name}: median, p99, longest in ms without clean-up {before:.2?} of {}, with {after:.2?} of {}", without[n].len(), with[n].len());
        }
    }

    async fn one_run_removes_all_that_has_run_out_however_much_there_is(world) {
        with_one_each(&world).await;
        // More than a run removes of a kind before it turns to the next.
        fill(&world, LEFT_BEHIND[3], 100_600).await;
        world.app.maintenance().clean_up().await.unwrap();
        assert_eq!(count(&world, "assertion_ids").await, 1);
    }
}
