//! A connection as actix reads and writes it.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use actix_web::rt::net::TcpStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Connections, Link, Phase};

/// A connection that is looked after.
#[derive(Debug)]
pub struct Connection {
    io: TcpStream,
    link: Arc<Link>,
    number: u64,
    all: Arc<Connections>,
    /// Whether an answer waits for its client.
    is_blocked: bool,
    /// Whether something would have been read meanwhile.
    is_held_back: bool,
}

impl Connection {
    pub(super) const fn new(io: TcpStream, link: Arc<Link>, number: u64, all: Arc<Connections>) -> Self {
        Self { io, link, number, all, is_blocked: false, is_held_back: false }
    }

    /// What is known of it.
    #[must_use]
    pub const fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// The address of the client.
    #[must_use]
    pub fn peer(&self) -> Option<std::net::SocketAddr> {
        self.io.peer_addr().ok()
    }

    fn is_taken(&mut self, cx: &Context<'_>) {
        if std::mem::take(&mut self.is_blocked) {
            self.link.rest();
        }
        if std::mem::take(&mut self.is_held_back) {
            cx.waker().wake_by_ref();
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut open = self.all.open();
        open.links.remove(&self.number);
        if let Some(address) = self.link.address
            && let Some(has) = open.by_address.get_mut(&address)
        {
            *has -= 1;
            if *has == 0 {
                open.by_address.remove(&address);
            }
        }
    }
}

impl AsyncRead for Connection {
    /// Nothing more is read from a client that does not take its answers: its next requests would pile up.
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.link.attend(cx);
        if this.is_blocked {
            this.link.alive()?;
            this.is_held_back = true;
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.io).poll_read(cx, buf);
        if buf.filled().len() > before {
            this.link.has_come();
        }
        this.link.alive()?;
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.link.attend(cx);
        this.link.alive()?;
        let polled = Pin::new(&mut this.io).poll_write(cx, bytes);
        match polled {
            Poll::Pending if !this.is_blocked => {
                this.is_blocked = true;
                this.link.enter(Phase::Unread);
            }
            Poll::Pending => {}
            Poll::Ready(_) => this.is_taken(cx),
        }
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
