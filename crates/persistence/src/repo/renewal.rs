//! What is sealed with the master key, for it to be sealed anew when that is replaced.

use gatehouse_domain::{
    audit,
    id::{JobId, KeyId, TenantId},
    job::JobKind,
};
use sea_orm::{ColumnTrait, Condition, EntityTrait, ExprTrait, QueryFilter, Set};
use uuid::Uuid;

use crate::{
    db::mac::RootPart,
    entity::{idempotency_key, installation, job, signing_key, user_import_piece},
    error::{Error, Result},
    repo::{
        list::{signed, unsigned},
        word,
    },
    scope::system::{System, WriteSystem},
};

/// Rows that are read at once; pieces of files are large.
const ROWS: u64 = 100;
const PIECES: u64 = 8;

/// Something of which rows are sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealedKind {
    /// The private halves of signing keys.
    SigningKey,
    /// Answers that are kept for who may not have got them.
    Answer,
    /// What jobs are done with.
    Job,
    /// Pieces of the files of imports.
    Piece,
}

impl SealedKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::SigningKey, Self::Answer, Self::Job, Self::Piece];
}

/// Whose a seal is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SealedOf {
    /// A signing key, and what stands for its issuer.
    SigningKey(Uuid, KeyId),
    /// The digest of an idempotency key.
    Answer(Vec<u8>),
    /// A job.
    Job(JobKind, JobId),
    /// A piece of the file of an import, from 0.
    Piece(TenantId, JobId, u64),
}

/// Something sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRow {
    /// Whose it is.
    pub of: SealedOf,
    /// Sealed bytes.
    pub sealed: Vec<u8>,
}

impl System<'_> {
    /// A page of sealed rows of a kind: those that come after a row. Empty after the last.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn sealed_rows(&self, kind: SealedKind, after: Option<&SealedOf>) -> Result<Vec<SealedRow>> {
        let row = |of, sealed| Ok(SealedRow { of, sealed });
        match kind {
            SealedKind::SigningKey => {
                use signing_key::{Column, Entity};
                let mut page = self.table::<Entity>().select().cursor_by(Column::Id);
                if let Some(SealedOf::SigningKey(_, id)) = after {
                    page.after(id.uuid());
                }
                let rows = page.first(ROWS).all(&self.exec).await?.into_iter();
                let of = |row: &signing_key::Model| SealedOf::SigningKey(row.owner_id, KeyId::from_uuid(row.id));
                rows.map(|it| row(of(&it), it.private_sealed)).collect()
            }
            SealedKind::Answer => {
                use idempotency_key::{Column, Entity};
                let mut page = self.table::<Entity>().select().cursor_by(Column::KeyHash);
                if let Some(SealedOf::Answer(key)) = after {
                    page.after(key.clone());
                }
                let rows = page.first(ROWS).all(&self.exec).await?.into_iter();
                rows.map(|it| row(SealedOf::Answer(it.key_hash), it.answer)).collect()
            }
            SealedKind::Job => {
                use job::{Column, Entity};
                let sealed = self.table::<Entity>().select().filter(Column::Sealed.is_not_null());
                let mut page = sealed.cursor_by(Column::Id);
                if let Some(SealedOf::Job(_, id)) = after {
                    page.after(id.uuid());
                }
                let rows = page.first(ROWS).all(&self.exec).await?.into_iter();
                let of = |it: &job::Model| {
                    Ok::<_, Error>(SealedOf::Job(word(&it.kind, "job kind")?, JobId::from_uuid(it.id)))
                };
                rows.map(|it| row(of(&it)?, it.sealed.unwrap_or_default())).collect()
            }
            SealedKind::Piece => {
                use user_import_piece::{Column, Entity};
                let key = (Column::TenantId, Column::ImportId, Column::Number);
                let mut page = self.table::<Entity>().select().cursor_by(key);
                if let Some(SealedOf::Piece(tenant, import, number)) = after {
                    page.after((tenant.uuid(), import.uuid(), signed(*number)));
                }
                let rows = page.first(PIECES).all(&self.exec).await?.into_iter();
                let of = |it: &user_import_piece::Model| {
                    let (tenant, import) = (TenantId::from_uuid(it.tenant_id), JobId::from_uuid(it.import_id));
                    SealedOf::Piece(tenant, import, unsigned(it.number))
                };
                rows.map(|it| row(of(&it), it.sealed)).collect()
            }
        }
    }
}

impl WriteSystem<'_> {
    /// Puts what was sealed anew in the place of what it was, if that is still there. Returns whether it was.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn reseal(&self, row: &SealedRow, sealed: Vec<u8>) -> Result<bool> {
        let was = row.sealed.clone();
        match &row.of {
            SealedOf::SigningKey(_, id) => {
                use signing_key::{ActiveModel, Column, Entity};
                let row = Column::Id.eq(id.uuid()).and(Column::PrivateSealed.eq(was));
                self.put::<Entity>(row, ActiveModel { private_sealed: Set(sealed), ..Default::default() }).await
            }
            SealedOf::Answer(key) => {
                use idempotency_key::{ActiveModel, Column, Entity};
                let row = Column::KeyHash.eq(key.clone()).and(Column::Answer.eq(was));
                self.put::<Entity>(row, ActiveModel { answer: Set(sealed), ..Default::default() }).await
            }
            SealedOf::Job(_, id) => {
                use job::{ActiveModel, Column, Entity};
                let row = Column::Id.eq(id.uuid()).and(Column::Sealed.eq(was));
                self.put::<Entity>(row, ActiveModel { sealed: Set(Some(sealed)), ..Default::default() }).await
            }
            SealedOf::Piece(tenant, import, number) => {
                use user_import_piece::{ActiveModel, Column, Entity};
                let row = Column::TenantId.eq(tenant.uuid()).and(Column::ImportId.eq(import.uuid()));
                let row = row.and(Column::Number.eq(signed(*number))).and(Column::Sealed.eq(was));
                self.put::<Entity>(row, ActiveModel { sealed: Set(sealed), ..Default::default() }).await
            }
        }
    }

    async fn put<E: EntityTrait>(&self, row: impl Into<Condition>, new: E::ActiveModel) -> Result<bool> {
        let update = self.table::<E>().update().set(new).filter(row.into());
        Ok(update.exec(&self.tx.writing()).await?.rows_affected == 1)
    }

    /// Has the installation know the master key by another part of it, which signs the root of the audit trail from now on.
    /// False where another process was faster.
    ///
    /// # Errors
    /// [`crate::Error::Tampered`] when the audit trail is not what Gatehouse left: a new signature would cover that up.
    pub async fn rotate_master_key(&self, from: &[u8], to: &[u8]) -> Result<bool> {
        let Some(root) = self.hold_root(true).await? else { return Ok(false) };
        let known = installation::Column::KeyCheck.eq(from.to_vec());
        let new = installation::ActiveModel { key_check: Set(to.to_vec()), ..Default::default() };
        if !self.put::<installation::Entity>(known, new).await? {
            return Ok(false);
        }
        let [before, sum] = self.sums_of_chains([root.signer, RootPart::Newest]).await?;
        if root.sum != before {
            return Err(Error::Tampered("the ends of its chains".into()));
        }
        self.put_root(root.signed_anew(sum)).await?;
        self.tx.record(audit::master_key_rotated(self.by())).await?;
        Ok(true)
    }
}
