// What each client in JavaScript needs of Gatehouse beside its own library. The doing is lib/act's.

import { execFile } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { createServer } from "node:http";

const run = promisify(execFile);

export function setting(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run this with ./with-server`);
  return value;
}

export const base = setting("GATEHOUSE_URL");
export const issuer = `${base}/api/v1/auth/tenants/${setting("GATEHOUSE_TENANT_SLUG")}`;

async function act(...words) {
  try {
    const { stdout } = await run(new URL("act", import.meta.url).pathname, words);
    return stdout.trim();
  } catch (error) {
    throw new Error(error.stderr.trim().split("\n").at(-1));
  }
}

// The API as somebody, by default the administrator of the tenant. Whatever is not a success is a failure of the check.
const tokens = new Map();
export async function api(method, path, body, as = setting("GATEHOUSE_TENANT_ADMIN")) {
  if (!tokens.has(as)) {
    const form = new URLSearchParams({ username: as, password: setting("GATEHOUSE_PASSWORD") });
    const answer = await fetch(`${base}/api/v1/auth/tenants/${setting("GATEHOUSE_TENANT_SLUG")}/login`, { method: "POST", body: form });
    tokens.set(as, (await answer.json()).access_token);
  }
  const headers = { authorization: `Bearer ${tokens.get(as)}`, "content-type": "application/json" };
  const answer = await fetch(`${base}/api/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return text ? JSON.parse(text).data : undefined;
}

export const register = (application, tenant = setting("GATEHOUSE_TENANT_ID")) =>
  api("POST", `/tenants/${tenant}/applications`, application, ...(tenant === setting("GATEHOUSE_TENANT_ID") ? [] : [PLATFORM]));

// Who administers the platform of the demo.
export const PLATFORM = "dmitri";

// A tenant of this check's own, in which nobody else does anything.
export async function tenant(more) {
  const [partner] = await api("GET", "/admin/partners", undefined, PLATFORM);
  const slug = `${more.name.toLowerCase().replaceAll(/[^a-z]+/g, "-").replaceAll(/^-|-$/g, "")}-${Math.random().toString(36).slice(2, 8)}`;
  const made = await api("POST", "/admin/tenants", { slug, partner_id: partner.id, ...more }, PLATFORM);
  return { ...made, issuer: `${base}/api/v1/auth/tenants/${made.slug}` };
}

// An account with the password of all accounts.
export async function user(tenant, username, more = {}) {
  const account = { username, email: `${username}@example.com`, delivery: "link", ...more };
  const made = await api("POST", `/tenants/${tenant.id}/users`, account, PLATFORM);
  const accept = { token: made.invitation.token, password: setting("GATEHOUSE_PASSWORD") };
  const answer = await fetch(`${tenant.issuer}/invitations/accept`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(accept),
  });
  if (!answer.ok) throw new Error(`invitation: ${answer.status} ${await answer.text()}`);
  return made;
}

// A person with a browser: `visit` signs in where that is asked, and gives the address or the title where it ends.
export function browser() {
  const jar = join(mkdtempSync(join(tmpdir(), "gatehouse-client-")), "cookies");
  return { visit: async (url) => await act("visit", jar, String(url)) };
}

// A server on a free port, which does not keep the program from ending. `answer` gets the request and its whole body.
export async function listen(answer, host = "127.0.0.1") {
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const part of request) body += part;
    answer(request, response, body);
  });
  await new Promise((done) => server.listen(0, host, done));
  server.unref();
  return `http://${host}:${server.address().port}`;
}

// An application's end of back-channel logout: an address, and the next token that comes in, which is awaited for 10 s.
export async function receiver() {
  const tokens = [];
  let arrived = () => {};
  const origin = await listen((request, response, body) => {
    const token = new URLSearchParams(body).get("logout_token");
    response.writeHead(request.method === "POST" && token ? 204 : 400).end();
    tokens.push(token);
    arrived();
  });
  const next = async () => {
    if (tokens.length === 0) {
      await new Promise((done, fail) => {
        const timer = setTimeout(() => fail(new Error("no logout token came within 10 seconds")), 10_000);
        arrived = () => { clearTimeout(timer); done(); };
      });
    }
    return tokens.shift();
  };
  return { uri: `${origin}/backchannel-logout`, next };
}
