//! APIs among applications: which URIs are free, and which APIs and scopes an application may ask tokens for.

use std::collections::BTreeSet;

use gatehouse_domain::{
    application::{Application, ClientMetadata, ResourceUri, ScopeName},
    authz::SystemReason,
    issue::{Issue, Issues},
};
use gatehouse_persistence::{WriteScope, WriteTx};

use crate::app::{Error, Result};

/// Judges what an application says of APIs: those that it is, and those that it asks tokens for. What it said before may
/// stay, whatever has become of it. Returns whether it is another API than before.
///
/// # Errors
/// [`Error::Invalid`] for what names nothing, [`Error::Conflict`] when another application is the same API.
pub(super) async fn judge(
    tx: &WriteTx<'_>,
    scope: &WriteScope<'_>,
    before: Option<&Application>,
    after: &Application,
    base_url: &str,
) -> Result<bool> {
    asks_for_known(tx, before, after).await?;
    let uris = &after.metadata.resource_uris;
    if before.map_or_else(|| uris.is_empty(), |before| before.metadata.resource_uris == *uris) {
        return Ok(false);
    }
    // Tokens for our own API name the issuer, which nobody else is.
    if uris.iter().any(|uri| is_below(&uri.key(), base_url)) {
        return Err(Error::Invalid(Issue::body("resource_uris", "resource_uri", "is an address of Gatehouse").into()));
    }
    let system = tx.system(SystemReason::Inheritance);
    system.lock_resources().await?;
    if uris.is_empty() {
        return Ok(true);
    }
    match system.holder_of_resources(after).await? {
        None => Ok(true),
        // Who sees it is told which one: below one's own applications anybody may have been first.
        Some(holder) if scope.application(holder).await?.is_some() => {
            Err(Error::Conflict(format!("The application {holder} is that API.").into()))
        }
        Some(_) => Err(Error::Conflict("Another application is that API.".into())),
    }
}

/// Whether a URI is at an address or below it.
fn is_below(uri: &str, address: &str) -> bool {
    uri.strip_prefix(address).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
}

/// What is new among the APIs and the scopes that it may ask for is there.
async fn asks_for_known(tx: &WriteTx<'_>, before: Option<&Application>, after: &Application) -> Result<()> {
    let (metadata, before) = (&after.metadata, before.map(|before| before.metadata.draft()));
    let (known_apis, known_scopes): (&[ResourceUri], &[ScopeName]) =
        before.as_ref().map_or((&[], &[]), |it| (&it.allowed_resources, &it.allowed_scopes));
    let apis: Vec<_> = metadata.allowed_resources.iter().filter(|uri| !known_apis.contains(uri)).collect();
    let scopes = metadata.allowed_scopes.iter().filter(|scope| !scope.is_standard() && !known_scopes.contains(scope));
    let scopes: Vec<_> = scopes.collect();
    if apis.is_empty() && scopes.is_empty() {
        return Ok(());
    }
    let own = std::iter::once(metadata.draft());
    let others = match metadata.allowed_resources.as_slice() {
        [] => Vec::new(),
        asked => tx.system(SystemReason::Inheritance).read().apis(after.owner, asked).await?,
    };
    let all: Vec<ClientMetadata> = own.chain(others.iter().map(|api| api.metadata.draft())).collect();
    let uris: BTreeSet<_> = all.iter().flat_map(|api| &api.resource_uris).map(ResourceUri::key).collect();
    let names: BTreeSet<_> = all.iter().flat_map(|api| &api.resource_scopes).map(|scope| &scope.name).collect();
    let issue = |field, msg| Issue::body(field, "not_found", msg);
    let unknown = apis.iter().any(|uri| !uris.contains(&uri.key()));
    let unknown = unknown.then(|| issue("allowed_resources", "names an API that no application visible here is"));
    let unheard = scopes.iter().any(|scope| !names.contains(scope));
    let unheard = unheard
        .then(|| issue("allowed_scopes", "has a scope that is neither known nor of an API among allowed_resources"));
    let issues: Issues = unknown.into_iter().chain(unheard).collect();
    if issues.is_empty() { Ok(()) } else { Err(issues.into()) }
}

#[cfg(test)]
mod tests {
    use super::is_below;

    #[test]
    fn address_that_begins_like_ours_is_not_ours() {
        let ours = |uri: &str| is_below(uri, "https://id.acme.com");
        assert!(
            ["https://id.acme.com", "https://id.acme.com/", "https://id.acme.com/api?x", "https://id.acme.com?x"]
                .map(ours)
                .iter()
                .all(|is| *is)
        );
        assert!(
            !["https://id.acme.community/", "https://id.acme.com:8443/", "https://id.acme.com.example/"]
                .map(ours)
                .iter()
                .any(|is| *is)
        );
    }
}
