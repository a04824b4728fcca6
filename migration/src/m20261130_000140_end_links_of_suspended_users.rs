//! A link that confirms an address dies when its user is suspended: whoever asked for it may have been the reason.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run_dialect(manager, SQLITE, POSTGRES));

const SQLITE: &str = "
CREATE TRIGGER tg_users_end_email_tokens AFTER UPDATE OF status ON users
WHEN NEW.status = 'SUSPENDED' AND OLD.status <> 'SUSPENDED'
BEGIN
    DELETE FROM user_tokens WHERE tenant_id = NEW.tenant_id AND user_id = NEW.id AND purpose = 'email';
END;
";

const POSTGRES: &str = "
CREATE FUNCTION end_email_tokens() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM user_tokens WHERE tenant_id = NEW.tenant_id AND user_id = NEW.id AND purpose = 'email';
    RETURN NULL;
END $$;
CREATE TRIGGER tg_users_end_email_tokens AFTER UPDATE OF status ON users FOR EACH ROW
WHEN (NEW.status = 'SUSPENDED' AND OLD.status <> 'SUSPENDED')
EXECUTE FUNCTION end_email_tokens();
";
