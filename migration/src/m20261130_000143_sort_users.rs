//! Users are sorted by user name, by address and by their last sign-in. Names and addresses are compared by their bytes in
//! both databases; whoever never signed in comes before everybody else. What things are found by is made anew, by the
//! server: parts of hosts and letters such as ß have been added.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run_dialect(manager, INDEXES, POSTGRES));

macro_rules! indexes {
    () => {
        "
CREATE INDEX ix_users_username ON users (username_key, id) WHERE deleted_at IS NULL;
CREATE INDEX ix_users_partner_username ON users (partner_id, username_key, id) WHERE deleted_at IS NULL;
CREATE INDEX ix_users_tenant_username ON users (tenant_id, username_key, id) WHERE deleted_at IS NULL;
CREATE INDEX ix_users_email ON users (email_key, id) WHERE deleted_at IS NULL;
CREATE INDEX ix_users_partner_email ON users (partner_id, email_key, id) WHERE deleted_at IS NULL;
CREATE INDEX ix_users_tenant_email ON users (tenant_id, email_key, id) WHERE deleted_at IS NULL;
CREATE INDEX ix_users_last_login ON users (COALESCE(last_login_at, 0), id) WHERE deleted_at IS NULL;
CREATE INDEX ix_users_partner_last_login ON users (partner_id, COALESCE(last_login_at, 0), id)
    WHERE deleted_at IS NULL;
CREATE INDEX ix_users_tenant_last_login ON users (tenant_id, COALESCE(last_login_at, 0), id)
    WHERE deleted_at IS NULL;
DELETE FROM user_terms;
DELETE FROM tenant_terms;
DELETE FROM partner_terms;
"
    };
}

const INDEXES: &str = indexes!();

const POSTGRES: &str = concat!(
    r#"
DROP TRIGGER tg_users_end_tokens ON users;
ALTER TABLE users ALTER COLUMN username_key TYPE text COLLATE "C";
ALTER TABLE users ALTER COLUMN email_key TYPE text COLLATE "C";
CREATE TRIGGER tg_users_end_tokens AFTER UPDATE OF email_key, password_changed_at ON users FOR EACH ROW
WHEN (OLD.email_key <> NEW.email_key OR OLD.password_hash IS DISTINCT FROM NEW.password_hash)
EXECUTE FUNCTION end_user_tokens();
"#,
    indexes!()
);
