//! The beginning of a sealed trail: with the installation, or once with the first start of a release that chains roots on a
//! database from before. That it has begun is told by the key check of the installation, which nobody makes up who does
//! not have the key; so nobody can make it begin a second time with what they left of it.

use sea_orm::Set;

use crate::{
    db::mac::RootPart,
    entity::{audit_chain, audit_seal, installation},
    error::{Error, Result},
    repo::{
        audit_chain::{Sum, contribute},
        exists,
    },
    scope::system::WriteSystem,
};

impl WriteSystem<'_> {
    /// Signs the root of a new installation.
    ///
    /// # Errors
    /// [`Error::Tampered`] when something was there before.
    pub async fn begin_trail(&self) -> Result<()> {
        match self.any_root(true).await? {
            Some(root) if root.is_blank() && self.has_no_seals().await? => self.put_root(root.beginning()).await,
            _ => Err(Error::Tampered("its root, before it began".into())),
        }
    }

    /// Brings the trail of a release before up to date: checks it as that release did, signs its root, and seals events from
    /// before there were tags as they are, some at a time. False when there is nothing left to do, and what the
    /// installation knows the key by says so from now on.
    ///
    /// # Errors
    /// [`Error::Tampered`] when the trail was not as that release left it.
    pub async fn upgrade_trail(&self, key_check: &[u8]) -> Result<bool> {
        let mac = self.tx.mac()?;
        let Some(root) = self.any_root(true).await? else { return Ok(false) };
        if !root.is_sound(mac) {
            let was_sound = root.was_sound(mac) && [root.sum] == self.sums_of_chains([RootPart::Current]).await?;
            if !was_sound || root.is_blank() && !self.has_no_seals().await? {
                return Err(Error::Tampered("its root".into()));
            }
            self.put_root(root.beginning()).await?;
        }
        let tagless = self.waiting(true).await?;
        if !tagless.is_empty() {
            let Some(root) = self.hold_root(true).await? else { return Ok(false) };
            return self.seal(root, tagless, true).await.map(|_| true);
        }
        let knows = installation::ActiveModel { key_check: Set(key_check.to_vec()), ..Default::default() };
        self.table::<installation::Entity>().update().set(knows).exec(&self.tx.writing()).await?;
        Ok(false)
    }

    async fn has_no_seals(&self) -> Result<bool> {
        let db = self.tx.exec();
        Ok(!exists(self.table::<audit_seal::Entity>().select(), db).await?
            && !exists(self.table::<audit_chain::Entity>().select(), db).await?)
    }

    /// What all chains contribute to roots that these parts of the master key sign.
    pub(crate) async fn sums_of_chains<const N: usize>(&self, signers: [RootPart; N]) -> Result<[Sum; N]> {
        let (mut sums, mut last) = ([Sum::default(); N], None);
        loop {
            let chains = self.read().chains_after(last).await?;
            let Some(end) = chains.last() else { return Ok(sums) };
            last = Some(end.tenant);
            let mac = self.tx.mac()?;
            for (sum, signer) in sums.iter_mut().zip(signers) {
                chains.iter().for_each(|chain| contribute(sum, &chain.contribution(mac, signer), true));
            }
        }
    }
}
