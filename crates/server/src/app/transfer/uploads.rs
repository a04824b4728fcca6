//! Files on their way in: kept in sealed pieces while they come, so that a large one takes no more memory than a small one.
//! They are nobody's until an import is asked for with them.

use gatehouse_domain::{
    authz::{Area, Grant, SystemReason, TenantRef, WriteUsers},
    id::{JobId, TenantId},
};
use gatehouse_persistence::{ChangeContext, Db, WriteTx, deadline};

use crate::{
    app::{Error, Result, request::idempotency::InFlight, transfer::Uploads},
    env::Env,
};

const JOB: SystemReason = SystemReason::Job;
/// How much of a file is kept together.
const PIECE: usize = 256 << 10;

/// A file that comes.
#[derive(Debug)]
pub struct Upload {
    pub(crate) grant: Grant<WriteUsers>,
    pub(crate) tenant: TenantRef,
    /// The import that will read it.
    pub(crate) id: JobId,
    /// How many pieces are kept.
    pieces: u64,
    /// What has come since.
    rest: Vec<u8>,
    /// Where its pieces are, until somebody needs them.
    unneeded: Option<(Db, Env)>,
    _alone: InFlight,
}

impl Upload {
    /// An import has been asked for with it.
    pub fn keep(mut self) {
        self.unneeded = None;
    }

    /// Removes the pieces, unless an import needs them. Where this cannot be done, [`clean_up`](crate::app::platform::Maintenance::clean_up) does it later.
    fn remove(&mut self) -> impl Future<Output = ()> + Send + use<> {
        let (unneeded, tenant, id) = (self.unneeded.take(), self.tenant, self.id);
        async move {
            let Some((db, env)) = unneeded else { return };
            let work = async move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(JOB).drop_pieces(tenant, id).await?);
            if let Err(error) = db.write(ChangeContext::at(env.now()), work).await {
                tracing::warn!(job = %id, %error, "a file that is not needed could not be removed yet");
            }
        }
    }
}

/// Whoever sends a file may go away at any moment, and with them whatever waits for it.
impl Drop for Upload {
    fn drop(&mut self) {
        if self.unneeded.is_some()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            drop(runtime.spawn(self.remove()));
        }
    }
}

impl Uploads<'_> {
    /// Begins to take a file for a tenant. A process takes one at a time for each.
    ///
    /// # Errors
    /// [`Error::NotFound`] and [`Error::Denied`] when the grant does not reach the tenant, [`Error::Conflict`] while
    /// another file comes.
    pub async fn begin(&self, grant: &Grant<WriteUsers>, tenant: TenantId) -> Result<Upload> {
        let (grant, tenant) = self.states.within(grant, tenant).await?;
        let name = self.keyring.idempotency(&[b"upload".as_slice(), tenant.id.uuid().as_bytes()].concat());
        let conflict = |_| Error::Conflict("Another file for the tenant is on its way.".into());
        let alone = self.idempotency.in_flight(&name).map_err(conflict)?;
        let id = self.env.id(JobId::from_parts);
        let unneeded = Some((self.db.clone(), self.env.clone()));
        Ok(Upload { grant, tenant, id, pieces: 0, rest: Vec::new(), unneeded, _alone: alone })
    }

    /// Takes what has come of a file.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn take(&self, upload: &mut Upload, bytes: &[u8]) -> Result<()> {
        upload.rest.extend_from_slice(bytes);
        // What could be the end of the file waits, because the last piece is sealed as the last.
        while upload.rest.len() > PIECE {
            let rest = upload.rest.split_off(PIECE);
            let piece = std::mem::replace(&mut upload.rest, rest);
            self.keep_piece(upload, &piece, false).await?;
        }
        Ok(())
    }

    /// Everything has come, which may have taken long: whoever sends it must still be allowed to.
    ///
    /// # Errors
    /// [`Error::SessionRevoked`] and [`Error::Denied`] when that is over, [`Error::Unavailable`] when the database does not
    /// answer.
    pub async fn end(&self, upload: &mut Upload) -> Result<()> {
        upload.grant = self.states.renew(&upload.grant, Area::Tenant(upload.tenant)).await?;
        let piece = std::mem::take(&mut upload.rest);
        self.keep_piece(upload, &piece, true).await
    }

    /// The file is not needed.
    pub async fn discard(&self, mut upload: Upload) {
        upload.remove().await;
    }

    async fn keep_piece(&self, upload: &mut Upload, piece: &[u8], is_last: bool) -> Result<()> {
        let (grant, tenant, id, number) = (upload.grant.clone(), upload.tenant, upload.id, upload.pieces);
        let sealed = self.keyring.seal_piece(id, number, is_last, piece);
        upload.pieces += 1;
        let work = async move |tx: &WriteTx<'_>| {
            Ok::<_, Error>(tx.scope(&grant).await?.keep_piece(tenant, id, number, sealed.clone()).await?)
        };
        // A file may have as many pieces as it likes: each may take as long as a request.
        deadline::request(self.db.write(self.env.ctx(), work)).await
    }
}
