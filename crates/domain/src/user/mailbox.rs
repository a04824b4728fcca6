//! Whether an e-mail address is the user's own, and changing it: the new one counts from when that is shown.

use super::{Issued, Purpose, Useless, User};
use crate::{
    audit::{Action, Fields},
    authz::By,
    change::Changed,
    text::Email,
    time::Timestamp,
};

impl User {
    /// A link is mailed to an address; whoever follows it makes that the verified address of the account.
    ///
    /// # Errors
    /// [`Useless`] when the user may not sign in anyway, or that is the verified address already.
    pub fn issue_verification(self, email: Email, expires_at: Timestamp, by: &By) -> Result<Changed<Issued>, Useless> {
        let user = self.active()?;
        let is_other = email != user.email;
        if user.email_verified && !is_other {
            return Err(Useless);
        }
        let mut fields = Fields::default();
        fields.set("expires_at", expires_at);
        let action = if is_other {
            fields.set("email", &email);
            Action::UserEmailChangeRequested
        } else {
            Action::UserEmailVerificationRequested
        };
        let resource = user.resource();
        let issued = Issued { user, purpose: Purpose::Email, mailed_to: Some(email), expires_at };
        Ok(Changed::new(issued, action, resource, by).with(fields))
    }

    /// The link was followed: the address is the user's.
    ///
    /// # Errors
    /// [`Useless`] when the user may not sign in anyway.
    pub fn verify_email(self, email: Email, now: Timestamp) -> Result<Changed<Self>, Useless> {
        let user = self.active()?;
        let mut fields = Fields::default();
        let username = user.username.clone().beside(&email);
        fields.change("username", &user.username, &username).change("email", &user.email, &email).change(
            "email_verified",
            user.email_verified,
            true,
        );
        let action = if email == user.email { Action::UserEmailVerified } else { Action::UserEmailChanged };
        let (resource, by) = (user.resource(), By::oneself(user.id, None));
        let user = Self { username, email, email_verified: true, updated_at: now, ..user };
        Ok(Changed::new(user, action, resource, &by).with(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{authz::SystemReason, issue::Parse, user::UserStatus, user::tests::user};

    fn email(text: &str) -> Email {
        Email::parse(text).unwrap()
    }

    #[test]
    fn address_is_what_it_was_until_the_new_one_is_shown_to_be_the_users() {
        let by = By::system(SystemReason::Authentication);
        let issued = user().issue_verification(email("new@example.com"), Timestamp::default(), &by).unwrap();
        assert_eq!(issued.value().user.email, user().email);
        let changed = user().verify_email(email("new@example.com"), Timestamp::default()).unwrap().into_parts().0;
        assert_eq!((changed.email, changed.email_verified), (email("new@example.com"), true));
    }

    #[test]
    fn verified_address_needs_no_verification_and_another_does() {
        let by = By::system(SystemReason::Authentication);
        let verified = User { email_verified: true, ..user() };
        let same = verified.clone().issue_verification(verified.email.clone(), Timestamp::default(), &by);
        assert_eq!(same.err(), Some(Useless));
        assert!(verified.issue_verification(email("new@example.com"), Timestamp::default(), &by).is_ok());
    }

    #[test]
    fn suspended_user_proves_nothing() {
        let suspended = User { status: UserStatus::Suspended, ..user() };
        assert_eq!(suspended.verify_email(email("ada@example.com"), Timestamp::default()).err(), Some(Useless));
    }
}
