//! A way to a PostgreSQL server that can be cut and mended.

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// Passes connections on, unless it is cut.
pub struct Proxy {
    port: u16,
    upstream: String,
    serving: Option<JoinHandle<()>>,
}

impl Proxy {
    /// A way to the server of a URL, and that URL by this way.
    pub async fn to(url: &str) -> (Self, String) {
        let (head, rest) = url.split_once('@').unwrap();
        let (upstream, database) = rest.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut proxy = Self { port, upstream: upstream.to_owned(), serving: None };
        proxy.serve(listener);
        (proxy, format!("{head}@127.0.0.1:{port}/{database}"))
    }

    fn serve(&mut self, listener: TcpListener) {
        let upstream = self.upstream.clone();
        self.serving = Some(tokio::spawn(async move {
            // Ends with this task: so do the connections in it.
            let mut connections = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let upstream = upstream.clone();
                connections.spawn(async move {
                    if let Ok(mut server) = TcpStream::connect(upstream).await {
                        drop(copy_bidirectional(&mut client, &mut server).await);
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

    /// Takes connections again.
    pub async fn mend(&mut self) {
        self.serve(TcpListener::bind(("127.0.0.1", self.port)).await.unwrap());
    }
}
