//! The proof that an application sends with what it exchanges: the tokens that it gets count with the same key only
//! (RFC 9449, section 5).

use std::sync::atomic::{AtomicBool, Ordering};

use gatehouse_domain::{
    application::{Application, Profile},
    oauth::{ErrorCode, Params, Thumbprint},
    time::Timestamp,
};
use gatehouse_persistence::WriteTx;

use crate::{
    app::{
        Error,
        oauth::{NotGiven, TokenEndpoint, tokens::AUTH},
        request::client::RequestMeta,
    },
    security::dpop::{self, Proof, Sent},
};

const fn invalid(description: &'static str) -> NotGiven {
    NotGiven::fault(ErrorCode::InvalidDpopProof, description)
}

/// A proof that is right. It counts once in the installation. Its use is stored when tokens are given for it, and not before:
/// so a caller who has nothing to exchange fills no table.
#[derive(Debug)]
pub struct KeyProof {
    proof: Proof,
    is_used: AtomicBool,
}

impl KeyProof {
    /// The proof of a request of an application.
    ///
    /// # Errors
    /// `invalid_dpop_proof`.
    pub fn read(application: &Application, sent: Option<&Sent<'_>>, now: Timestamp) -> Result<Option<Self>, NotGiven> {
        let Some(sent) = sent else { return Ok(None) };
        let proof = dpop::verify(sent, None, now).map_err(invalid)?;
        if proof.is_rs256 && application.metadata.profile == Profile::Fapi2 {
            return Err(invalid("the DPoP proof must be signed with ES256, PS256 or EdDSA with the profile fapi2"));
        }
        Ok(Some(Self { proof, is_used: AtomicBool::new(false) }))
    }

    /// The key.
    #[must_use]
    pub const fn key(&self) -> &Thumbprint {
        &self.proof.key
    }

    /// The parameters of a request that is pushed with this proof: `dpop_jkt` names its key (RFC 9449, section 10.1).
    ///
    /// # Errors
    /// `invalid_dpop_proof` where they name another key.
    pub fn names(&self, params: &Params) -> Result<Params, NotGiven> {
        match params.get("dpop_jkt") {
            Some(named) if named != self.key().as_str() => {
                Err(invalid("dpop_jkt is not the thumbprint of the key in the DPoP proof"))
            }
            _ => Ok(params.bound_to(self.key())),
        }
    }
}

/// The fault of a refresh without a proof of the key that the tokens of its family are bound to.
pub(super) const NOT_HELD: NotGiven =
    invalid("the refresh token is bound to a key: the header DPoP must prove that the application holds it");
/// The fault of an application that wants bound tokens and sends no proof.
pub(super) const MISSING: NotGiven =
    invalid("the application wants its tokens bound to a key: the header DPoP is missing");

impl TokenEndpoint<'_> {
    /// Notes that the proof of a request was used, once for each request.
    ///
    /// # Errors
    /// `invalid_dpop_proof` where another request has used it.
    pub async fn use_up(&self, proof: Option<&KeyProof>, meta: &RequestMeta) -> Result<(), NotGiven> {
        let Some(KeyProof { proof, is_used }) = proof else { return Ok(()) };
        if is_used.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (id, expires_at) = (proof.id, proof.expires_at);
        let work = async move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(AUTH).spend_assertion(id, expires_at).await?);
        if !self.db.write(meta.ctx.clone(), work).await? {
            return Err(invalid("the DPoP proof was used before"));
        }
        is_used.store(true, Ordering::Relaxed);
        Ok(())
    }
}
