//! A way to a PostgreSQL server that can be cut and mended, forget its connections without a word, and lose answers.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// Passes connections on, unless it is cut.
pub struct Proxy {
    port: u16,
    upstream: String,
    serving: Option<JoinHandle<()>>,
    forgotten: watch::Sender<()>,
    loses_commits: Arc<AtomicBool>,
}

impl Proxy {
    /// A way to the server of a URL, and that URL by this way.
    pub async fn to(url: &str) -> (Self, String) {
        let (head, rest) = url.split_once('@').unwrap();
        let (upstream, database) = rest.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut proxy = Self {
            port,
            upstream: upstream.to_owned(),
            serving: None,
            forgotten: watch::Sender::new(()),
            loses_commits: Arc::default(),
        };
        proxy.serve(listener);
        (proxy, format!("{head}@127.0.0.1:{port}/{database}"))
    }

    fn serve(&mut self, listener: TcpListener) {
        let (upstream, forgotten, loses) =
            (self.upstream.clone(), self.forgotten.clone(), Arc::clone(&self.loses_commits));
        self.serving = Some(tokio::spawn(async move {
            // Ends with this task: so do the connections in it.
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (upstream, mut forgotten, loses) = (upstream.clone(), forgotten.subscribe(), Arc::clone(&loses));
                connections.spawn(async move {
                    if let Ok(server) = TcpStream::connect(upstream).await {
                        let mut relay = Box::pin(relay(client, server, &loses));
                        tokio::select! {
                            _ = &mut relay => {}
                            // Both ends stay, and nothing passes.
                            _ = forgotten.changed() => std::future::pending().await,
                        }
                    }
                });
            }
        }));
    }

    /// Ends every connection; new ones are refused.
    pub async fn cut(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            drop(serving.await);
        }
    }

    /// Passes nothing on any more over the connections that there are, as a firewall that has forgotten them; new ones work.
    pub fn forget(&self) {
        self.forgotten.send_replace(());
    }

    /// From now on, or not any more: commits arrive, and the connection falls silent before their answer.
    pub fn lose_commits(&self, lose: bool) {
        self.loses_commits.store(lose, Ordering::Relaxed);
    }

    /// Leads to another server from now on.
    pub async fn turn_to(&mut self, url: &str) {
        self.cut().await;
        let (_, rest) = url.split_once('@').unwrap();
        self.upstream = rest.split_once('/').unwrap().0.to_owned();
        self.mend().await;
    }

    /// Takes connections again.
    pub async fn mend(&mut self) {
        self.serve(TcpListener::bind(("127.0.0.1", self.port)).await.unwrap());
    }
}

/// Passes on what comes from both ends.
async fn relay(mut client: TcpStream, mut server: TcpStream, loses_commits: &AtomicBool) -> std::io::Result<()> {
    let (mut asked, mut answered) = (vec![0; 1 << 14], vec![0; 1 << 14]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let asked = &asked[..read?];
                if asked.is_empty() {
                    return Ok(());
                }
                server.write_all(asked).await?;
                if loses_commits.load(Ordering::Relaxed) && asked.windows(7).any(|text| text == b"COMMIT\0") {
                    std::future::pending::<()>().await;
                }
            }
            read = server.read(&mut answered) => {
                let answered = &answered[..read?];
                if answered.is_empty() {
                    return Ok(());
                }
                client.write_all(answered).await?;
            }
        }
    }
}
