//! How an account ends.

use super::{Attributes, User, UserStatus};
use crate::{
    audit::{Action, Fields},
    authz::{Authority, By, Denied},
    change::Changed,
    role::{HeldRole, administers_platform},
    session::{EndReason, RevokeMany, RevokeTarget},
    text::{Email, Username},
    time::Timestamp,
};

impl User {
    /// Deletes the account: it can never be used again, and its user name and address are free for another. The roles are
    /// those that the user holds.
    ///
    /// # Errors
    /// [`Denied`] when the user may do more than the caller.
    pub fn delete(
        self,
        roles: &[HeldRole],
        caller: &Authority,
        now: Timestamp,
    ) -> Result<(Changed<Self>, RevokeMany), Denied> {
        caller.equals(roles)?;
        let by = caller.by();
        let next = Self { status: UserStatus::Suspended, updated_at: now, deleted_at: Some(now), ..self };
        let mut fields = Fields::default();
        fields.change("status", self.status, next.status);
        let ends = RevokeMany::below(RevokeTarget::User(next.tenant(), next.id), EndReason::Deleted, by);
        let resource = next.resource();
        let changed = Changed::new(next, Action::UserDeleted, resource, by).with(fields);
        Ok((changed.endangering_platform(administers_platform(roles)), ends))
    }

    /// Whether nothing personal is left of the account.
    #[must_use]
    pub fn is_erased(&self) -> bool {
        self.deleted_at.is_some() && self.username.to_string() == self.id.to_string()
    }

    /// Removes what is personal about a deleted account; the id remains, so that what the account did can be told
    /// apart. The event names no value.
    pub fn erase(self, by: &By, now: Timestamp) -> Changed<Self> {
        let id = self.id.to_string();
        let resource = self.resource();
        // Spelled out: a field that is new has to be decided about here.
        let next = Self {
            id: self.id,
            tenant_id: self.tenant_id,
            partner_id: self.partner_id,
            // No mailbox can ever be there (RFC 2606).
            email: Email::from_stored(format!("{id}@erased.invalid")),
            username: Username::from_stored(id),
            email_verified: false,
            display_name: None,
            phone: None,
            status: self.status,
            attributes: Attributes::new(),
            last_login_at: None,
            created_at: self.created_at,
            updated_at: now,
            deleted_at: self.deleted_at,
            version: self.version,
        };
        Changed::new(next, Action::UserErased, resource, by)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::user, *};
    use crate::{authz::SystemReason, issue::Parse, text::DisplayName};

    #[test]
    fn deleted_account_is_shut_and_its_sessions_end() {
        let caller = Authority::system(SystemReason::Cli);
        let (changed, ends) = user().delete(&[], &caller, Timestamp::default()).unwrap();
        assert_eq!((ends.target, ends.reason), (RevokeTarget::User(user().tenant(), user().id), EndReason::Deleted));
        let (user, event) = changed.into_parts();
        assert_eq!((user.status, user.deleted_at), (UserStatus::Suspended, Some(Timestamp::default())));
        assert_eq!(event.action, Action::UserDeleted);
    }

    #[test]
    fn erased_account_and_its_event_name_nobody() {
        let by = By::system(SystemReason::Cli);
        let named = User {
            display_name: Some(DisplayName::parse("Ada Lovelace").unwrap()),
            attributes: [("town".to_owned(), "London".to_owned())].into(),
            ..user()
        };
        let (erased, event) = named.erase(&by, Timestamp::default()).into_parts();
        let left = format!("{erased:?}{event:?}");
        assert!(!["ada", "Ada", "London"].iter().any(|word| left.contains(word)), "{left}");
        assert_eq!(erased.id, user().id);
    }
}
