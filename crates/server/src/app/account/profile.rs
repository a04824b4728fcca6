//! The profile of one's own account.

use gatehouse_domain::{
    authz::{Grant, Oneself},
    text::{DisplayName, Phone},
    user::UserView,
};
use gatehouse_persistence::WriteTx;

use crate::app::{Error, Result, account::Accounts, request::client::RequestMeta};

impl Accounts<'_> {
    /// Changes one's own profile.
    ///
    /// # Errors
    /// [`Error::Stale`] when it was changed meanwhile.
    pub async fn update_profile(
        &self,
        grant: &Grant<Oneself>,
        display_name: Option<Option<DisplayName>>,
        phone: Option<Option<Phone>>,
        meta: &RequestMeta,
    ) -> Result<UserView> {
        let id = grant.own().ok_or(Error::NotFound)?;
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let view = scope.user_view(id, tx.now()).await?.ok_or(Error::NotFound)?;
            let changed = view.user.update_profile(display_name.clone(), phone.clone(), &grant.by(), tx.now());
            Ok::<_, Error>(UserView { user: scope.update(changed).await?, roles: view.roles })
        };
        self.db.write(meta.ctx.clone(), work).await
    }
}
