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

export const register = async (application) => JSON.parse(await act("register", JSON.stringify(application)));

// The API as the administrator of the tenant.
export const api = async (method, path, body) =>
  JSON.parse(await act("api", method, path, ...(body === undefined ? [] : [JSON.stringify(body)])));

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
