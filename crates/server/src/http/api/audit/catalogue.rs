//! What events can say.

use gatehouse_domain::{
    audit::{Action, ResourceKind},
    word::Word,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::envelope::ApiResponse;

/// The catalogue.
pub type OneAuditCatalogue = ApiResponse<AuditCatalogueResponse>;

/// What this release records. Events of earlier ones may say something else.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditCatalogueResponse {
    /// What can be done, in alphabetical order.
    #[schema(max_items = 1000)]
    pub actions: Vec<AuditWordResponse>,
    /// What it can be done to, in alphabetical order.
    #[schema(max_items = 100)]
    pub resource_types: Vec<AuditWordResponse>,
}

/// A word of the audit trail.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditWordResponse {
    /// The word.
    #[schema(max_length = 64, example = "user.updated")]
    pub name: &'static str,
    /// What it means.
    #[schema(max_length = 400, example = "A user was changed.")]
    pub description: &'static str,
}

impl AuditCatalogueResponse {
    /// The catalogue of this release.
    #[must_use]
    pub fn new() -> Self {
        fn words<T: Word>(describe: impl Fn(T) -> &'static str) -> Vec<AuditWordResponse> {
            let word = |(value, name): &(T, &'static str)| AuditWordResponse { name, description: describe(*value) };
            let mut words: Vec<_> = T::ALL.iter().map(word).collect();
            words.sort_by_key(|word| word.name);
            words
        }
        Self { actions: words(Action::description), resource_types: words(ResourceKind::description) }
    }
}

impl Default for AuditCatalogueResponse {
    fn default() -> Self {
        Self::new()
    }
}
