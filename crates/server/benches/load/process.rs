//! Processes under measurement.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use gatehouse_domain::secret::Secret;
use gatehouse_persistence::Target;

/// A child process that is killed when this value goes.
pub struct Process {
    child: Child,
    pub port: u16,
    /// From the start of the process to the line that says it is ready.
    pub ready: Duration,
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Process {
    /// Starts a program and waits until it says a line.
    pub fn start(command: Command, port: u16) -> Self {
        Self::started(command, port).expect("the program starts and says that it is ready")
    }

    /// The same; none where there is no such program, or it ends at once.
    fn started(mut command: Command, port: u16) -> Option<Self> {
        let began = Instant::now();
        let mut child = command.stdout(Stdio::piped()).spawn().ok()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        (!line.is_empty()).then(|| Self { child, port, ready: began.elapsed() })
    }

    /// This program, as something else.
    pub fn own(what: &str) -> Self {
        let port = free_port();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([what, &port.to_string()]);
        Self::start(command, port)
    }

    /// A program of node, if it says that it is ready.
    pub fn node(script: &str) -> Option<Self> {
        let port = free_port();
        let mut command = Command::new("node");
        command.arg(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/load").join(script));
        command.arg(port.to_string()).stderr(Stdio::null());
        Self::started(command, port)
    }

    /// The server on a database, with an administrator and without limits: one client does the work of many.
    pub fn server(target: &Target, folder: &std::path::Path) -> Self {
        let limits =
            ["USER_REQUESTS_PER_SECOND", "TENANT_REQUESTS_PER_SECOND", "REFRESHES_PER_SESSION", "SIGN_INS_PER_USER"];
        Self::serve(target, folder, &limits.map(|limit| (format!("GATEHOUSE_{limit}"), "0")))
    }

    /// The same with the limits that hold when nothing is set.
    pub fn limited(target: &Target, folder: &std::path::Path) -> Self {
        Self::serve(target, folder, &[])
    }

    fn serve(target: &Target, folder: &std::path::Path, limits: &[(String, &str)]) -> Self {
        let port = free_port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatehouse"));
        command.env_clear();
        command.env("GATEHOUSE_BIND", format!("127.0.0.1:{port}")).env("GATEHOUSE_DATA_DIR", folder);
        command
            .env("GATEHOUSE_ADMIN_EMAIL", "admin@example.com")
            .env("GATEHOUSE_ADMIN_PASSWORD", super::scenarios::PASSWORD);
        command.env("GATEHOUSE_REGISTRATIONS_PER_ADDRESS", "1000000").env("GATEHOUSE_LOG_FORMAT", "json");
        command.envs(limits.iter().cloned());
        // So that clients of many addresses can be played from one.
        command.env("GATEHOUSE_TRUSTED_PROXIES", "127.0.0.1");
        match target {
            Target::Sqlite(path) => command.env("DATABASE_URL", format!("sqlite:{}", path.display())),
            Target::Postgres(url) => command.env("DATABASE_URL", Secret::expose(url)),
        };
        // What the image tells the allocator.
        if std::env::args().all(|word| word != super::NO_TUNABLES) {
            command.env("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=1048576");
        }
        // Logs are written, as they would be, but nobody reads them.
        command.stderr(std::fs::File::create(folder.join("log")).unwrap());
        Self::start(command, port)
    }

    /// CPU time so far.
    pub fn cpu(&self) -> Duration {
        cpu_of(&self.child.id().to_string())
    }

    /// Resident memory in MiB.
    pub fn rss_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
        line.split_ascii_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
    }
}

/// What the threads of a process have run for, by its folder in `/proc`.
pub fn cpu_of(process: &str) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let nanos = threads.filter_map(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        stat.split_ascii_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

impl Process {
    /// Stops it now, instead of when the value goes.
    pub fn stop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
