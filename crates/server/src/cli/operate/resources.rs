//! The things that the command line knows, and what can be done with each.

/// What can be done: its name, the operation behind it, and what is settled of its body.
pub(super) type Verb = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// A thing, and what can be done with it.
pub(super) struct Resource {
    pub name: &'static str,
    pub about: &'static str,
    /// What a list shows: dots lead into objects.
    columns: &'static [&'static str],
    pub verbs: &'static [Verb],
}

const SUSPENDED: &[(&str, &str)] = &[("status", "SUSPENDED")];
const ACTIVE: &[(&str, &str)] = &[("status", "ACTIVE")];

/// Operations without a command of this kind: an operator has no limits to ask for, and has commands of their own for
/// files, which take passwords along and need no server.
#[cfg(test)]
pub(super) const WITHOUT: [&str; 3] =
    ["admin.me.scope.get", "admin.tenants.user_imports.create", "admin.tenants.users.download"];

pub(super) const RESOURCES: [Resource; 9] = [
    Resource {
        name: "platform",
        about: "What holds everywhere",
        columns: &[],
        verbs: &[
            ("settings", "admin.settings.get", &[]),
            ("configure", "admin.settings.update", &[]),
            ("effective-settings", "admin.settings.effective.get", &[]),
        ],
    },
    Resource {
        name: "partner",
        about: "Partners and their limits",
        columns: &["id", "name", "status", "usage.tenants", "max_tenants"],
        verbs: &[
            ("list", "admin.partners.list", &[]),
            ("show", "admin.partners.get", &[]),
            ("create", "admin.partners.create", &[]),
            ("update", "admin.partners.update", &[]),
            ("suspend", "admin.partners.update", SUSPENDED),
            ("activate", "admin.partners.update", ACTIVE),
            ("delete", "admin.partners.delete", &[]),
            ("settings", "admin.partners.settings.get", &[]),
            ("configure", "admin.partners.settings.update", &[]),
            ("effective-settings", "admin.partners.settings.effective.get", &[]),
        ],
    },
    Resource {
        name: "tenant",
        about: "Tenants and their settings",
        columns: &["id", "name", "status", "usage.users", "partner_id"],
        verbs: &[
            ("list", "admin.tenants.list", &[]),
            ("show", "admin.tenants.get", &[]),
            ("create", "admin.tenants.create", &[]),
            ("update", "admin.tenants.update", &[]),
            ("suspend", "admin.tenants.update", SUSPENDED),
            ("activate", "admin.tenants.update", ACTIVE),
            ("delete", "admin.tenants.delete", &[]),
            ("settings", "admin.tenants.settings.get", &[]),
            ("configure", "admin.tenants.settings.update", &[]),
            ("effective-settings", "admin.tenants.settings.effective.get", &[]),
        ],
    },
    Resource {
        name: "user",
        about: "Users of all tenants",
        columns: &["id", "email", "display_name", "status", "last_login_at"],
        verbs: &[
            ("list", "admin.users.list", &[]),
            ("show", "admin.users.get", &[]),
            ("create", "admin.users.create", &[]),
            ("update", "admin.users.update", &[]),
            ("suspend", "admin.users.update", SUSPENDED),
            ("activate", "admin.users.update", ACTIVE),
            ("delete", "admin.users.delete", &[]),
            ("invite", "admin.users.invitation.create", &[]),
            ("invite-all", "admin.tenants.users.invite_all", &[]),
            ("cancel-invitation", "admin.users.invitation.delete", &[]),
            ("reset-password", "admin.users.password_reset.create", &[]),
            ("unlock", "admin.users.unlock", &[]),
        ],
    },
    Resource {
        name: "user-import",
        about: "Imports of users, however they were asked for",
        columns: &["id", "state", "created", "updated", "skipped", "rejected", "created_at"],
        verbs: &[
            ("list", "admin.tenants.user_imports.list", &[]),
            ("show", "admin.tenants.user_imports.get", &[]),
            ("rejects", "admin.tenants.user_imports.rejects.list", &[]),
            ("cancel", "admin.tenants.user_imports.cancel", &[]),
        ],
    },
    Resource {
        name: "role",
        about: "Roles, and who holds them",
        columns: &["id", "permissions"],
        verbs: &[
            ("list", "admin.roles.list", &[]),
            ("show", "admin.roles.get", &[]),
            ("create", "admin.roles.create", &[]),
            ("update", "admin.roles.update", &[]),
            ("delete", "admin.roles.delete", &[]),
            ("assign", "admin.role_assignments.create", &[]),
            ("unassign", "admin.role_assignments.delete", &[]),
            ("assignments", "admin.role_assignments.list", &[]),
            ("assignment", "admin.role_assignments.get", &[]),
            ("extend", "admin.role_assignments.update", &[]),
            ("permissions", "admin.permissions.list", &[]),
        ],
    },
    Resource {
        name: "application",
        about: "Applications: OAuth clients",
        columns: &["id", "name", "application_type", "scope_level", "status", "tenant_id"],
        verbs: &[
            ("list", "admin.applications.list", &[]),
            ("show", "admin.applications.get", &[]),
            ("create", "admin.applications.create", &[]),
            ("update", "admin.applications.update", &[]),
            ("suspend", "admin.applications.update", SUSPENDED),
            ("activate", "admin.applications.update", ACTIVE),
            ("delete", "admin.applications.delete", &[]),
            ("rotate-secret", "admin.applications.rotate_secret", &[]),
            ("revoke-tokens", "admin.applications.revoke_tokens", &[]),
        ],
    },
    Resource {
        name: "session",
        about: "Sessions of all tenants",
        columns: &["id", "user_email", "status", "device_name", "last_activity_at"],
        verbs: &[
            ("list", "admin.sessions.list", &[]),
            ("show", "admin.sessions.get", &[]),
            ("revoke", "admin.sessions.revoke", &[]),
            ("revoke-all", "admin.sessions.revoke_all", &[]),
        ],
    },
    Resource {
        name: "audit",
        about: "The audit trail",
        columns: &["created_at", "action", "result", "actor.id", "resource.id", "tenant_id"],
        verbs: &[
            ("list", "admin.audit_events.list", &[]),
            ("show", "admin.audit_events.get", &[]),
            ("catalogue", "admin.audit_events.catalogue.get", &[]),
            ("export", "admin.audit_events.download", &[]),
        ],
    },
];

impl Resource {
    /// What the list of an operation shows.
    pub fn columns(&self, operation: &str) -> &'static [&'static str] {
        match operation {
            "admin.role_assignments.list" => &["id", "user_id", "role_id", "anchor.level", "expires_at"],
            "admin.permissions.list" | "admin.audit_events.catalogue.get" => &["name", "description"],
            "admin.tenants.user_imports.rejects.list" => &["line", "faults"],
            _ => self.columns,
        }
    }
}
