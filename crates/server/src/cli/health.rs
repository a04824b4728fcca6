//! `health`: asks the server on this machine whether it is ready. For health checks of containers, whose images hold no
//! HTTP client.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

use crate::{
    cli::{Exit, say},
    config::Config,
};

/// Longer than a server takes to find out that its database does not answer.
const TIMEOUT: Duration = Duration::from_secs(6);
/// More than any answer to the question.
const ANSWER: u64 = 4_096;

pub(super) fn run(config: &Config) -> Result<(), Exit> {
    let address = reachable(config.bind);
    let answer = ask(address).map_err(|error| Exit::Failed(format!("{address} does not answer: {error}")))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if head.split(' ').nth(1) == Some("200") {
        say(&format!("{body}\n"));
        Ok(())
    } else {
        Err(Exit::Failed(format!("{address} is not ready: {body}")))
    }
}

/// Where a server that listens there can be reached from this machine.
fn reachable(bind: SocketAddr) -> SocketAddr {
    let ip = match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bind.port())
}

fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.take(ANSWER).read_to_string(&mut answer)?;
    Ok(answer)
}
