"""Signs in, looks at sessions page by page, ends one, and sees that it has ended, with the generated client only."""

import os

from gatehouse_client import AuthenticatedClient, Client
from gatehouse_client.api.auth import auth_login
from gatehouse_client.api.me import me_get
from gatehouse_client.api.me_sessions import me_sessions_list, me_sessions_revoke
from gatehouse_client.api.tenants_sessions import tenants_sessions_get, tenants_sessions_list
from gatehouse_client.models import HTTPValidationError, LoginRequest, Problem, SessionListItem, SessionSort

URL = os.environ["GATEHOUSE_URL"]
SLUG = os.environ["GATEHOUSE_TENANT_SLUG"]
TENANT = os.environ["GATEHOUSE_TENANT_ID"]
USERNAME = os.environ["GATEHOUSE_USERNAME"]


def sign_in(username: str) -> AuthenticatedClient:
    form = LoginRequest(username=username, password=os.environ["GATEHOUSE_PASSWORD"])
    answer = auth_login.sync_detailed(SLUG, client=Client(base_url=URL), body=form)
    assert answer.status_code == 200, answer
    assert answer.parsed.token_type == "bearer"
    assert answer.parsed.expires_in > 0
    return AuthenticatedClient(base_url=URL, token=answer.parsed.access_token)


def walk(client: AuthenticatedClient) -> list[SessionListItem]:
    """Own sessions, one to a page, by page number and by cursor: both must show each session once."""
    by_number, page, pages = [], 1, 1
    while page <= pages:
        answer = me_sessions_list.sync(client=client, page=page, per_page=1)
        pages = answer.pagination.total_pages
        by_number += answer.data
        page += 1
    by_cursor, more = [], {}
    while True:
        answer = me_sessions_list.sync(client=client, per_page=1, **more)
        by_cursor += [session.id for session in answer.data]
        if answer.pagination.next_cursor is None:
            break
        more = {"cursor": answer.pagination.next_cursor}
    assert by_cursor == [session.id for session in by_number]
    assert len(set(by_cursor)) == len(by_cursor)
    return by_number


mine, other = sign_in(USERNAME), sign_in(USERNAME)
assert me_get.sync(client=mine).data.username == USERNAME

sessions = walk(mine)
assert len(sessions) >= 2, "both sign-ins are there"
assert sum(session.is_current for session in sessions) == 1

target = next(session for session in walk(other) if session.is_current)
revoked = me_sessions_revoke.sync(target.id, client=mine)
assert revoked.data.revoked_count == 1
assert revoked.data.session_ids == [target.id]

refused = me_get.sync_detailed(client=other)
assert refused.status_code == 401
assert isinstance(refused.parsed, Problem)
assert refused.parsed.code == "session_revoked"
assert len(walk(mine)) == len(sessions) - 1

# A user has no right to the sessions of others; the answer names the right.
forbidden = tenants_sessions_list.sync_detailed(TENANT, client=mine)
assert forbidden.status_code == 403
assert forbidden.parsed.detail == "Missing permission sessions:read", forbidden.parsed.detail

admin = sign_in(os.environ["GATEHOUSE_TENANT_ADMIN"])
newest = SessionSort.LAST_ACTIVITY_AT_DESC
every = tenants_sessions_list.sync(TENANT, client=admin, active_only=False, per_page=5, sort=newest)
assert len(every.data) == 5
assert every.pagination.total_items > 5
one = tenants_sessions_get.sync(TENANT, target.id, client=admin)
assert (one.data.status, one.data.revoke_reason, one.data.location) == ("revoked", "user", None)

invalid = tenants_sessions_list.sync_detailed(TENANT, client=admin, per_page=0)
assert invalid.status_code == 422
assert isinstance(invalid.parsed, HTTPValidationError)
assert invalid.parsed.detail[0].loc == ["query", "per_page"]

print(f"Python: {len(sessions)} own sessions, {every.pagination.total_items} in the tenant")
