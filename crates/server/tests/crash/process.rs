//! The program as a child process.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use gatehouse_persistence::{
    Db, Target,
    testing::{Cluster, Durability, Engine, Fresh},
};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, sqlite::SqliteConnectOptions};

/// A password that the rules accept.
pub const PASSWORD: &str = "mountain otter juggles 42 lamps";
/// How long a test waits for something that is not measured.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A database and a folder that outlive the processes which use them.
pub struct Place {
    fresh: Fresh,
    pub folder: PathBuf,
    pub port: u16,
    /// Where a second process would listen.
    pub port_beside: u16,
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Place {
    /// An empty place; `None` where the engine is not to be had.
    pub fn new(engine: Engine) -> Option<Self> {
        Some(Self::on(Fresh::with(engine, Durability::Full)?))
    }

    /// A place on a database that is there.
    pub fn on(fresh: Fresh) -> Self {
        let (port, port_beside) = (free_port(), free_port());
        let folder = std::env::temp_dir().join(format!("gh-crash-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self { fresh, folder, port, port_beside }
    }

    /// The program on this place, at its port.
    pub fn command(&self) -> Command {
        self.command_at(self.port)
    }

    /// The same, at another port.
    pub fn command_at(&self, port: u16) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatehouse"));
        command.env_clear();
        command.env("GATEHOUSE_BIND", format!("127.0.0.1:{port}")).env("GATEHOUSE_DATA_DIR", self.folder.join("data"));
        command.env("GATEHOUSE_ADMIN_EMAIL", "root@example.com").env("GATEHOUSE_ADMIN_PASSWORD", PASSWORD);
        command.env("GATEHOUSE_ADMIN_USERNAME", "root");
        // The least that the rules allow, and one place in the queue for each client of a test.
        command.env("GATEHOUSE_HASH_MEMORY_KIB", "7168").env("GATEHOUSE_HASH_PASSES", "5");
        // A client of a test does in a second what others do in a day.
        for limit in
            ["USER_REQUESTS_PER_SECOND", "TENANT_REQUESTS_PER_SECOND", "REFRESHES_PER_SESSION", "SIGN_INS_PER_USER"]
        {
            command.env(format!("GATEHOUSE_{limit}"), "0");
        }
        command.env("DATABASE_URL", self.url()).stdin(Stdio::null());
        command
    }

    /// The program, serving.
    pub fn start(&self) -> Server {
        Server::start(self.command(), self.port, self.folder.join("log"))
    }

    /// The program, serving, with what the image tells the allocator.
    pub fn start_as_in_the_image(&self) -> Server {
        let image = include_str!("../../../../.docker/Dockerfile");
        let tunables = image.lines().find_map(|line| line.strip_prefix("ENV GLIBC_TUNABLES=")).unwrap();
        let mut command = self.command();
        command.env("GLIBC_TUNABLES", tunables);
        Server::start(command, self.port, self.folder.join("log"))
    }

    /// Another process of it.
    pub fn start_another(&self) -> Server {
        Server::start(self.command_at(self.port_beside), self.port_beside, self.folder.join("log-beside"))
    }

    /// The PostgreSQL server that is this place's alone.
    pub fn cluster(&self) -> &Cluster {
        self.fresh.cluster().unwrap()
    }

    /// The file of its database.
    pub fn file(&self) -> PathBuf {
        let Target::Sqlite(path) = &self.fresh.target else { unreachable!("PostgreSQL has no file") };
        path.clone()
    }

    /// The address of its database, as the setting takes it.
    pub fn url(&self) -> String {
        match &self.fresh.target {
            Target::Sqlite(path) => format!("sqlite:{}", path.display()),
            Target::Postgres(url) => url.expose().clone(),
        }
    }

    pub fn is_sqlite(&self) -> bool {
        matches!(self.fresh.target, Target::Sqlite(_))
    }

    /// The first column of what a statement finds, past the server; nothing if the database is not there yet.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        self.try_texts(sql).await.unwrap_or_default()
    }

    /// A connection of a test's own.
    pub async fn postgres(&self) -> PgConnection {
        let Target::Postgres(url) = &self.fresh.target else { unreachable!("SQLite has no server") };
        PgConnection::connect(url.expose()).await.unwrap()
    }

    async fn try_texts(&self, sql: &str) -> sqlx::Result<Vec<String>> {
        match &self.fresh.target {
            Target::Sqlite(path) => {
                let options = SqliteConnectOptions::new().filename(path).busy_timeout(PATIENCE);
                sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_all(&mut options.connect().await?).await
            }
            Target::Postgres(url) => {
                let mut connection = PgConnection::connect(url.expose()).await?;
                sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await
            }
        }
    }

    /// A connection of the program's kind, which migrates nothing.
    pub async fn connect(&self) -> Db {
        self.fresh.connect().await
    }

    /// Runs statements, past the server.
    pub async fn execute(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        if self.is_sqlite() {
            let options = SqliteConnectOptions::new().filename(self.file()).busy_timeout(PATIENCE);
            options.connect().await.unwrap().execute(sql).await.unwrap();
        } else {
            self.postgres().await.execute(sql).await.unwrap();
        }
    }

    /// Nothing in the file is damaged, and nothing refers to what is not there.
    pub async fn assert_sound(&self) {
        if self.is_sqlite() {
            assert_eq!(self.texts("PRAGMA integrity_check").await, ["ok"]);
            assert_eq!(self.texts("PRAGMA foreign_key_check").await, [""; 0]);
        }
    }
}

/// A process of the program; killed with this value.
pub struct Server {
    child: Child,
    pub port: u16,
    /// From the start of the process until it said that it was ready.
    pub ready: Duration,
    pub log: PathBuf,
    /// The lines that it prints after the first.
    rest: Option<mpsc::Receiver<String>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Server {
    pub fn start(command: Command, port: u16, log: PathBuf) -> Self {
        let mut server = Self::spawn(command, port, log);
        server.wait_until_ready();
        server
    }

    /// Starts the process and waits for nothing.
    pub fn spawn(mut command: Command, port: u16, log: PathBuf) -> Self {
        let file = File::options().create(true).append(true).open(&log).unwrap();
        let child = command.stdout(Stdio::piped()).stderr(file).spawn().unwrap();
        Self { child, port, ready: Duration::ZERO, log, rest: None }
    }

    fn wait_until_ready(&mut self) {
        let began = Instant::now();
        let (say, hear) = mpsc::channel();
        let mut out = BufReader::new(self.child.stdout.take().unwrap());
        // Reads to the end, so that the process never waits for somebody to read its banner.
        std::thread::spawn(move || {
            let mut line = String::new();
            while out.read_line(&mut line).is_ok_and(|n| n > 0) {
                drop(say.send(std::mem::take(&mut line)));
            }
        });
        match hear.recv_timeout(PATIENCE) {
            Ok(line) => assert!(line.contains("ready in"), "{line}"),
            Err(_) => unreachable!("not ready: {}", std::fs::read_to_string(&self.log).unwrap_or_default()),
        }
        self.ready = began.elapsed();
        self.rest = Some(hear);
    }

    /// Waits until a process that was only spawned serves.
    pub fn become_ready(mut self) -> Self {
        self.wait_until_ready();
        self
    }

    /// What it has printed and prints within a moment.
    pub fn said(&self) -> String {
        let rest =
            self.rest.iter().flat_map(|rest| std::iter::from_fn(|| rest.recv_timeout(Duration::from_millis(300)).ok()));
        rest.collect()
    }

    /// As the kernel does when memory is short: nothing of the program's own runs any more.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Whether it runs no more.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// The names of its threads.
    pub fn threads(&self) -> Vec<String> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap().flatten();
        tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok()).collect()
    }

    /// How many descriptors it has.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// What it has of memory that is no file's, in KiB.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("RssAnon")).unwrap();
        line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    /// Waits for its end, for so long at most.
    pub fn end(&mut self, patience: Duration) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < patience, "still runs after {patience:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
