//! A mail server on loopback that behaves as it is told.

use std::{cell::RefCell, net::SocketAddr, rc::Rc, time::Duration};

use gatehouse_server::mail::{Encryption, Smtp};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// How the server behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// It takes every mail.
    Accepts,
    /// It has no time now.
    IsBusy,
    /// It knows no such mailbox.
    KnowsNobody,
    /// It takes connections and says nothing.
    IsSilent,
    /// It takes a mail, and the connection breaks before it says so.
    BreaksAfterwards,
}

/// A mail server.
#[derive(Clone)]
pub struct MailServer {
    address: SocketAddr,
    mood: Rc<RefCell<Mood>>,
    received: Rc<RefCell<Vec<String>>>,
}

impl MailServer {
    pub async fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Self { address, mood: Rc::new(RefCell::new(mood)), received: Rc::default() };
        let serving = server.clone();
        actix_web::rt::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = serving.clone();
                actix_web::rt::spawn(async move { drop(server.talk(stream).await) });
            }
        });
        server
    }

    /// How to reach it.
    pub fn smtp(&self, encryption: Encryption) -> Smtp {
        Smtp {
            host: self.address.ip().to_string(),
            port: self.address.port(),
            encryption,
            credentials: None,
            timeout: Duration::from_millis(500),
        }
    }

    pub fn becomes(&self, mood: Mood) {
        *self.mood.borrow_mut() = mood;
    }

    /// The mails that it has taken.
    pub fn received(&self) -> Vec<String> {
        self.received.borrow().clone()
    }

    fn mood(&self) -> Mood {
        *self.mood.borrow()
    }

    async fn talk(&self, stream: TcpStream) -> std::io::Result<()> {
        if self.mood() == Mood::IsSilent {
            std::future::pending::<()>().await;
        }
        let (reading, mut writing) = stream.into_split();
        let mut lines = BufReader::new(reading).lines();
        writing.write_all(b"220 sink\r\n").await?;
        while let Some(line) = lines.next_line().await? {
            let word = line.split_ascii_whitespace().next().unwrap_or_default().to_ascii_uppercase();
            let answer = match (word.as_str(), self.mood()) {
                ("MAIL", Mood::IsBusy) => "451 later",
                ("RCPT", Mood::KnowsNobody) => "550 nobody of that name",
                ("DATA", _) => {
                    writing.write_all(b"354 go on\r\n").await?;
                    let mut mail = String::new();
                    while let Some(line) = lines.next_line().await? {
                        if line == "." {
                            break;
                        }
                        mail.push_str(&line);
                        mail.push_str("\r\n");
                    }
                    self.received.borrow_mut().push(mail);
                    if self.mood() == Mood::BreaksAfterwards {
                        return Ok(());
                    }
                    "250 taken"
                }
                ("QUIT", _) => "221 bye",
                _ => "250 ok",
            };
            writing.write_all(answer.as_bytes()).await?;
            writing.write_all(b"\r\n").await?;
        }
        Ok(())
    }
}
