//! What a mail says, as text and as HTML.

use askama::Template;
use gatehouse_domain::tenant::Branding;
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
    /// How the tenant looks in whose name it is written.
    #[serde(default)]
    pub branding: Branding,
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

/// A name in which no mail program sees the address of a page or of a mailbox: an invisible character (word joiner) stands
/// behind each sign that such addresses have.
pub(crate) fn inert(name: impl std::fmt::Display) -> String {
    let name = name.to_string();
    let mut inert = String::with_capacity(name.len());
    let mut rest = name.chars().peekable();
    while let Some(c) = rest.next() {
        inert.push(c);
        if matches!(c, '.' | ':' | '@' | '。') && rest.peek().is_some_and(|next| !next.is_whitespace()) {
            inert.push('\u{2060}');
        }
    }
    inert
}

/// The page of a letter. It loads nothing but the picture of its tenant.
#[derive(Template)]
#[template(path = "letter.html")]
struct Page<'a> {
    letter: &'a Letter,
    from: String,
    background: &'a str,
    text: &'static str,
}

/// The colour of a tenant that has none.
const COLOUR: &str = "#1a4fa0";

impl Letter {
    /// As plain text.
    #[must_use]
    pub fn text(&self) -> String {
        let link = self.link.iter().map(|link| format!("{}:\n{}", link.label, link.url));
        let parts: Vec<_> = self.paragraphs.iter().cloned().chain(link).chain(self.after.iter().cloned()).collect();
        format!("{}\n\n-- \n{}\n", parts.join("\n\n"), inert(&self.from))
    }

    /// As HTML, in the colours of the tenant.
    ///
    /// # Errors
    /// When it cannot be rendered.
    pub fn html(&self) -> Result<String, askama::Error> {
        let colour = self.branding.primary_color.as_ref();
        let (background, text) = colour.map_or((COLOUR, "#ffffff"), |colour| (colour.as_str(), colour.text_colour()));
        Page { letter: self, from: inert(&self.from), background, text }.render()
    }
}
