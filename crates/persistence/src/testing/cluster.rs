//! The shared throw-away PostgreSQL cluster, and clusters of one test's own.

use std::{
    fs::{self, File, OpenOptions},
    net::TcpListener,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use crate::testing::Durability;

/// Keeps this process registered as a user of the cluster; released when it ends, however it ends.
static REGISTERED: [OnceLock<(File, Option<String>)>; 2] = [OnceLock::new(), OnceLock::new()];

/// The URL of a database whose user may create others.
pub(super) fn url(durability: Durability) -> Option<String> {
    if let Ok(url) = std::env::var("TEST_DATABASE_URL") {
        return Some(url);
    }
    let programs = programs()?;
    let (registered, name) = match durability {
        Durability::None => (&REGISTERED[0], "gatehouse-test-postgres"),
        Durability::Full => (&REGISTERED[1], "gatehouse-bench-postgres"),
    };
    let (_, url) = registered.get_or_init(|| {
        let folder = std::env::temp_dir().join(name);
        let start = || -> std::io::Result<(File, String)> {
            fs::create_dir_all(&folder)?;
            let open = |name: &str| OpenOptions::new().create(true).truncate(false).write(true).open(folder.join(name));
            // Users share one lock; the watchdog stops the cluster only while it holds that lock alone.
            let users = open("users")?;
            users.lock_shared()?;
            let starting = open("starting")?;
            starting.lock()?;
            Ok((users, running(&folder).map_or_else(|| launch(&folder, &programs, durability), Ok)?))
        };
        match start() {
            Ok((users, url)) => (users, Some(url)),
            Err(error) => {
                eprintln!("cannot start PostgreSQL in {}: {error}", folder.display());
                // Any file will do for the unused half.
                (File::open("/dev/null").unwrap_or_else(|_| std::process::abort()), None)
            }
        }
    });
    url.clone()
}

/// The folder of the newest installed server programs.
fn programs() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .chain(std::env::var_os("PATH").iter().flat_map(std::env::split_paths))
        .filter(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
        .collect();
    found.sort_by_key(|folder| std::cmp::Reverse(folder.clone()));
    found.into_iter().next()
}

fn server_url(port: &str) -> String {
    format!("postgres://gatehouse@127.0.0.1:{port}/postgres")
}

fn running(folder: &Path) -> Option<String> {
    let port = fs::read_to_string(folder.join("port")).ok()?;
    let answers = super::blocking(super::admin_execute(server_url(&port), "SELECT 1".to_owned()));
    matches!(answers, Some(Ok(()))).then(|| server_url(&port))
}

/// Whom to run as: PostgreSQL refuses to run as root.
fn unprivileged() -> Option<(u32, u32)> {
    let own = fs::metadata("/proc/self").ok()?;
    if std::os::unix::fs::MetadataExt::uid(&own) != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let ids = |name: &str| {
        let fields: Vec<_> = users.lines().find(|line| line.starts_with(name))?.split(':').collect();
        Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    };
    ids("postgres:").or_else(|| ids("nobody:"))
}

fn launch(folder: &Path, programs: &Path, durability: Durability) -> std::io::Result<String> {
    let (_, port) = spawn(folder, programs, durability, NEW)?;
    watch(folder)?;
    wait_for(&port)?;
    fs::write(folder.join("port"), &port)?;
    Ok(server_url(&port))
}

/// A program of the server, run by whom it wants to be run.
fn as_user(programs: &Path, program: &str) -> Command {
    // Programs of the client may lie elsewhere.
    let beside = Some(programs.join(program)).filter(|path| path.is_file());
    let mut command = Command::new(beside.unwrap_or_else(|| program.into()));
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Some((uid, gid)) = unprivileged() {
        command.uid(uid).gid(gid);
    }
    command
}

/// How an empty database is made.
const NEW: (&str, &[&str]) = ("initdb", &["-U", "gatehouse", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]);

/// Starts a server on data that a program makes; says at what port.
fn spawn(
    folder: &Path,
    programs: &Path,
    durability: Durability,
    (program, arguments): (&str, &[&str]),
) -> std::io::Result<(Child, String)> {
    let data = folder.join("data");
    drop(fs::remove_dir_all(&data));
    fs::create_dir_all(&data)?;
    if let Some((uid, gid)) = unprivileged() {
        chown(&data, Some(uid), Some(gid))?;
        fs::set_permissions(&data, fs::Permissions::from_mode(0o700))?;
    }
    let made = as_user(programs, program).args(arguments).arg("-D").arg(&data).stderr(Stdio::piped()).output()?;
    if !made.status.success() {
        return Err(std::io::Error::other(format!("{program}: {}", String::from_utf8_lossy(&made.stderr))));
    }
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
    let mut settings =
        vec!["max_connections=400", "listen_addresses=127.0.0.1", "unix_socket_directories=", "shared_buffers=512MB"];
    if durability == Durability::None {
        settings.extend(["fsync=off", "full_page_writes=off", "synchronous_commit=off"]);
    }
    let mut server = as_user(programs, "postgres");
    server.arg("-D").arg(&data).args(["-p", &port]).args(settings.iter().flat_map(|setting| ["-c", setting]));
    // A process group of its own: interrupting the tests must not stop it under other test processes.
    Ok((server.process_group(0).spawn()?, port))
}

fn wait_for(port: &str) -> std::io::Result<()> {
    for _ in 0..200 {
        if matches!(super::blocking(super::admin_execute(server_url(port), "SELECT 1".to_owned())), Some(Ok(()))) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(std::io::Error::other("the server does not answer"))
}

/// A server of one test's own, which may come to harm; gone with this value, or with the test's process.
#[derive(Debug)]
pub struct Cluster {
    folder: PathBuf,
    server: Child,
    pub(super) url: String,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.thaw();
        drop(self.server.kill());
        drop(self.server.wait());
        drop(fs::remove_dir_all(&self.folder));
    }
}

impl Cluster {
    /// Starts one; `None` where PostgreSQL is not installed.
    pub(super) fn start() -> Option<Self> {
        let programs = programs()?;
        let folder = std::env::temp_dir().join(super::unique());
        fs::create_dir_all(&folder).ok()?;
        Self::started(folder, &programs, NEW).ok()
    }

    fn started(folder: PathBuf, programs: &Path, from: (&str, &[&str])) -> std::io::Result<Self> {
        let (server, port) = spawn(&folder, programs, Durability::None, from)?;
        let cluster = Self { folder, server, url: server_url(&port) };
        cluster.outlive_nobody()?;
        wait_for(&port)?;
        Ok(cluster)
    }

    /// A server that follows this one and takes no writes until it is promoted.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test without its database has nothing to report but that")]
    pub fn standby(&self) -> Self {
        let programs = programs().expect("this server runs");
        let folder = std::env::temp_dir().join(super::unique());
        fs::create_dir_all(&folder).expect("a temporary folder");
        let (_, address) = self.url.split_once('@').expect("an address");
        let (host, port) = address.split_once('/').and_then(|(at, _)| at.split_once(':')).expect("a port");
        let from = ["-R", "-X", "stream", "-c", "fast", "-h", host, "-p", port, "-U", "gatehouse"];
        Self::started(folder, &programs, ("pg_basebackup", &from)).expect("a server that follows")
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends every process at once.
    pub fn kill(&self) {
        signal("-KILL", &self.processes());
    }

    /// Starts the process that stops the server where a test was killed.
    fn outlive_nobody(&self) -> std::io::Result<()> {
        let script = r#"
            while kill -0 "$0"; do sleep 1; done
            pid=$(head -n 1 data/postmaster.pid) || exit
            kill -CONT "$pid" $(cat "/proc/$pid/task/$pid/children")
            kill -QUIT "$pid"
            cd / && rm -rf "$1""#;
        Command::new("sh")
            .args(["-c", script, &std::process::id().to_string()])
            .arg(&self.folder)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map(drop)
    }

    /// Every process of the server.
    fn processes(&self) -> Vec<String> {
        let pid = self.server.id().to_string();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        std::iter::once(pid).chain(children.split_whitespace().map(str::to_owned)).collect()
    }

    /// Stops every process, as a machine does that hangs: connections stay, and nothing answers.
    pub fn freeze(&self) {
        signal("-STOP", &self.processes());
    }

    /// Lets every process go on.
    pub fn thaw(&self) {
        signal("-CONT", &self.processes());
    }

    /// Stops one process.
    pub fn freeze_one(&self, pid: i32) {
        signal("-STOP", &[pid.to_string()]);
    }
}

fn signal(signal: &str, processes: &[String]) {
    drop(Command::new("kill").arg(signal).args(processes).stderr(Stdio::null()).status());
}

/// Starts the process that stops the cluster when nobody uses it any more.
fn watch(folder: &Path) -> std::io::Result<()> {
    let script = r#"
        while sleep 3; do
            flock --nonblock --exclusive users true || continue
            flock --exclusive users sh -c 'kill -INT "$(head -n 1 data/postmaster.pid)"; sleep 1; rm -rf data port'
            exit
        done"#;
    Command::new("sh")
        .args(["-c", script])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map(drop)
}
