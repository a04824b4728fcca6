//! The entities against the schema that the migrations make.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IdenStatic, Iterable, PrimaryKeyToColumn, RelationTrait, Statement,
};

use crate::{db::Db, db_tests};

/// Calls a function for each entity.
macro_rules! each {
    ($function:ident($argument:expr): $($entity:ident)*) => {
        $($function::<crate::entity::$entity::Entity>($argument);)*
    };
}

/// Adds the columns, the key and the relations of an entity.
fn describe<E: EntityTrait>(found: &mut BTreeSet<String>) {
    let entity = E::default();
    let table = entity.table_name();
    for column in E::Column::iter() {
        let null = if column.def() == column.def().nullable() { "YES" } else { "NO" };
        found.insert(format!("{table}.{} {null}", column.as_str()));
    }
    for key in E::PrimaryKey::iter() {
        found.insert(format!("{table} key {}", key.into_column().as_str()));
    }
    for relation in E::Relation::iter().map(|relation| relation.def()) {
        let columns = |identity: &sea_orm::Identity| {
            let names: Vec<_> = identity.iter().map(|name| name.to_string()).collect();
            names.join(",")
        };
        let parent = relation.to_tbl.sea_orm_table().to_string();
        found.insert(format!("{table} ({}) of {parent} ({})", columns(&relation.from_col), columns(&relation.to_col)));
    }
}

const SQLITE: &str = "
SELECT t.name || '.' || c.name || CASE c.\"notnull\" WHEN 1 THEN ' NO' ELSE ' YES' END
    FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table'
UNION ALL SELECT t.name || ' key ' || c.name
    FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table' AND c.pk > 0
UNION ALL SELECT t.name || ' (' || group_concat(f.\"from\", ',' ORDER BY f.seq) || ') of ' || f.\"table\" || ' ('
    || group_concat(f.\"to\", ',' ORDER BY f.seq) || ')'
    FROM sqlite_master t, pragma_foreign_key_list(t.name) f WHERE t.type = 'table' GROUP BY t.name, f.id";

const POSTGRES: &str = "
SELECT table_name || '.' || column_name || ' ' || is_nullable
    FROM information_schema.columns WHERE table_schema = current_schema()
UNION ALL SELECT k.table_name || ' key ' || k.column_name FROM information_schema.key_column_usage k
    JOIN information_schema.table_constraints c USING (constraint_schema, constraint_name)
    WHERE c.constraint_type = 'PRIMARY KEY' AND c.table_schema = current_schema()
UNION ALL SELECT c.conrelid::regclass || ' (' || from_.names || ') of ' || c.confrelid::regclass || ' (' || to_.names || ')'
    FROM pg_constraint c,
    LATERAL (SELECT string_agg(a.attname, ',' ORDER BY k.at) AS names FROM unnest(c.conkey) WITH ORDINALITY AS k (number, at)
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.number) from_,
    LATERAL (SELECT string_agg(a.attname, ',' ORDER BY k.at) AS names FROM unnest(c.confkey) WITH ORDINALITY AS k (number, at)
        JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.number) to_
    WHERE c.contype = 'f' AND c.connamespace = current_schema()::regnamespace";

async fn schema(db: &Db) -> BTreeSet<String> {
    let text = if db.is_sqlite() { SQLITE } else { POSTGRES };
    let rows = db.reader().query_all_raw(Statement::from_string(db.backend(), text)).await.unwrap();
    let lines = rows.iter().map(|row| row.try_get_by_index::<String>(0).unwrap());
    lines.filter(|line| !line.starts_with("seaql_migrations") && !line.starts_with("sqlite_")).collect()
}

db_tests! {
    async fn entities_are_the_tables_columns_and_foreign_keys_of_the_schema(db) {
        let mut entities = BTreeSet::new();
        each! { describe(&mut entities):
            application application_origin application_resource application_term assertion_id assignment audit_acceptance audit_chain audit_event audit_past_root
            audit_root audit_seal audit_unsealed authorization_code consent device_request idempotency_key installation job known_device logout_delivery partner partner_term pushed_request retention_promise revoked_token role session
            session_application session_count session_end session_hour setup_token signing_key tenant tenant_term
            throttle token_family user user_import user_import_piece user_import_reject user_term user_token
        }
        let schema = schema(&db).await;
        let [missing, surplus] = [schema.difference(&entities), entities.difference(&schema)].map(Vec::from_iter);
        assert!(missing.is_empty() && surplus.is_empty(), "without an entity: {missing:#?}\nwithout a table: {surplus:#?}");
    }
}
