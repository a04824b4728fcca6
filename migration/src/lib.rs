//! The schema, as a frozen history: a migration that has been released is never edited.
//!
//! Every migration is one transaction on both databases, and its statements are written so that SQLite and PostgreSQL
//! read them alike; only triggers come in two dialects. Instants are `bigint` microseconds since 1970, ids are `uuid`
//! (16 bytes in SQLite). Tenant-owned rows carry `tenant_id` and `partner_id` and point at their parents by
//! `(tenant_id, id)`, so that neither database accepts a row that crosses tenants; a tenant that moves to another
//! partner takes its rows along by `ON UPDATE CASCADE`.
//!
//! The order is expand, migrate, contract: the previous release runs on the newest schema, unless a migration says that it
//! does not. None is undone.

use std::pin::Pin;

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

/// Declares the list of migrations: `m20261121_000003_create_users,` has the file of that name run.
macro_rules! migrations {
    ($($name:ident),* $(,)?) => {
        $(mod $name;)*

        /// The list of migrations.
        #[derive(Debug)]
        pub struct Migrator;

        impl MigratorTrait for Migrator {
            fn migrations() -> Vec<Box<dyn MigrationTrait>> {
                vec![$(Box::new(Migration(stringify!($name), $name::UP))),*]
            }
        }
    };
}

migrations! {
    m20261121_000001_create_installation,
    m20261121_000002_create_partners_and_tenants,
    m20261121_000003_create_users,
    m20261121_000004_create_roles,
    m20261121_000005_create_sessions,
    m20261121_000006_count_sessions,
    m20261121_000007_create_signing_keys,
    m20261121_000008_create_throttles,
    m20261121_000009_create_audit_events,
    m20261121_000010_index_session_applications,
    m20261121_000020_create_user_tokens,
    m20261121_000021_count_tenants_and_users,
    m20261121_000030_index_audit_events,
    m20261121_000031_delete_softly,
    m20261121_000040_create_mails,
    m20261121_000041_bind_user_tokens_to_addresses,
    m20261121_000042_end_user_tokens,
    m20261121_000050_index_fewer_events,
    m20261121_000051_seal_audit_events,
    m20261121_000060_add_settings_of_platform_and_partners,
    m20261121_000070_create_search_terms,
    m20261121_000071_create_idempotency_keys,
    m20261121_000080_create_user_imports,
    m20261121_000081_run_user_imports,
    m20261122_000001_queue_audit_events_in_one_tree,
    m20261129_000050_count_refreshes,
    m20261129_000060_note_what_foreign_hashes_cost,
    m20261129_000070_chain_audit_roots,
    m20261129_000090_keep_throttles,
    m20261129_000091_create_known_devices,
    m20261129_000093_create_retention_promises,
    m20261129_000094_index_actors_of_addresses,
    m20261129_000095_create_jobs,
    m20261129_000096_count_given_roles,
    m20261129_000097_key_mailboxes,
    m20261130_000110_index_tenants_of_events,
    m20261130_000111_name_users_of_jobs,
    m20261130_000112_key_names,
    m20261130_000140_end_links_of_suspended_users,
    m20261130_000141_note_public_url,
    m20261130_000142_index_invited_users,
    m20261130_000143_sort_users,
    m20261130_000150_register_applications,
    m20261130_000151_publish_next_keys,
    m20261130_000155_own_keys_of_the_platform,
    m20261130_000160_create_token_families,
    m20261130_000161_let_applications_act,
    m20261130_000162_remember_consents,
    m20261130_000163_revoke_tokens_of_applications,
    m20261130_000164_keep_requested_claims,
    m20261130_000165_spend_client_assertions,
    m20261130_000166_keep_pushed_requests,
    m20261130_000180_accept_damage,
    m20261130_000190_own_sessions_of_applications,
    m20261130_000191_let_devices_wait,
    m20261130_000200_deliver_logouts,
    m20261130_000210_let_the_platform_issue,
    m20261130_000220_describe_applications_by_documents,
    m20261201_000230_bind_tokens_to_keys,
    m20261201_000231_find_families_that_last,
    m20261201_000232_index_fewer_events_of_families,
    m20261201_000233_note_uses_of_applications,
}

pub use m20261129_000070_chain_audit_roots::{AUDIT_TRIGGERS, AuditTrigger};

/// Runs portable statements.
async fn run(manager: &SchemaManager<'_>, sql: &str) -> Result<(), DbErr> {
    manager.get_connection().execute_unprepared(sql).await.map(drop)
}

/// Runs the statements of the database at hand.
async fn run_dialect(manager: &SchemaManager<'_>, sqlite: &str, postgres: &str) -> Result<(), DbErr> {
    match manager.get_database_backend() {
        DbBackend::Sqlite => run(manager, sqlite).await,
        DbBackend::Postgres => run(manager, postgres).await,
        other => Err(DbErr::Migration(format!("no schema for {other:?}"))),
    }
}

/// What a migration does, in one transaction.
type Up = for<'a> fn(&'a SchemaManager<'a>) -> Pin<Box<dyn Future<Output = Result<(), DbErr>> + Send + 'a>>;

/// A migration: the name of its file, and what it does.
struct Migration(&'static str, Up);

impl MigrationName for Migration {
    fn name(&self) -> &str {
        self.0
    }
}

#[expect(elided_lifetimes_in_paths, reason = "the trait is declared without them")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        (self.1)(manager).await
    }
}
