//! The mail that people get: read from the folder that it goes into where there is no mail server.

use std::{fs, path::PathBuf};

use gatehouse_domain::job::JobKind;

use super::World;

/// A mail that has been sent.
#[derive(Debug, Clone)]
pub struct Mail {
    pub to: String,
    pub subject: String,
    /// The whole mail, decoded as far as words go.
    pub text: String,
}

impl Mail {
    fn read(raw: &str) -> Self {
        let (head, _) = raw.split_once("\r\n\r\n").unwrap();
        let head = head.replace("\r\n ", " ");
        let header = |name: &str| {
            let prefix = format!("{name}: ");
            head.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap().to_owned()
        };
        // Quoted-printable: soft line breaks, and the one character that the links of these mails have quoted.
        let text = raw.replace("=\r\n", "").replace("=3D", "=");
        Self { to: header("To"), subject: header("Subject"), text }
    }

    /// The link in it.
    pub fn link(&self) -> Option<&str> {
        let start = self.text.find("\r\nhttp")? + 2;
        self.text[start..].lines().next()
    }

    /// The token in its link.
    #[track_caller]
    pub fn token(&self) -> String {
        self.link().unwrap().rsplit_once('/').unwrap().1.to_owned()
    }
}

impl World {
    /// Where mail goes.
    pub fn outbox(&self) -> PathBuf {
        self.config.data_dir.join("outbox")
    }

    /// Does the jobs of a kind that are due; how many were done.
    pub async fn work(&self, kind: JobKind) -> usize {
        self.app.worker().run_due(kind).await.unwrap()
    }

    /// Sends what is to be sent; all the mail that has arrived since this was last asked, oldest first.
    pub async fn mails(&self) -> Vec<Mail> {
        self.work(JobKind::Mail).await;
        let mut names: Vec<_> = fs::read_dir(self.outbox()).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        let read = |path: PathBuf| {
            let raw = fs::read_to_string(&path).unwrap();
            fs::remove_file(path).unwrap();
            Mail::read(&raw)
        };
        names.into_iter().map(read).collect()
    }

    /// The only mail to an address since mail was last looked at.
    pub async fn mail_to(&self, address: &str) -> Mail {
        let mut mails: Vec<_> = self.mails().await.into_iter().filter(|mail| mail.to == address).collect();
        assert_eq!(mails.len(), 1, "{address}: {mails:?}");
        mails.remove(0)
    }
}
