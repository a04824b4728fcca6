//! Passwords that are set in the place of another: by the owner, who forgot it, or because an administrator wants it.

use super::{Issued, NotChanged, PasswordRemoved, PasswordSet, Purpose, Useless, User, UserStatus};
use crate::{
    audit::{Action, Fields},
    authz::{Authority, By},
    change::Changed,
    role::{HeldRole, administers_platform},
    secret::PasswordHash,
    session::{EndReason, RevokeMany, RevokeTarget},
    text::Email,
    time::Timestamp,
};

impl User {
    pub(super) fn active(self) -> Result<Self, Useless> {
        if self.status == UserStatus::Active { Ok(self) } else { Err(Useless) }
    }

    /// Every session of the user, but perhaps one, ends because of another password.
    pub(super) fn password_ends(&self, by: &By) -> RevokeMany {
        let target = RevokeTarget::User(self.tenant(), self.id);
        RevokeMany { target, except: by.session_id(), reason: EndReason::PasswordChange, by: *by }
    }

    /// A link is mailed with which the user sets another password.
    ///
    /// # Errors
    /// [`Useless`] when the user may not sign in anyway.
    pub fn issue_reset(self, expires_at: Timestamp, by: &By) -> Result<Changed<Issued>, Useless> {
        let user = self.active()?;
        let mut fields = Fields::default();
        fields.set("expires_at", expires_at);
        let (resource, mailed_to) = (user.resource(), Some(user.email.clone()));
        let issued = Issued { user, purpose: Purpose::PasswordReset, mailed_to, expires_at };
        Ok(Changed::new(issued, Action::UserPasswordResetRequested, resource, by).with(fields))
    }

    /// The password stops working, and every session ends: whoever has either has it no more. The user is mailed a link
    /// to set another. It shuts out until the mail is read. The roles are those that the user holds.
    ///
    /// # Errors
    /// [`crate::authz::Denied`] when the user may do more than the caller, [`Useless`] when the user may not sign in anyway.
    pub fn clear_password(
        self,
        roles: &[HeldRole],
        caller: &Authority,
        now: Timestamp,
    ) -> Result<(Changed<PasswordRemoved>, RevokeMany), NotChanged<Useless>> {
        caller.equals(roles)?;
        caller.is_no_program_of(self.id)?;
        let (user, by) = (self.active().map_err(NotChanged::State)?, caller.by());
        let ends = RevokeMany { except: None, ..user.password_ends(by) };
        let resource = user.resource();
        let user = Self { updated_at: now, ..user };
        let changed = Changed::new(PasswordRemoved { user }, Action::UserPasswordCleared, resource, by);
        Ok((changed.endangering_platform(administers_platform(roles)), ends))
    }

    /// The user sets another password with the link; every session ends. Whoever has the link reads the mailbox.
    ///
    /// # Errors
    /// [`Useless`] when the user may not sign in anyway, or has another address than the link was mailed to.
    pub fn reset_password(
        self,
        mailed_to: &Email,
        hash: PasswordHash,
        now: Timestamp,
    ) -> Result<(Changed<PasswordSet>, RevokeMany), Useless> {
        let user = self.active()?;
        if mailed_to.key() != user.email.key() {
            return Err(Useless);
        }
        let mut fields = Fields::default();
        fields.change("email_verified", user.email_verified, true);
        let (resource, by) = (user.resource(), By::oneself(user.id, None));
        let ends = user.password_ends(&by);
        let user = Self { email_verified: true, updated_at: now, ..user };
        let changed = Changed::new(PasswordSet { user, hash }, Action::UserPasswordReset, resource, &by);
        Ok((changed.with(fields), ends))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{authz::SystemReason, issue::Parse, user::tests::user};

    fn reset(user: User, email: &str) -> Result<User, Useless> {
        let (hash, email) = (PasswordHash::new("$argon2id$secret".into()), Email::parse(email).unwrap());
        let (changed, ends) = user.reset_password(&email, hash, Timestamp::default())?;
        assert_eq!((ends.reason, ends.except), (EndReason::PasswordChange, None));
        assert!(!format!("{:?}", changed.clone().into_parts().1).contains("argon2id"));
        Ok(changed.into_parts().0.user)
    }

    #[test]
    fn reset_ends_every_session_and_proves_the_mailbox() {
        assert!(reset(user(), "ADA@example.com").unwrap().email_verified);
    }

    #[test]
    fn link_that_was_mailed_elsewhere_resets_nothing() {
        assert_eq!(reset(user(), "eve@example.com").err(), Some(Useless));
    }

    #[test]
    fn nobody_who_may_not_sign_in_gets_a_link_or_uses_one() {
        let by = By::system(SystemReason::Authentication);
        for status in [UserStatus::Invited, UserStatus::Suspended] {
            let user = User { status, ..user() };
            assert_eq!(user.clone().issue_reset(Timestamp::default(), &by).err(), Some(Useless));
            let caller = Authority::system(SystemReason::Authentication);
            assert!(user.clone().clear_password(&[], &caller, Timestamp::default()).is_err());
            assert_eq!(reset(user, "ada@example.com").err(), Some(Useless));
        }
    }
}
