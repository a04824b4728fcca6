//! Applications that documents describe, as administrators add and change them: the document says what they are.

use gatehouse_domain::{
    application::{
        Application, ApplicationType, ClientMetadata, DocumentUrl, Owner, RegisteredMetadata, RegistrationKind,
    },
    authz::SystemReason,
    issue::Issue,
    text::Name,
};
use gatehouse_persistence::WriteTx;

use crate::app::{
    Error, Result,
    applications::{CreateApplication, NamedOwner},
};

fn fault(field: &'static str, msg: &'static str) -> Error {
    Error::Invalid(Issue::body(field, "metadata_document", msg).into())
}

/// What a new application is registered with.
///
/// # Errors
/// [`Error::Invalid`] when that does not fit together, or when a document says it.
pub(super) fn registered(new: &CreateApplication) -> Result<RegisteredMetadata> {
    let Some(_) = &new.document else { return Ok(new.metadata.clone().register(new.kind)?) };
    if matches!(new.owner, NamedOwner::Platform) {
        return Err(fault("client_id", "may be there for applications of partners and tenants only"));
    }
    if !matches!(new.kind, ApplicationType::Spa | ApplicationType::Native) {
        return Err(fault("application_type", "must be SPA or NATIVE with client_id"));
    }
    if new.metadata != ClientMetadata::of(new.kind) {
        return Err(fault("client_id", "names a document, which says all but name and application_type"));
    }
    Ok(RegisteredMetadata::of_document(new.kind))
}

/// What an application is to be registered with that is changed.
///
/// # Errors
/// [`Error::Invalid`] when that does not fit together, [`Error::Conflict`] when its document says what it is.
pub(super) fn changed(before: &Application, to: ClientMetadata, name: Option<&Name>) -> Result<RegisteredMetadata> {
    if before.document.is_none() {
        return Ok(to.register(before.kind)?);
    }
    let keeps_name = before.registration == RegistrationKind::Manual || name.is_none_or(|name| *name == before.name);
    if to != before.metadata.draft() || !keeps_name {
        return Err(Error::Conflict("The document of the application says what it is.".into()));
    }
    Ok(before.metadata.clone())
}

/// The application of an owner that users let in before, and that is added now.
pub(super) async fn let_in_before(
    tx: &WriteTx<'_>,
    owner: Owner,
    document: Option<&DocumentUrl>,
) -> Result<Option<Application>> {
    let (Some(document), Owner::Tenant(tenant)) = (document, owner) else { return Ok(None) };
    let known = tx.system(SystemReason::Inheritance).read().described_application(tenant, document).await?;
    Ok(known.filter(|it| it.registration == RegistrationKind::MetadataDocument))
}
