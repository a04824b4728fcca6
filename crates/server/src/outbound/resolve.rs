//! What names stand for.

use std::{
    future::Future,
    io,
    net::{IpAddr, ToSocketAddrs},
    pin::Pin,
    sync::Arc,
};

use tokio::sync::Semaphore;

/// Names that are looked up at the same time. The system's own look-up waits for a server that says nothing longer than any
/// call does, and keeps a thread so long.
const AT_ONCE: usize = 64;

/// The addresses of a name.
pub type Found<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Knows what names stand for.
pub trait Resolve: Send + Sync {
    /// The addresses of a name.
    fn resolve<'a>(&'a self, name: &'a str) -> Found<'a>;
}

/// Asks the operating system.
#[derive(Debug, Clone)]
pub struct SystemResolver(Arc<Semaphore>);

impl Default for SystemResolver {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> Found<'a> {
        Box::pin(async move {
            let permit = Arc::clone(&self.0).acquire_owned().await.map_err(io::Error::other)?;
            let name = name.to_owned();
            let looking = tokio::task::spawn_blocking(move || {
                // Whoever gave up waiting leaves the thread behind; it counts until it is free.
                let _permit = permit;
                Ok((name.as_str(), 0).to_socket_addrs()?.map(|found| found.ip()).collect())
            });
            looking.await.map_err(io::Error::other)?
        })
    }
}
