//! What a mail says, as text and as HTML.

use serde::{Deserialize, Serialize};

/// A letter to one person.
#[derive(Clone, Serialize, Deserialize)]
pub struct Letter {
    /// In whose name it is written, unless the sender has a name of its own.
    pub from: String,
    /// The address.
    pub to: String,
    /// The subject.
    pub subject: String,
    /// What comes first.
    pub paragraphs: Vec<String>,
    /// What is to be followed.
    pub link: Option<Link>,
    /// What comes behind the link.
    pub after: Vec<String>,
}

/// A link in a letter.
#[derive(Clone, Serialize, Deserialize)]
pub struct Link {
    /// What following it does.
    pub label: String,
    /// Where it leads; a secret.
    pub url: String,
}

impl std::fmt::Debug for Letter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Letter(…)")
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link(…)")
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

impl Letter {
    /// As plain text.
    #[must_use]
    pub fn text(&self) -> String {
        let link = self.link.iter().map(|link| format!("{}:\n{}", link.label, link.url));
        let parts: Vec<_> = self.paragraphs.iter().cloned().chain(link).chain(self.after.iter().cloned()).collect();
        format!("{}\n\n-- \n{}\n", parts.join("\n\n"), self.from)
    }

    /// As HTML that loads nothing.
    #[must_use]
    pub fn html(&self) -> String {
        let paragraph = |text: &String| format!("<p>{}</p>\n", escape(text));
        let link = self.link.iter().map(|Link { label, url }| {
            let (label, url) = (escape(label), escape(url));
            format!(
                "<p><a href=\"{url}\" style=\"display:inline-block;padding:10px 18px;background:#1a4fa0;color:#fff;\
                 text-decoration:none;border-radius:4px\">{label}</a></p>\n<p>Or copy this into your browser:<br>{url}</p>\n"
            )
        });
        let parts: String =
            self.paragraphs.iter().map(paragraph).chain(link).chain(self.after.iter().map(paragraph)).collect();
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
             <meta name=\"color-scheme\" content=\"light dark\"><title>{}</title></head>\n\
             <body style=\"font:16px/1.5 sans-serif;max-width:34em;margin:0 auto;padding:1em\">\n{parts}<p>{}</p>\n</body>\n</html>\n",
            escape(&self.subject),
            escape(&self.from)
        )
    }
}
