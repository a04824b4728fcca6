//! Applications that documents describe: by the address of the document, and by who let them in.
//!
//! One document describes one application of an owner. Those that users let in are forgotten after a time without use.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
ALTER TABLE applications ADD COLUMN registration text NOT NULL DEFAULT 'manual';
ALTER TABLE applications ADD COLUMN document_url text;
CREATE UNIQUE INDEX uq_applications_document ON applications (owner_id, document_url) WHERE document_url IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX ix_applications_document_used ON applications (last_used_at) WHERE document_url IS NOT NULL AND deleted_at IS NULL;
";
