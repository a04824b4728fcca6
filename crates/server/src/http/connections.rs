//! Connections are shared fairly and never held for nothing: an address has so many at most, the longest idle makes room
//! when there are nearly too many, and a client that does not go on is dropped.
//!
//! actix knows deadlines for the first head and for keep-alive. What it does not know is here: who has how many, a
//! client that does not take its answer, and the heads of later requests.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::Context,
    time::{Duration, Instant},
};

use actix_web::rt::net::TcpStream;
use futures_util::task::AtomicWaker;
use ipnet::IpNet;

use crate::measure;

mod stream;

pub use stream::Connection;

/// What connections may do.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Whether the log names addresses.
    pub logs_addresses: bool,
    /// About how many there may be.
    pub most: usize,
    /// How many an address may have: an IPv4 address, or an IPv6 network of 64 bits.
    pub per_address: usize,
    /// Who may have any number, and keep them longer, because many clients are behind them.
    pub trusted_proxies: Vec<IpNet>,
    /// How long the head of a request may take.
    pub head: Duration,
    /// How long a client may wait before its next request.
    pub keep_alive: Duration,
    /// The same for a trusted proxy.
    pub keep_alive_of_proxy: Duration,
    /// How long a client may take nothing of its answer. As the kernel tells only when a third of its buffer has become
    /// free, this is a lowest speed as well.
    pub unread: Duration,
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Waiting for the next request.
    Idle = 0,
    /// A request has begun to come.
    Head = 1,
    /// A request is read and answered, under deadlines of its own.
    Serving = 2,
    /// An answer waits for its client to take it.
    Unread = 3,
}

/// A connection, as whoever looks after all of them sees it. Only the thread that serves it moves it on.
#[derive(Debug)]
pub struct Link {
    /// Whose it is; nobody's where any number is allowed.
    address: Option<IpAddr>,
    keep_alive: Duration,
    clock: Arc<AtomicU64>,
    /// The phase in the lowest two bits, and above them since when, in milliseconds.
    state: AtomicU64,
    serving: AtomicBool,
    given_up: AtomicBool,
    waker: AtomicWaker,
}

impl Link {
    fn enter(&self, phase: Phase) {
        self.state.store(self.clock.load(Relaxed) << 2 | phase as u64, Relaxed);
    }

    fn phase(&self) -> (Phase, Duration) {
        let state = self.state.load(Relaxed);
        let phase = match state & 3 {
            0 => Phase::Idle,
            1 => Phase::Head,
            2 => Phase::Serving,
            _ => Phase::Unread,
        };
        (phase, Duration::from_millis(self.clock.load(Relaxed).saturating_sub(state >> 2)))
    }

    fn is(&self, phase: Phase) -> bool {
        self.phase().0 == phase
    }

    /// A request has come, and is being answered for as long as the result lives.
    #[must_use]
    pub fn serve(self: &Arc<Self>) -> Serving {
        self.serving.store(true, Relaxed);
        if !self.is(Phase::Unread) {
            self.enter(Phase::Serving);
        }
        Serving(Arc::clone(self))
    }

    fn rest(&self) {
        self.enter(if self.serving.load(Relaxed) { Phase::Serving } else { Phase::Idle });
    }

    /// Why it is to be dropped, if it is.
    fn overdue(&self, rules: &Rules) -> Option<&'static str> {
        match self.phase() {
            (Phase::Idle, waited) if waited > self.keep_alive => Some("idle"),
            (Phase::Head, waited) if waited > rules.head => Some("head"),
            (Phase::Unread, waited) if waited > rules.unread => Some("unread"),
            _ => None,
        }
    }

    fn give_up(&self, reason: &'static str) {
        if !self.given_up.swap(true, Relaxed) {
            measure::dropped(reason);
            self.waker.wake();
        }
    }

    /// Has the connection look here again when it is given up.
    fn attend(&self, cx: &Context<'_>) {
        self.waker.register(cx.waker());
    }

    /// An error if it is given up.
    fn alive(&self) -> io::Result<()> {
        if self.given_up.load(Relaxed) { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }

    /// Something has come. A request that had come before an idle connection was given up is answered: it only had to
    /// wait until there was time to read it.
    fn has_come(&self) {
        if self.is(Phase::Idle) {
            self.given_up.store(false, Relaxed);
            self.enter(Phase::Head);
        }
    }
}

/// A request that is being answered on a connection, until the last of its answer is handed over.
#[derive(Debug)]
pub struct Serving(Arc<Link>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.serving.store(false, Relaxed);
        if !self.0.is(Phase::Unread) {
            self.0.enter(Phase::Idle);
        }
    }
}

/// All connections of a server.
#[derive(Debug)]
pub struct Connections {
    rules: Rules,
    began: Instant,
    /// Milliseconds since the beginning; as exact as [`Connections::watch`] comes by.
    clock: Arc<AtomicU64>,
    open: Mutex<Open>,
    /// When each limit was last complained of.
    told: Mutex<HashMap<&'static str, Instant>>,
}

#[derive(Debug, Default)]
struct Open {
    links: HashMap<u64, Arc<Link>>,
    by_address: HashMap<IpAddr, usize>,
    serial: u64,
}

/// How often a limit is complained of at most.
const COMPLAINTS: Duration = Duration::from_secs(60);

impl Connections {
    /// None yet.
    #[must_use]
    pub fn new(rules: Rules) -> Arc<Self> {
        let (began, clock) = (Instant::now(), Arc::default());
        let all = Arc::new(Self { rules, began, clock, open: Mutex::default(), told: Mutex::default() });
        actix_web::rt::spawn(Self::watch(Arc::downgrade(&all)));
        all
    }

    /// The rules.
    #[must_use]
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.open().links.len()
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection, unless its address has enough of them.
    #[must_use]
    pub fn admit(self: &Arc<Self>, io: TcpStream) -> Option<Connection> {
        let ip = io.peer_addr().ok()?.ip().to_canonical();
        let is_proxy = self.rules.trusted_proxies.iter().any(|network| network.contains(&ip));
        let address = (!is_proxy).then(|| network_of(ip));
        self.make_room();
        let mut open = self.open();
        if let Some(address) = address {
            let has = open.by_address.entry(address).or_default();
            if *has >= self.rules.per_address {
                drop(open);
                self.refuse(address);
                return None;
            }
            *has += 1;
        }
        open.serial += 1;
        let number = open.serial;
        let link = Arc::new(Link {
            address,
            keep_alive: if is_proxy { self.rules.keep_alive_of_proxy } else { self.rules.keep_alive },
            clock: Arc::clone(&self.clock),
            state: AtomicU64::new(0),
            serving: AtomicBool::new(false),
            given_up: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        });
        link.enter(Phase::Idle);
        open.links.insert(number, Arc::clone(&link));
        drop(open);
        Some(Connection::new(io, link, number, Arc::clone(self)))
    }

    fn refuse(&self, address: IpAddr) {
        measure::dropped("address");
        if self.may_tell("address") {
            let most = self.rules.per_address;
            let address = self.rules.logs_addresses.then_some(tracing::field::display(address));
            tracing::warn!(address, most, "an address has as many connections as one may have; more are refused");
        }
    }

    /// Gives up the longest idle when there are nearly too many: several at once, as all have to be looked at for it.
    fn make_room(&self) {
        let open = self.open();
        let (many, most) = (open.links.len(), self.rules.most);
        if many <= most - most / 16 {
            return;
        }
        let mut idle: Vec<_> = open
            .links
            .iter()
            .filter(|(_, link)| link.is(Phase::Idle) && !link.given_up.load(Relaxed))
            .map(|(number, link)| (link.state.load(Relaxed), *number, Arc::clone(link)))
            .collect();
        drop(open);
        idle.sort_unstable_by_key(|(since, number, _)| (*since, *number));
        for (.., link) in idle.iter().take(Ord::max(most / 64, 1)) {
            link.give_up("full");
        }
        if self.may_tell("full") {
            tracing::warn!(many, most, "there are nearly too many connections; the longest idle are closed");
        }
    }

    fn may_tell(&self, limit: &'static str) -> bool {
        let (mut told, now) = (self.told.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
        let may = told.get(limit).is_none_or(|last| now.duration_since(*last) >= COMPLAINTS);
        if may {
            told.insert(limit, now);
        }
        may
    }

    /// Comes by every now and then, for as long as there is a server.
    async fn watch(all: Weak<Self>) {
        while let Some(this) = all.upgrade() {
            let rules = &this.rules;
            let shortest = [rules.head, rules.keep_alive, rules.keep_alive_of_proxy, rules.unread].into_iter().min();
            let pause = shortest.map_or(Duration::ZERO, |shortest| shortest / 8);
            let now = u64::try_from(this.began.elapsed().as_millis()).unwrap_or(u64::MAX);
            this.clock.store(now, Relaxed);
            this.drop_overdue();
            this.make_room();
            drop(this);
            tokio::time::sleep(pause.clamp(Duration::from_millis(10), Duration::from_secs(1))).await;
        }
    }

    fn drop_overdue(&self) {
        let open = self.open();
        #[expect(clippy::cast_precision_loss, reason = "descriptors are not that many")]
        metrics::gauge!("gatehouse_connections").set(open.links.len() as f64);
        for link in open.links.values() {
            if let Some(reason) = link.overdue(&self.rules) {
                link.give_up(reason);
            }
        }
    }
}

/// What counts as one address: of IPv6 the network that one customer has.
fn network_of(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn customer_of_ipv6_is_one_address_whatever_it_takes_from_its_network() {
        for (ip, expected) in [
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2::", "2001:db8:1:2::"),
            ("2001:db8:1:3::1", "2001:db8:1:3::"),
            ("192.0.2.7", "192.0.2.7"),
        ] {
            assert_eq!(network_of(ip.parse().unwrap()), expected.parse::<IpAddr>().unwrap(), "{ip}");
        }
    }
}
