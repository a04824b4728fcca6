"""What JSON Schema cannot say of valid requests; everything else is left as it was generated."""

import json
import os
import re
import secrets
import urllib.parse
import urllib.request

import schemathesis


def id_of(username):
    """The id of a user of the tenant."""
    base = f"{os.environ['GATEHOUSE_URL']}/api/v1"
    form = {"username": username, "password": os.environ["GATEHOUSE_PASSWORD"]}
    login = f"{base}/auth/tenants/{os.environ['GATEHOUSE_TENANT_SLUG']}/login"
    with urllib.request.urlopen(login, urllib.parse.urlencode(form).encode()) as answer:
        token = json.load(answer)["access_token"]
    me = urllib.request.Request(f"{base}/me", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(me) as answer:
        return json.load(answer)["data"]["id"]


# At once, because the run may suspend them.
SOMEBODY = id_of(os.environ["GATEHOUSE_USERNAME"])
# Who signs in for the run, if that is a user.
ONESELF = id_of(os.environ["FUZZ_USERNAME"]) if os.environ.get("FUZZ_USERNAME") else None


# The fields of an application that fit whatever the others are.
FREE = {"name", "description", "status", "token_lifetime", "refresh_token_lifetime", "require_consent", "opens_popup"}


# What the document does not promise and the server takes all the same, since clients that are generated send it.
TOLERATED = re.compile(r"[01]|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)? ?[+-]\d\d:?\d\d")


@schemathesis.hook
def filter_case(context, case):
    if not case.meta or case.meta.generation.mode.is_positive:
        return True
    values = case.query.values() if isinstance(case.query, dict) else []
    return not any(isinstance(value, (str, int)) and TOLERATED.fullmatch(str(value)) for value in values)


@schemathesis.hook
def before_call(context, case, kwargs):
    if not case.meta or not case.meta.generation.mode.is_positive:
        return
    # What names a state is made by the server, and a key belongs to one request.
    if case.headers and "If-Match" in case.headers:
        case.headers["If-Match"] = "*"
    if case.headers and "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = secrets.token_urlsafe(12)
    # Whoever takes their own password away locks the run out.
    names_oneself = ONESELF and (case.path_parameters or {}).get("user_id") == ONESELF
    if names_oneself and case.method in ("POST", "PATCH", "DELETE"):
        case.path_parameters["user_id"] = SOMEBODY
    # A cursor is sealed by the server: no made-up text is one.
    if isinstance(case.query, dict):
        case.query.pop("cursor", None)
    if not isinstance(case.body, dict):
        return
    operation = case.operation.definition.raw.get("operationId")
    # A user name with an at sign has to be the address of the account, which a schema of one field cannot say. Signing in
    # takes any text.
    if operation != "auth.login" and "@" in str(case.body.get("username", "")):
        case.body["username"] = f"user-{secrets.token_hex(8)}"
    # Whether a password is easy to guess is no matter of its shape.
    if operation in ("auth.register", "auth.invitations.accept", "setup.create") and "password" in case.body:
        case.body["password"] = f"{secrets.token_urlsafe(9)} otter juggles 42 lamps"
    # A real change would lock the run itself out: it goes from the password to the same.
    if operation == "auth.password.reset" and "new_password" in case.body:
        case.body["new_password"] = f"{secrets.token_urlsafe(9)} otter juggles 42 lamps"
    if operation == "me.change_password" and "new_password" in case.body:
        case.body["new_password"] = os.environ["GATEHOUSE_PASSWORD"]
    # Fewer sessions than the run has would end its own.
    if operation == "tenants.settings.update" and isinstance(case.body.get("max_sessions_per_user"), int):
        case.body["max_sessions_per_user"] = max(case.body["max_sessions_per_user"], 1000)
    # What a body names has to be there, and a role has to fit its place: the built-in one of tenants fits the tenant.
    if operation == "tenants.role_assignments.create" and "role_id" in case.body:
        case.body["user_id"] = SOMEBODY
        case.body["role_id"] = "rol_01kdvdna00e008000000000003"
        case.body["anchor"] = {"level": "tenant", "tenant_id": case.path_parameters["tenant_id"]}
    # What an application is registered with has to fit together, by rules of OAuth that say more than a schema.
    if operation in ("tenants.applications.create", "tenants.applications.update"):
        for name in list(case.body):
            if name not in FREE:
                del case.body[name]
        if operation.endswith("create"):
            case.body["application_type"] = "WEB"
            case.body["redirect_uris"] = [f"https://{secrets.token_hex(4)}.example/callback"]
