//! Sending mail: over SMTP, or into a folder where there is no mail server.
//!
//! Nothing here logs what a mail says or to whom it goes: its links let their holders in.

mod letter;

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use gatehouse_domain::{id::MailId, job::Failure, secret::Secret, time::Timestamp};
use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Body, Mailbox, MultiPart, SinglePart, header},
    transport::smtp::{
        Error as SmtpError, PoolConfig,
        authentication::Credentials,
        client::{Tls, TlsParameters},
    },
};

use crate::security::private::{private_folder, write_private};

pub(crate) use letter::inert;
pub use letter::{Letter, Link};

/// How long one step of the conversation with a mail server may take.
pub const SMTP_TIMEOUT: Duration = Duration::from_secs(20);
/// How many such steps sending a mail may take altogether: two minutes, shorter than [`gatehouse_domain::job::JobKind::lease`].
const STEPS: u32 = 6;
const CONNECTIONS: u32 = 4;

/// A mail server.
#[derive(Debug, Clone)]
pub struct Smtp {
    /// Its name; its certificate must be for that.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub encryption: Encryption,
    /// User name and password.
    pub credentials: Option<(String, Secret<String>)>,
    /// How long one step of the conversation may take.
    pub timeout: Duration,
}

/// How the connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// TLS from the first byte.
    Implicit,
    /// STARTTLS; no mail leaves without it.
    StartTls,
    /// Not at all.
    None,
}

impl Smtp {
    /// Reads `smtps://user:password@host:port`, `smtp://…` for STARTTLS, and `smtp://…?tls=none` for neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let url = url::Url::parse(text).ok()?;
        let (encryption, port) = match (url.scheme(), url.query()) {
            ("smtps", None) => (Encryption::Implicit, 465),
            ("smtp", None | Some("tls=required")) => (Encryption::StartTls, 587),
            ("smtp", Some("tls=none")) => (Encryption::None, 25),
            _ => return None,
        };
        let plain = matches!(url.path(), "" | "/") && url.fragment().is_none();
        let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().ok().map(String::from);
        let credentials = match (url.username(), url.password()) {
            ("", None) => None,
            // A password that anybody on the way could read is none.
            (user, Some(password)) if !user.is_empty() && encryption != Encryption::None => {
                Some((decoded(user)?, Secret::new(decoded(password)?)))
            }
            _ => return None,
        };
        let host = url.host_str().filter(|host| plain && !host.is_empty())?;
        // An address of IPv6 is written in brackets in a URL, and nowhere else.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Some(Self { host, port: url.port().unwrap_or(port), encryption, credentials, timeout: SMTP_TIMEOUT })
    }

    fn transport(&self) -> Result<AsyncSmtpTransport<Tokio1Executor>, SmtpError> {
        let parameters = || TlsParameters::builder(self.host.clone()).build();
        let tls = match self.encryption {
            Encryption::Implicit => Tls::Wrapper(parameters()?),
            Encryption::StartTls => Tls::Required(parameters()?),
            Encryption::None => Tls::None,
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(self.host.clone())
            .port(self.port)
            .tls(tls)
            .timeout(Some(self.timeout))
            .pool_config(PoolConfig::new().max_size(CONNECTIONS).idle_timeout(Duration::from_secs(30)));
        if let Some((user, password)) = &self.credentials {
            builder = builder.credentials(Credentials::new(user.clone(), password.expose().clone()));
        }
        Ok(builder.build())
    }
}

/// Where mail goes, and from whom it comes.
#[derive(Debug, Clone)]
pub struct MailOptions {
    /// The mail server; without one mail goes into a folder.
    pub smtp: Option<Smtp>,
    /// The sender. One without a name has that of the tenant.
    pub from: Mailbox,
}

/// Sends mail.
#[derive(Debug)]
pub struct Mailer {
    from: Mailbox,
    way: Way,
}

enum Way {
    /// And how long a mail may take.
    Smtp(AsyncSmtpTransport<Tokio1Executor>, Duration),
    Folder(PathBuf),
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Smtp(..) => f.write_str("Smtp(…)"),
            Self::Folder(path) => path.fmt(f),
        }
    }
}

/// What a mail server's refusal means. That there is no such mailbox is final; everything else may be mended meanwhile:
/// an operator corrects the password, the server comes back.
fn failure(error: &SmtpError) -> Failure {
    match error.status().map(|code| code.to_string()) {
        Some(code) if matches!(&*code, "550" | "551" | "553") => Failure::never("refused"),
        Some(code) if matches!(&*code, "530" | "534" | "535" | "538") => Failure::again("authentication"),
        Some(_) => Failure::again("postponed"),
        None if error.is_timeout() => Failure::again("timeout"),
        None if error.is_tls() => Failure::again("tls"),
        None if error.is_client() => Failure::again("unsupported"),
        None => Failure::again("unreachable"),
    }
}

impl Mailer {
    /// Makes ready to send; connects when there is something to be sent.
    ///
    /// # Errors
    /// When the folder cannot be made, or the name of the mail server is none.
    pub fn new(options: &MailOptions, data_dir: &Path) -> io::Result<Self> {
        let way = match &options.smtp {
            Some(smtp) => Way::Smtp(smtp.transport().map_err(io::Error::other)?, smtp.timeout * STEPS),
            None => {
                let folder = data_dir.join("outbox");
                private_folder(&folder)?;
                Way::Folder(folder)
            }
        };
        Ok(Self { from: options.from.clone(), way })
    }

    /// The folder that mail goes into, where there is no mail server.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match &self.way {
            Way::Smtp(..) => None,
            Way::Folder(path) => Some(path),
        }
    }

    /// Sends a letter.
    ///
    /// # Errors
    /// Why it could not be sent.
    pub async fn send(&self, id: MailId, letter: &Letter, written_at: Timestamp) -> Result<(), Failure> {
        let message = self.message(id, letter, written_at)?;
        match &self.way {
            Way::Smtp(transport, altogether) => {
                match tokio::time::timeout(*altogether, transport.send(message)).await {
                    Ok(sent) => sent.map(drop).map_err(|error| failure(&error)),
                    Err(_) => Err(Failure::again("timeout")),
                }
            }
            Way::Folder(folder) => {
                let (folder, name, bytes) = (folder.clone(), id.to_string(), message.formatted());
                let written = tokio::task::spawn_blocking(move || put(&folder, &name, &bytes)).await;
                written.map_err(io::Error::other).flatten().map_err(|_| Failure::again("folder"))
            }
        }
    }

    fn message(&self, id: MailId, letter: &Letter, written_at: Timestamp) -> Result<Message, Failure> {
        let to: Address = letter.to.parse().map_err(|_| Failure::never("address"))?;
        let mut from = self.from.clone();
        from.name = from.name.or_else(|| Some(line(&letter.from)));
        // The same every time that the mail is sent: who gets it twice can tell.
        let message_id = format!("<{id}@{}>", from.email.domain());
        let written_at = Duration::from_micros(u64::try_from(written_at.micros()).unwrap_or(0));
        let html = letter.html().map_err(|_| Failure::never("message"))?;
        let automatic = header::HeaderName::new_from_ascii_str("Auto-Submitted");
        Message::builder()
            .from(from)
            .to(Mailbox::new(None, to))
            .subject(line(&letter.subject))
            .message_id(Some(message_id))
            .date(UNIX_EPOCH + written_at)
            // Nobody's absence assistant answers it (RFC 3834).
            .raw_header(header::HeaderValue::new(automatic, "auto-generated".to_owned()))
            .multipart(MultiPart::alternative().singlepart(plain(&letter.text())).singlepart(SinglePart::html(html)))
            .map_err(|_| Failure::never("message"))
    }
}

/// A text whose lines stay whole: whoever reads the file, or copies a link from it, finds it uncut. None is longer than
/// the 998 characters that a line may have (RFC 5322, section 2.1.1): names and addresses are short.
fn plain(text: &str) -> SinglePart {
    let is_ascii = text.is_ascii();
    let encoding =
        if is_ascii { header::ContentTransferEncoding::SevenBit } else { header::ContentTransferEncoding::EightBit };
    let body = Body::dangerous_pre_encoded(text.replace('\n', "\r\n").into_bytes(), encoding);
    SinglePart::builder().header(header::ContentType::TEXT_PLAIN).body(body)
}

/// A text as one line. Names are that already where they come in; a header must be it whatever came in how.
fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c }).collect()
}

/// Writes a mail into the folder.
fn put(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    private_folder(folder)?;
    write_private(&folder.join(format!("{name}.eml")), bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use gatehouse_domain::{
        issue::Parse,
        tenant::{Branding, Colour, HttpsUrl},
    };

    use super::*;

    #[test]
    fn mail_server_is_reached_over_tls_unless_it_is_said_otherwise() {
        for (text, host, port, encryption) in [
            ("smtps://mail.example.com", "mail.example.com", 465, Encryption::Implicit),
            ("smtp://mail.example.com", "mail.example.com", 587, Encryption::StartTls),
            ("smtp://mail.example.com:2525?tls=required", "mail.example.com", 2525, Encryption::StartTls),
            ("smtp://[::1]:25?tls=none", "::1", 25, Encryption::None),
        ] {
            let smtp = Smtp::parse(text).unwrap();
            assert_eq!((&*smtp.host, smtp.port, smtp.encryption), (host, port, encryption), "{text}");
        }
    }

    #[test]
    fn password_is_decoded_and_never_sent_in_the_clear() {
        let (user, password) = Smtp::parse("smtps://a%40b:p%2Fw@mail.example.com").unwrap().credentials.unwrap();
        assert_eq!((&*user, password.expose().as_str()), ("a@b", "p/w"));
        assert!(Smtp::parse("smtp://user:password@mail.example.com?tls=none").is_none());
    }

    #[test]
    fn address_of_a_mail_server_has_no_other_form() {
        for bad in [
            "",
            "mail.example.com",
            "http://mail.example.com",
            "smtp://",
            "smtp://h/path",
            "smtps://h?tls=none",
            "smtp://user@h",
            "smtp://h?tls=maybe",
            "smtp://h#x",
        ] {
            assert!(Smtp::parse(bad).is_none(), "{bad}");
        }
    }

    fn letter(from: &str, subject: &str) -> Letter {
        Letter {
            from: from.to_owned(),
            to: "ada@example.com".to_owned(),
            subject: subject.to_owned(),
            paragraphs: vec!["<b>Hello</b> & welcome".to_owned()],
            link: Some(Link { label: "Go".to_owned(), url: "https://id.example.com/x#a/b".to_owned() }),
            after: Vec::new(),
            branding: Branding::default(),
        }
    }

    fn mailer() -> Mailer {
        Mailer { from: "no-reply@id.example.com".parse().unwrap(), way: Way::Folder(PathBuf::new()) }
    }

    #[test]
    fn link_in_the_text_is_one_line_whatever_stands_beside_it() {
        for name in ["Acme", "Ähre & Söhne"] {
            let mut letter = letter(name, "Hello");
            letter.link =
                Some(Link { label: "Go".to_owned(), url: format!("https://id.example.com/x#a/{}", "b".repeat(90)) });
            let url = &letter.link.as_ref().unwrap().url;
            let message = mailer().message(MailId::from_parts(1, [1; 10]), &letter, Timestamp::default()).unwrap();
            let bytes = String::from_utf8(message.formatted()).unwrap();
            assert!(bytes.lines().any(|line| line == url), "{bytes}");
        }
    }

    /// R100.
    #[test]
    fn no_name_adds_a_header_or_a_recipient() {
        let id = MailId::from_parts(1, [1; 10]);
        for hostile in [
            "Acme\r\nBcc: eve@example.com",
            "\"Acme\" <eve@example.com>,",
            "A\nB",
            "Ac\u{2028}me",
            "=?utf-8?q?x?=",
            "Ä\u{0}ö",
        ] {
            let message = mailer().message(id, &letter(hostile, hostile), Timestamp::default()).unwrap();
            let to: Vec<_> = message.envelope().to().iter().map(ToString::to_string).collect();
            assert_eq!(to, ["ada@example.com"]);
            assert_eq!(message.envelope().from().unwrap().to_string(), "no-reply@id.example.com");
            let bytes = String::from_utf8(message.formatted()).unwrap();
            let headers = bytes.split("\r\n\r\n").next().unwrap();
            let mut names: Vec<_> = headers
                .split("\r\n")
                .filter(|line| !line.starts_with([' ', '\t']))
                .map(|line| line.split(':').next().unwrap())
                .collect();
            names.sort_unstable();
            let expected =
                ["Auto-Submitted", "Content-Type", "Date", "From", "MIME-Version", "Message-ID", "Subject", "To"];
            assert_eq!(names, expected, "{headers}");
        }
    }

    #[test]
    fn what_people_may_choose_is_inert_in_the_html() {
        let html = letter("<i>", "\"><script>").html().unwrap();
        assert!(html.contains("&#60;b&#62;Hello&#60;/b&#62; &#38; welcome") && !html.contains("<script"), "{html}");
    }

    #[test]
    fn name_of_the_tenant_becomes_no_link_in_the_footer() {
        let letter = letter("www.evil.example", "Hello");
        for body in [letter.text(), letter.html().unwrap()] {
            assert!(!body.contains("evil.example"), "{body}");
        }
    }

    #[test]
    fn letter_looks_like_its_tenant_and_its_button_can_be_read() {
        let plain = letter("Acme", "Hello").html().unwrap();
        assert!(plain.contains("background:#1a4fa0;color:#ffffff") && !plain.contains("<img"), "{plain}");
        let mut letter = letter("Acme", "Hello");
        letter.branding = Branding {
            logo_url: Some(HttpsUrl::parse("https://acme.example/logo.png?a=1&b=2").unwrap()),
            primary_color: Some(Colour::parse("#ffee00").unwrap()),
        };
        let html = letter.html().unwrap();
        assert!(html.contains("<img src=\"https://acme.example/logo.png?a=1&#38;b=2\" alt=\"Acme\""), "{html}");
        assert!(html.contains("background:#ffee00;color:#000000"), "{html}");
    }

    #[test]
    fn file_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = std::env::temp_dir().join(format!("gatehouse-outbox-{}", std::process::id()));
        put(&folder, "job_1", b"first").unwrap();
        put(&folder, "job_1", b"again").unwrap();
        let names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["job_1.eml"]);
        assert_eq!(fs::read(folder.join("job_1.eml")).unwrap(), b"again");
        assert_eq!(fs::metadata(folder.join("job_1.eml")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        fs::remove_dir_all(&folder).unwrap();
    }
}
