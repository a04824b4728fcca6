//! What mails say. Anybody can have a letter sent to anybody, so it carries no message of the sender's: what people choose
//! themselves is repeated only to addresses that are confirmed, and nothing in it becomes a link.

use gatehouse_domain::{
    tenant::Tenant,
    text::Email,
    time::Timestamp,
    user::{Issued, RESET_LIFETIME, User, VERIFICATION_LIFETIME},
};

use crate::mail::{Letter, Link, inert};

const NOT_YOU: &str = "If that was not you, reset your password now and tell your administrator.";

fn hours(lifetime: std::time::Duration) -> String {
    match lifetime.as_secs() / 3_600 {
        0 => "less than an hour".to_owned(),
        1 => "an hour".to_owned(),
        hours if hours > 48 => format!("{} days", hours / 24),
        hours => format!("{hours} hours"),
    }
}

/// The account of a user, by name where the address of the letter is confirmed as the user's.
fn account(user: &User) -> String {
    if user.email_verified { format!("account {}", inert(&user.username)) } else { "account".to_owned() }
}

fn letter<const N: usize, const M: usize>(
    tenant: &Tenant,
    to: &Email,
    subject: String,
    paragraphs: [String; N],
    link: Option<(&str, String)>,
    after: [String; M],
) -> Letter {
    let link = link.map(|(label, url)| Link { label: label.to_owned(), url });
    let (from, to) = (tenant.name.to_string(), to.deliverable());
    let branding = tenant.branding.clone();
    Letter { from, to, subject, paragraphs: paragraphs.into(), link, after: after.into(), branding }
}

/// Invites the owner of an account.
pub(crate) fn invitation(tenant: &Tenant, issued: &Issued, url: String, now: Timestamp) -> Letter {
    let (user, name) = (&issued.user, inert(&tenant.name));
    // What an administrator chose of the few letters of a user name is no message to anybody.
    let username = inert(&user.username);
    letter(
        tenant,
        &user.email,
        format!("Your invitation to {name}"),
        [
            format!("An account has been made for you at {name}."),
            format!("Your user name is {username}. Choose a password to begin."),
        ],
        Some(("Accept the invitation", url)),
        [format!(
            "The link works once, for {}. If you did not expect this, do nothing.",
            hours(issued.expires_at.since(now))
        )],
    )
}

/// Lets a user set another password, because the user or an administrator asked for it.
pub(crate) fn reset(tenant: &Tenant, user: &User, url: String, is_forced: bool) -> Letter {
    let (name, account) = (inert(&tenant.name), account(user));
    let (why, otherwise) = if is_forced {
        (
            format!(
                "An administrator asks you to set another password for your {account} at {name}. The password so far works no more, and you have been signed out everywhere."
            ),
            "When the link is too old, ask for another where you sign in.",
        )
    } else {
        (
            format!("Somebody, probably you, has asked to reset the password of your {account} at {name}."),
            "If that was not you, do nothing: your password stays as it is.",
        )
    };
    letter(
        tenant,
        &user.email,
        format!("Reset your password at {name}"),
        [why],
        Some(("Set another password", url)),
        [format!("The link works once, for {}. {otherwise}", hours(RESET_LIFETIME))],
    )
}

/// Has somebody show that an address is the user's.
pub(crate) fn verification(tenant: &Tenant, to: &Email, url: String) -> Letter {
    let name = inert(&tenant.name);
    letter(
        tenant,
        to,
        format!("Confirm your e-mail address for {name}"),
        [format!("Confirm that this is the e-mail address of an account at {name}.")],
        Some(("Confirm the address", url)),
        [format!(
            "The link works once, for {}. If you have no such account, do nothing.",
            hours(VERIFICATION_LIFETIME)
        )],
    )
}

/// Tells the owner of an account that somebody else wanted the address for another.
pub(crate) fn address_taken(tenant: &Tenant, to: &Email) -> Letter {
    let name = inert(&tenant.name);
    letter(
        tenant,
        to,
        format!("Your e-mail address at {name}"),
        [
            format!("Somebody, perhaps you, wanted to use this e-mail address for another account at {name}."),
            "It belongs to an account there already, so nothing has changed.".to_owned(),
        ],
        None,
        [],
    )
}

/// Tells a user that the password is another.
pub(crate) fn password_changed(tenant: &Tenant, user: &User) -> Letter {
    let (name, account) = (inert(&tenant.name), account(user));
    letter(
        tenant,
        &user.email,
        format!("Your password at {name} was changed"),
        [format!("The password of your {account} at {name} was changed just now, and other devices were signed out.")],
        None,
        [NOT_YOU.to_owned()],
    )
}

/// Tells a user that the e-mail address is another: at the old one and at the new.
pub(crate) fn email_changed(tenant: &Tenant, user: &User, old: &Email) -> [Letter; 2] {
    let (name, account, new) = (inert(&tenant.name), account(user), &user.email);
    let to = |to| {
        letter(
            tenant,
            to,
            format!("Your e-mail address at {name} was changed"),
            [format!("The e-mail address of your {account} at {name} was {old} and is now {new}.")],
            None,
            ["If that was not you, tell your administrator at once.".to_owned()],
        )
    };
    [to(old), to(new)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_in_a_letter_becomes_no_link() {
        assert_eq!(inert("Acme Ltd. & Co"), "Acme Ltd. & Co");
        for name in ["www.evil.example", "Visit https://evil.example now", "mailto:eve@evil.example"] {
            let inert = inert(name);
            assert!(!inert.contains("evil.e") && !inert.contains("://") && inert.replace('\u{2060}', "") == name);
        }
    }

    #[test]
    fn lifetimes_are_said_in_words() {
        assert_eq!(
            [RESET_LIFETIME, VERIFICATION_LIFETIME, gatehouse_domain::user::INVITATION_LIFETIME].map(hours),
            ["an hour", "24 hours", "7 days"]
        );
    }
}
