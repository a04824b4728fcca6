//! Partners and tenants are sorted by a key of their name, without regard to case and accents and by its bytes in both
//! databases.

use sea_orm_migration::{
    SchemaManager,
    sea_orm::{ConnectionTrait, DbErr, Statement, prelude::Uuid},
};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

pub(crate) const UP: crate::Up = |manager| Box::pin(up(manager));

/// How many names are looked at together.
const BATCH: usize = 500;

async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    crate::run_dialect(manager, SQLITE, POSTGRES).await?;
    let (db, backend) = (manager.get_connection(), manager.get_database_backend());
    for table in ["partners", "tenants"] {
        let mut last = None::<Uuid>;
        loop {
            let select = match last {
                Some(last) => Statement::from_sql_and_values(
                    backend,
                    format!("SELECT id, name FROM {table} WHERE id > $1 ORDER BY id LIMIT {BATCH}"),
                    [last.into()],
                ),
                None => Statement::from_string(backend, format!("SELECT id, name FROM {table} ORDER BY id LIMIT {BATCH}")),
            };
            let rows = db.query_all_raw(select).await?;
            for row in &rows {
                let (id, name): (Uuid, String) = (row.try_get("", "id")?, row.try_get("", "name")?);
                let update = format!("UPDATE {table} SET name_key = $1 WHERE id = $2");
                db.execute_raw(Statement::from_sql_and_values(backend, update, [key(&name).into(), id.into()])).await?;
                last = Some(id);
            }
            if rows.len() < BATCH {
                break;
            }
        }
    }
    crate::run(manager, INDEXES).await
}

const SQLITE: &str = "
ALTER TABLE partners ADD COLUMN name_key text NOT NULL DEFAULT '';
ALTER TABLE tenants ADD COLUMN name_key text NOT NULL DEFAULT '';
";

const POSTGRES: &str = r#"
ALTER TABLE partners ADD COLUMN name_key text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE tenants ADD COLUMN name_key text COLLATE "C" NOT NULL DEFAULT '';
"#;

const INDEXES: &str = "
DROP INDEX ix_partners_name;
DROP INDEX ix_tenants_name;
DROP INDEX ix_tenants_partner_name;
CREATE INDEX ix_partners_name ON partners (name_key, id) WHERE deleted_at IS NULL;
CREATE INDEX ix_tenants_name ON tenants (name_key, id) WHERE deleted_at IS NULL;
CREATE INDEX ix_tenants_partner_name ON tenants (partner_id, name_key, id) WHERE deleted_at IS NULL;
";

/// No case, no accents, no ligatures.
fn key(name: &str) -> String {
    let folded: String = name.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).collect();
    let folded: String = folded.nfkd().filter(|c| !is_combining_mark(*c)).collect();
    let spelt = |letter| match letter {
        'ß' => "ss".to_owned(),
        'æ' => "ae".to_owned(),
        'œ' => "oe".to_owned(),
        'þ' => "th".to_owned(),
        'ø' => "o".to_owned(),
        'đ' | 'ð' => "d".to_owned(),
        'ł' => "l".to_owned(),
        'ı' => "i".to_owned(),
        letter => letter.to_string(),
    };
    folded.chars().map(spelt).collect()
}
