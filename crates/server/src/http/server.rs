//! The server: a socket, the workers behind it, and the connections that they take.

use std::{
    future::ready,
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use actix_http::{HttpService, Request, Response, error::DispatchError};
use actix_server::{Server, ServerBuilder};
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::{
    Error,
    body::MessageBody,
    dev::{AppConfig, Extensions, Service},
    rt::net::TcpStream,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};

use crate::http::connections::{Connection, Connections};

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1_024;
/// How much of an answer the kernel takes before its client has: so much memory a client that does not read can hold.
const SEND_BUFFER: usize = 128 * 1024;

/// Listens on an address. Its connections inherit what is set here.
///
/// # Errors
/// When it cannot.
pub fn listener(address: SocketAddr, unread: Duration) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_socket_send_buffer_size(&socket, SEND_BUFFER)?;
    // What the kernel still has for a client when the connection is closed already, it gives up as well.
    #[cfg(target_os = "linux")]
    sockopt::set_tcp_user_timeout(&socket, u32::try_from(unread.as_millis()).unwrap_or(u32::MAX))?;
    #[cfg(not(target_os = "linux"))]
    let _ = unread;
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// How much of an answer is written at once; a connection whose client does not read keeps it.
const WRITE_BUFFER: usize = 16 * 1024;

/// How a server runs.
#[derive(Debug, Clone, Copy)]
pub struct Running {
    /// Threads that answer requests.
    pub workers: usize,
    /// How long requests may go on when it is stopped.
    pub grace: Duration,
}

/// Serves an application on a socket.
///
/// # Errors
/// When the socket cannot be used.
pub fn serve<F, I, S, B>(
    listener: TcpListener,
    connections: &Arc<Connections>,
    running: Running,
    application: F,
) -> io::Result<Server>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<Error> + 'static,
    S::InitError: std::fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    let address = listener.local_addr()?;
    let rules = connections.rules();
    let builder = ServerBuilder::new()
        .workers(running.workers)
        .max_concurrent_connections(rules.most.div_ceil(running.workers))
        .shutdown_timeout(running.grace.as_secs())
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    let connections = Arc::clone(connections);
    let service = move || {
        let (connections, stopping) = (Arc::clone(&connections), stopping.clone());
        let rules = connections.rules();
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .client_request_timeout(rules.head)
            .keep_alive(Ord::max(rules.keep_alive, rules.keep_alive_of_proxy))
            .h1_write_buffer_size(WRITE_BUFFER)
            .local_addr(address)
            .on_connect_ext(|io: &Connection, data: &mut Extensions| drop(data.insert(Arc::clone(io.link()))));
        let application = application().into_factory().map_err(|error| error.into().error_response());
        let http = http.h1(map_config(application, |()| AppConfig::default()));
        let admitted = move |io: TcpStream| {
            let admitted = connections.admit(io).map(|io| {
                let peer = io.peer();
                (io, peer)
            });
            ready(admitted.ok_or_else(|| DispatchError::Io(io::ErrorKind::ConnectionRefused.into())))
        };
        fn_service(admitted).and_then(http)
    };
    Ok(builder.listen("http", listener, service)?.run())
}
