// Signs in, looks at sessions page by page, ends one, and sees that it has ended, with the generated client only.

import assert from "node:assert/strict";
import { Gatehouse, type SessionListItem } from "./client/index.js";
import { createClient, createConfig } from "./client/client/index.js";

function setting(name: string): string {
  const value = process.env[name];
  assert.ok(value, `${name} is not set`);
  return value;
}

const baseUrl = setting("GATEHOUSE_URL");
const path = { tenant_slug: setting("GATEHOUSE_TENANT_SLUG") };
const password = setting("GATEHOUSE_PASSWORD");

function connect(key: string, token?: string): Gatehouse {
  return new Gatehouse({ key, client: createClient(createConfig({ baseUrl, auth: token })) });
}

async function signIn(username: string): Promise<Gatehouse> {
  const { data } = await connect("anonymous").auth.login({ path, body: { username, password }, throwOnError: true });
  assert.equal(data.token_type, "bearer");
  assert.ok(data.expires_in > 0);
  return connect(data.refresh_token, data.access_token);
}

// Own sessions, one to a page, by page number and by cursor: both must show each session once.
async function walk(gatehouse: Gatehouse): Promise<SessionListItem[]> {
  const byNumber: SessionListItem[] = [];
  let pages = 1;
  for (let page = 1; page <= pages; page += 1) {
    const { data } = await gatehouse.me.sessions.list({ query: { page, per_page: 1 }, throwOnError: true });
    pages = data.pagination.total_pages;
    byNumber.push(...data.data);
  }
  const byCursor: string[] = [];
  let cursor: string | null | undefined;
  do {
    const query = cursor ? { cursor, per_page: 1 } : { per_page: 1 };
    const { data } = await gatehouse.me.sessions.list({ query, throwOnError: true });
    byCursor.push(...data.data.map((session) => session.id));
    cursor = data.pagination.next_cursor;
  } while (cursor);
  assert.deepEqual(byCursor, byNumber.map((session) => session.id));
  assert.equal(new Set(byCursor).size, byCursor.length);
  return byNumber;
}

const mine = await signIn(setting("GATEHOUSE_USERNAME"));
const other = await signIn(setting("GATEHOUSE_USERNAME"));

const me = await mine.me.get({ throwOnError: true });
assert.equal(me.data.data.username, setting("GATEHOUSE_USERNAME"));

const sessions = await walk(mine);
assert.ok(sessions.length >= 2, "both sign-ins are there");
assert.equal(sessions.filter((session) => session.is_current).length, 1);

const target = (await walk(other)).find((session) => session.is_current);
assert.ok(target);
const revoked = await mine.me.sessions.revoke({ path: { session_id: target.id }, throwOnError: true });
assert.equal(revoked.data.data.revoked_count, 1);
assert.deepEqual(revoked.data.data.session_ids, [target.id]);

const refused = await other.me.get();
assert.equal(refused.response?.status, 401);
assert.ok(refused.error && "code" in refused.error);
assert.equal(refused.error.code, "session_revoked");
assert.equal((await walk(mine)).length, sessions.length - 1);

// A user has no right to the sessions of others; the answer names the right.
const tenant = { tenant_id: setting("GATEHOUSE_TENANT_ID") };
const forbidden = await mine.tenants.sessions.list({ path: tenant });
assert.equal(forbidden.response?.status, 403);

const admin = await signIn(setting("GATEHOUSE_TENANT_ADMIN"));
const all = await admin.tenants.sessions.list({
  path: tenant,
  query: { active_only: false, per_page: 5, sort: "-last_activity_at" },
  throwOnError: true,
});
assert.equal(all.data.data.length, 5);
assert.ok(all.data.pagination.total_items > 5);
const one = await admin.tenants.sessions.get({ path: { ...tenant, session_id: target.id }, throwOnError: true });
assert.equal(one.data.data.status, "revoked");
assert.equal(one.data.data.revoke_reason, "user");
assert.equal(one.data.data.location, null);

const invalid = await admin.tenants.sessions.list({ path: tenant, query: { per_page: 0 } });
assert.equal(invalid.response?.status, 422);
assert.ok(invalid.error && Array.isArray(invalid.error.detail));
assert.deepEqual(invalid.error.detail[0]?.loc, ["query", "per_page"]);

console.log(`TypeScript: ${sessions.length} own sessions, ${all.data.pagination.total_items} in the tenant`);
