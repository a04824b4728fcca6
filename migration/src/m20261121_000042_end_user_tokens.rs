//! A user's links die with the address and with the password that they were made under, whatever statement changes
//! these. Another hash of the same password is no other password: what writes one leaves `password_changed_at` alone.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run_dialect(manager, SQLITE, POSTGRES));

const SQLITE: &str = "
CREATE TRIGGER tg_users_end_tokens AFTER UPDATE OF email_key, password_changed_at ON users
WHEN OLD.email_key <> NEW.email_key OR OLD.password_hash IS NOT NEW.password_hash
BEGIN
    DELETE FROM user_tokens WHERE tenant_id = NEW.tenant_id AND user_id = NEW.id;
END;
";

const POSTGRES: &str = "
CREATE FUNCTION end_user_tokens() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM user_tokens WHERE tenant_id = NEW.tenant_id AND user_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER tg_users_end_tokens AFTER UPDATE OF email_key, password_changed_at ON users FOR EACH ROW
WHEN (OLD.email_key <> NEW.email_key OR OLD.password_hash IS DISTINCT FROM NEW.password_hash)
EXECUTE FUNCTION end_user_tokens();
";
