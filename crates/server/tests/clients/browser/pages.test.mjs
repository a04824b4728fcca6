// Pages without a server: oidc-client-ts, and fetch() from origins that are allowed and from others.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { base, issuer, listen, register, setting } from "./lib/gatehouse.mjs";
import { launch, signIn, watch } from "./lib/chromium.mjs";

const library = readFileSync(new URL(import.meta.resolve("oidc-client-ts")).pathname.replace("/esm/", "/browser/").replace("oidc-client-ts.js", "oidc-client-ts.min.js"));
const html = readFileSync(new URL("pages.html", import.meta.url));

let chromium, ours, theirs, pages, context, complaints;

function serve(request, response) {
  const isLibrary = request.url === "/oidc-client-ts.js";
  response.setHeader("Content-Type", isLibrary ? "text/javascript" : "text/html").end(isLibrary ? library : html);
}

before(async () => {
  chromium = await launch();
  // Two origins that are two sites, too, to each other and to Gatehouse.
  ours = (await listen(serve)).replace("127.0.0.1", "localhost");
  theirs = await listen(serve, "127.0.0.2");
  pages = await register({
    name: "Pages",
    application_type: "SPA",
    redirect_uris: [`${ours}/callback`, `${ours}/popup`],
    post_logout_redirect_uris: [`${ours}/`, `${ours}/popup`],
    allowed_scopes: ["openid", "profile", "email", "account:read"],
  });
});
after(() => chromium.close());
beforeEach(async () => {
  context = await chromium.newContext();
  complaints = watch(context);
});
afterEach(() => context.close());

// The application at an origin, ready.
async function open(origin, scope = "openid profile email") {
  const page = await context.newPage();
  const settings = { authority: issuer, client_id: pages.client_id, scope };
  await page.goto(`${origin}/#${encodeURIComponent(JSON.stringify(settings))}`);
  return page;
}

async function signedIn(scope) {
  const page = await open(ours, scope);
  await page.evaluate(() => { manager.signinRedirect({ state: "mine" }); });
  await signIn(page);
  await page.waitForFunction(() => window.user ?? window.failure);
  assert.equal(await page.evaluate(() => window.failure), undefined);
  return page;
}

test("oidc-client-ts: sign-in by redirect, userinfo, refresh, revocation, sign-out", async () => {
  const page = await signedIn();
  const user = await page.evaluate(() => ({ profile: user.profile, state: user.state, scope: user.scope }));
  assert.equal(user.profile.preferred_username, setting("GATEHOUSE_USERNAME"));
  assert.equal(user.state, "mine");
  const [former, next] = await page.evaluate(async () => {
    const former = (await manager.getUser()).refresh_token;
    return [former, (await manager.signinSilent()).refresh_token];
  });
  assert.ok(next && next !== former);
  await page.evaluate(() => manager.revokeTokens());
  // The browser is still signed in: the next time there is no page.
  await page.evaluate(() => { manager.signinRedirect(); });
  await page.waitForFunction(() => window.user && location.search.includes("code="));
  await page.evaluate(() => { manager.signoutRedirect(); });
  await page.waitForURL(new RegExp(`^${ours}/(\\?|$)`));
  await page.evaluate(() => { manager.signinRedirect(); });
  await page.waitForSelector("#password");
  assert.deepEqual(complaints, []);
});

test("oidc-client-ts: sign-in and sign-out in a popup", async () => {
  const page = await open(ours);
  const opened = page.waitForEvent("popup");
  const user = page.evaluate(async () => (await manager.signinPopup()).profile);
  const popup = await opened;
  await signIn(popup);
  assert.equal((await user).preferred_username, setting("GATEHOUSE_USERNAME"));
  if (!popup.isClosed()) await popup.waitForEvent("close");

  // The session is there: a popup that closes by itself.
  assert.ok(await page.evaluate(async () => (await manager.signinPopup()).access_token));
  await page.evaluate(() => manager.signoutPopup());
  assert.equal(await page.evaluate(() => manager.getUser()), null);
  assert.deepEqual(complaints, []);
});

test("oidc-client-ts: a wrong password in the popup, then the right one", async () => {
  const page = await open(ours);
  const opened = page.waitForEvent("popup");
  const user = page.evaluate(async () => (await manager.signinPopup()).profile);
  const popup = await opened;
  await popup.fill("#username", setting("GATEHOUSE_USERNAME"));
  await popup.fill("#password", "not this one, surely");
  await popup.press("#password", "Enter");
  await popup.waitForSelector("#fault");
  await signIn(popup);
  assert.ok((await user).sub);
  assert.deepEqual(complaints, []);
});

// Calls each address as a script would, and says how that went: a status, or that the browser refused the answer.
const calls = async ({ issuer, client_id, token }) => {
  const form = (fields) => ({ method: "POST", body: new URLSearchParams(fields) });
  const all = {
    metadata: [`${issuer}/.well-known/openid-configuration`],
    keys: [`${issuer}/.well-known/jwks.json`],
    token: [`${issuer}/oauth/token`, form({ client_id, grant_type: "refresh_token", refresh_token: "ghg_x" })],
    revoke: [`${issuer}/oauth/revoke`, form({ client_id, token: "ghg_x" })],
    par: [`${issuer}/oauth/par`, form({ client_id })],
    userinfo: [`${issuer}/oauth/userinfo`, { headers: { authorization: `Bearer ${token}` } }],
    introspect: [`${issuer}/oauth/introspect`, form({ client_id, token })],
    authorize: [`${issuer}/oauth/authorize?client_id=${client_id}`],
  };
  const seen = {};
  for (const [name, [url, options]] of Object.entries(all)) {
    seen[name] = await fetch(url, options).then((answer) => answer.status, () => "refused");
  }
  return seen;
};

// The API with the token of a page; a status, or that the browser refused the answer.
const callApi = ({ base, token }) =>
  fetch(`${base}/api/v1/me`, { headers: { authorization: `Bearer ${token}` } }).then((answer) => answer.status, () => "refused");

test("fetch() from an allowed origin can read what pages need, and no more", async () => {
  const page = await signedIn();
  const token = await page.evaluate(() => user.access_token);
  const at = { issuer, client_id: pages.client_id, token };
  const expected = { metadata: 200, keys: 200, token: 400, revoke: 200, par: 400, userinfo: 200 };
  assert.deepEqual(await page.evaluate(calls, at), { ...expected, introspect: "refused", authorize: "refused" });
});

test("fetch() from another origin reads what is public, and nothing else, with whatever token", async () => {
  const token = await (await signedIn("openid profile account:read")).evaluate(() => user.access_token);
  const other = await open(theirs);
  const seen = await other.evaluate(calls, { issuer, client_id: pages.client_id, token });
  const { metadata, keys, ...rest } = seen;
  assert.deepEqual([metadata, keys], [200, 200]);
  assert.deepEqual(Object.values(rest), Array(6).fill("refused"));
  assert.equal(await other.evaluate(callApi, { base, token }), "refused");
});

test("fetch() of the API from an allowed origin", async () => {
  const page = await signedIn("openid profile account:read");
  const token = await page.evaluate(() => user.access_token);
  assert.equal(await page.evaluate(callApi, { base, token }), 200);
});

test("an application at an address that is not registered gets nowhere", async () => {
  const page = await open(theirs);
  await page.evaluate(() => { manager.signinRedirect(); });
  await page.waitForURL(`${issuer}/**`);
  assert.equal(await page.locator("#password").count(), 0);
  assert.equal(await page.locator("h1").count(), 1);
});
