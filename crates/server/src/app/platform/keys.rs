//! Signing keys: made with their tenant, replaced by age, withdrawn by an operator.

use gatehouse_domain::{
    authz::{By, SystemReason, TenantRef},
    change::Changed,
    id::{KeyId, TenantId},
    key::{KeyState, ROTATE_AFTER, SigningKey},
};
use gatehouse_persistence::{Error as Storage, WriteTx};

use crate::app::{Error, Result, platform::Keys};

impl Keys<'_> {
    /// A new current key for a tenant; to be inserted.
    pub(crate) fn new_key(&self, tenant: TenantRef, by: &By) -> Result<Changed<SigningKey>> {
        let id = self.env.id(KeyId::from_parts);
        let material = self.tokens.generate(tenant.id, id)?;
        Ok(SigningKey::create(id, tenant, material, by, self.env.now()))
    }

    /// The keys of a tenant, newest first.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn list(&self, tenant: TenantId, reason: SystemReason) -> Result<Vec<SigningKey>> {
        Ok(self.db.system(reason).keys(tenant).await?)
    }

    /// Replaces a tenant's current key. Tokens that the old one signed stay valid until they expire.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the tenant has none, [`Error::Stale`] when it was replaced meanwhile.
    pub async fn rotate(&self, tenant: TenantRef, reason: SystemReason) -> Result<SigningKey> {
        let keys = self.list(tenant.id, reason).await?;
        let current = keys.into_iter().find(|key| key.state == KeyState::Current).ok_or(Error::NotFound)?;
        let by = self.db.system(reason).by();
        let (retired, new) = (current.retire(&by, self.env.now()), self.new_key(tenant, &by)?);
        let work = async move |tx: &WriteTx<'_>| {
            tx.system(reason).update(retired.clone()).await?;
            Ok::<_, Error>(tx.system(reason).insert(new.clone()).await?)
        };
        self.db.write(self.env.ctx(), work).await
    }

    /// Withdraws a key: everything it signed is invalid at once. A current key is replaced in the same step.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such key, [`Error::Stale`] when it was changed meanwhile.
    pub async fn withdraw(&self, id: KeyId, reason: SystemReason) -> Result<SigningKey> {
        let key = self.db.system(reason).key(id).await?.ok_or(Error::NotFound)?;
        if key.state == KeyState::Withdrawn {
            return Ok(key);
        }
        let by = self.db.system(reason).by();
        let tenant = TenantRef { id: key.tenant_id, partner_id: key.partner_id };
        let replacement = if key.state == KeyState::Current { Some(self.new_key(tenant, &by)?) } else { None };
        let withdrawn = key.withdraw(&by, self.env.now());
        let work = async move |tx: &WriteTx<'_>| {
            let key = tx.system(reason).update(withdrawn.clone()).await?;
            if let Some(replacement) = &replacement {
                tx.system(reason).insert(replacement.clone()).await?;
            }
            Ok::<_, Error>(key)
        };
        self.db.write(self.env.ctx(), work).await
    }

    /// Replaces keys that have come of age; returns how many.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn rotate_due(&self) -> Result<usize> {
        let due = self.db.system(SystemReason::Job).keys_older_than(self.env.now().minus(ROTATE_AFTER)).await?;
        let mut rotated = 0;
        for key in due {
            match self.rotate(TenantRef { id: key.tenant_id, partner_id: key.partner_id }, SystemReason::Job).await {
                Ok(_) => rotated += 1,
                // Another replica was faster.
                Err(Error::Stale | Error::NotFound) => {}
                Err(Error::Internal(error)) if matches!(error.downcast_ref(), Some(Storage::Conflict(_))) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(rotated)
    }
}
