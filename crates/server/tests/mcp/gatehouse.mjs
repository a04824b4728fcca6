// A throw-away Gatehouse, and what its administrator sets up.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { createInterface } from "node:readline";

const PASSWORD = "otter-juggles-42-copper-lamps";

/** Starts `gatehouse demo` and reads where it listens and who is there. */
export async function start() {
  // Settings of whoever runs this must not change what is checked.
  const outside = Object.entries(process.env).filter(([name]) => !/^(GATEHOUSE_|DATABASE_URL)/.test(name));
  const env = {
    ...Object.fromEntries(outside),
    GATEHOUSE_OUTBOUND_ALLOW: "127.0.0.0/8",
    GATEHOUSE_OUTBOUND_CA_FILE: "certificate.pem",
    GATEHOUSE_LOG_LEVEL: "warn",
  };
  const server = spawn(process.env.GATEHOUSE_BINARY, ["demo", "--bind", "127.0.0.1:0", "--admin-password", PASSWORD], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  process.on("exit", () => server.kill("SIGTERM"));
  server.stderr.pipe(createWriteStream("server.log"));
  const found = { url: "", tenant: {}, accounts: {}, stop: () => server.kill("SIGTERM") };
  for await (const line of createInterface(server.stdout)) {
    const listens = /(http:\/\/\S+?)\/api\/v1/.exec(line);
    const account = /(.+) (?:at|in) tenant (\S+) +(tnt_\S+)/.exec(line);
    if (listens) {
      found.url = listens[1];
    } else if (account) {
      const kind = ["tenant administrator", "partner administrator", "platform administrator", "user"].find((it) => account[1].includes(it));
      found.accounts[kind] = account[1].replace(kind, "").trim();
      found.tenant = { slug: account[2], id: account[3] };
    } else if (line.startsWith("Everything is gone")) {
      break;
    }
  }
  assert.ok(found.url && found.accounts.user, "gatehouse demo did not start; its log is in server.log");
  server.stdout.resume();
  return found;
}

/** What the administrator of the tenant asks the API. */
export async function administrator(gatehouse) {
  const call = async (method, path, headers, body) => {
    const answer = await fetch(`${gatehouse.url}/api/v1${path}`, { method, headers, body });
    const text = await answer.text();
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
    return JSON.parse(text);
  };
  const credentials = new URLSearchParams({ username: gatehouse.accounts["tenant administrator"], password: PASSWORD });
  const { access_token } = await call("POST", `/auth/tenants/${gatehouse.tenant.slug}/login`, {}, credentials);
  const headers = { authorization: `Bearer ${access_token}`, "content-type": "application/json" };
  return (method, path, body) => call(method, `/tenants/${gatehouse.tenant.id}${path}`, headers, body && JSON.stringify(body));
}

/** A person with a browser, who signs in and allows what is asked. Returns the page that asked for consent. */
export async function person(gatehouse, address) {
  const cookies = new Map();
  const visit = async (url, form) => {
    const headers = { cookie: [...cookies].map((pair) => pair.join("=")).join("; "), "sec-fetch-site": "same-origin" };
    const answer = await fetch(url, { method: form ? "POST" : "GET", headers, body: form, redirect: "manual" });
    for (const cookie of answer.headers.getSetCookie()) {
      const [name, value] = cookie.split(";")[0].split("=");
      cookies.set(name, value);
    }
    return { status: answer.status, to: answer.headers.get("location"), text: await answer.text() };
  };
  const submit = (page, fields) => {
    assert.equal(page.status, 200, page.text);
    const action = /<form[^>]* action="([^"]+)"/.exec(page.text)[1];
    const request = /name="request" value="([^"]+)"/.exec(page.text)[1];
    return visit(new URL(action, gatehouse.url), new URLSearchParams({ request, ...fields }));
  };
  const signIn = await visit(address);
  const consent = await submit(signIn, { username: gatehouse.accounts.user, password: PASSWORD });
  const answer = await submit(consent, { answer: "allow" });
  assert.equal(answer.status, 303, answer.text);
  // The listener of the program takes the code.
  await fetch(answer.to);
  return consent.text;
}
