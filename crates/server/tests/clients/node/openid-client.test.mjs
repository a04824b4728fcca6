// openid-client as its users write it. Nothing is relaxed but that Gatehouse may be reached over plain http.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { createRemoteJWKSet, exportJWK, generateKeyPair, jwtVerify } from "jose";
import * as client from "openid-client";
import { base, browser, issuer, receiver, register } from "./lib/gatehouse.mjs";

const insecure = { execute: [client.allowInsecureRequests] };
const callback = "http://127.0.0.1:3000/callback";
const home = "http://127.0.0.1:3000/";
const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";

let shop, config, told;

before(async () => {
  told = await receiver();
  shop = await register({
    name: "Shop of openid-client",
    application_type: "WEB",
    redirect_uris: [callback],
    post_logout_redirect_uris: [home],
    backchannel_logout_uri: told.uri,
    allowed_scopes: ["openid", "profile", "email", "offline_access", "account:read"],
    resource_uris: ["https://shop.example/"],
  });
  config = await client.discovery(new URL(issuer), shop.client_id, shop.client_secret, undefined, insecure);
  // ID tokens are verified by their signature, too, which a library may leave out where TLS vouches for them.
  client.enableNonRepudiationChecks(config);
});

// Signs in through the pages; `start` makes the address that the browser goes to.
async function signIn(person, config, start, more = {}) {
  const verifier = client.randomPKCECodeVerifier();
  const [state, nonce] = [client.randomState(), client.randomNonce()];
  const to = await start({
    redirect_uri: callback,
    scope: "openid profile email",
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state,
    nonce,
    ...more,
  });
  const back = new URL(await person.visit(to));
  const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true };
  return await client.authorizationCodeGrant(config, back, checks);
}

const asked = (parameters) => client.buildAuthorizationUrl(config, parameters);

test("metadata, at the address of OpenID and at the one of RFC 8414", async () => {
  const server = config.serverMetadata();
  assert.equal(server.issuer, issuer);
  assert.ok(server.supportsPKCE());
  const oauth2 = await client.discovery(new URL(issuer), shop.client_id, shop.client_secret, undefined, { ...insecure, algorithm: "oauth2" });
  assert.deepEqual({ ...oauth2.serverMetadata() }, { ...server });
});

test("code with PKCE through the pages, userinfo, refresh", async () => {
  const person = browser();
  const tokens = await signIn(person, config, asked);
  const who = tokens.claims();
  assert.equal(who.preferred_username, process.env.GATEHOUSE_USERNAME);
  assert.deepEqual(tokens.scope.split(" ").sort(), ["email", "openid", "profile"]);
  const info = await client.fetchUserInfo(config, tokens.access_token, who.sub);
  assert.equal(info.email, who.email);
  const next = await client.refreshTokenGrant(config, tokens.refresh_token);
  assert.equal(next.claims().sid, who.sid);
  assert.notEqual(next.refresh_token, tokens.refresh_token);
  await client.fetchUserInfo(config, next.access_token, who.sub);

  // The browser is signed in: the same application again, without a page.
  const again = await signIn(person, config, asked, { prompt: "none" });
  assert.equal(again.claims().sid, who.sid);
  // max_age=0 asks anew, and the library checks the age that the token states.
  const verifier = client.randomPKCECodeVerifier();
  const challenge = await client.calculatePKCECodeChallenge(verifier);
  const to = asked({ redirect_uri: callback, scope: "openid", code_challenge: challenge, code_challenge_method: "S256", max_age: "0" });
  const back = new URL(await person.visit(to));
  await client.authorizationCodeGrant(config, back, { pkceCodeVerifier: verifier, maxAge: 0 });
});

test("an answer without a page to a browser that is not signed in is an error of its own", async () => {
  const error = await signIn(browser(), config, asked, { prompt: "none" }).catch((error) => error);
  assert.ok(error instanceof client.AuthorizationResponseError, String(error));
  assert.equal(error.error, "login_required");
});

test("the answer as a form", async () => {
  const tokens = await signIn(browser(), config, asked, { response_mode: "form_post" });
  assert.ok(tokens.claims().sub);
});

test("pushed requests", async () => {
  const tokens = await signIn(browser(), config, (parameters) => client.buildAuthorizationUrlWithPAR(config, parameters));
  assert.ok(tokens.refresh_token);
});

test("introspection and revocation", async () => {
  const tokens = await signIn(browser(), config, asked);
  const seen = await client.tokenIntrospection(config, tokens.access_token);
  assert.equal(seen.active, true);
  assert.equal(seen.client_id, shop.client_id);
  assert.equal(seen.sub, tokens.claims().sub);
  assert.equal((await client.tokenIntrospection(config, tokens.refresh_token)).active, true);
  await client.tokenRevocation(config, tokens.refresh_token);
  for (const token of [tokens.access_token, tokens.refresh_token]) {
    assert.deepEqual(await client.tokenIntrospection(config, token), { active: false });
  }
  const error = await client.refreshTokenGrant(config, tokens.refresh_token).catch((error) => error);
  assert.equal(error.error, "invalid_grant");
});

test("a device without a browser", async () => {
  const television = await register({ name: "Television", application_type: "NATIVE", grant_types: [DEVICE, "refresh_token"] });
  const config = await client.discovery(new URL(issuer), television.client_id, undefined, client.None(), insecure);
  const asks = await client.initiateDeviceAuthorization(config, { scope: "openid profile" });
  assert.equal(asks.verification_uri, `${base}/device`);
  const polled = client.pollDeviceAuthorizationGrant(config, asks);
  await browser().visit(asks.verification_uri_complete);
  const tokens = await polled;
  assert.equal(tokens.claims().preferred_username, process.env.GATEHOUSE_USERNAME);
  assert.ok((await client.refreshTokenGrant(config, tokens.refresh_token)).access_token);
});

test("client_credentials with a secret, in the header and in the body", async () => {
  const made = await register({ name: "Backup", application_type: "SERVICE", allowed_scopes: ["sessions:read"] });
  for (const proof of [client.ClientSecretBasic, client.ClientSecretPost]) {
    const config = await client.discovery(new URL(issuer), made.client_id, undefined, proof(made.client_secret), insecure);
    const tokens = await client.clientCredentialsGrant(config, { scope: "sessions:read" });
    const answer = await client.fetchProtectedResource(config, tokens.access_token, new URL(`${base}/api/v1/tenants/${made.tenant_id}/sessions`), "GET");
    assert.equal(answer.status, 200);
  }
});

// A key that the application made for itself, the way it proves its identity with it, and what that is good for.
async function withKey(algorithm, header, options) {
  const made = await generateKeyPair(algorithm, { extractable: true });
  const jwks = { keys: [{ ...(await exportJWK(made.publicKey)), kid: "1", alg: header, use: "sig" }] };
  const { client_id } = await register({
    name: `Backup with ${header}`,
    application_type: "SERVICE",
    allowed_scopes: ["sessions:read"],
    token_endpoint_auth_method: "private_key_jwt",
    jwks,
  });
  const proof = client.PrivateKeyJwt({ key: made.privateKey, kid: "1" }, options);
  const config = await client.discovery(new URL(issuer), client_id, undefined, proof, insecure);
  const tokens = await client.clientCredentialsGrant(config);
  assert.equal(tokens.scope, "sessions:read");
  assert.equal((await client.tokenIntrospection(config, tokens.access_token)).active, true);
}

for (const algorithm of ["ES256", "RS256", "PS256"]) {
  test(`client_credentials with a key, ${algorithm}`, () => withKey(algorithm, algorithm));
}

test("client_credentials with a key, EdDSA", async () => {
  // The library writes the newer name of RFC 9864.
  await withKey("Ed25519", "EdDSA", { [client.modifyAssertion]: (header) => { header.alg = "EdDSA"; } });
});

test("client_credentials with a key, Ed25519 as the library writes it", () => withKey("Ed25519", "Ed25519"));

for (const algorithm of ["ES256", "EdDSA"]) {
  test(`ID tokens signed with ${algorithm}`, async () => {
    const made = await register({
      name: `Shop with ${algorithm}`,
      application_type: "WEB",
      redirect_uris: [callback],
      id_token_signed_response_alg: algorithm,
    });
    const metadata = { client_secret: made.client_secret, id_token_signed_response_alg: algorithm };
    const config = await client.discovery(new URL(issuer), made.client_id, metadata, undefined, insecure);
    client.enableNonRepudiationChecks(config);
    const tokens = await signIn(browser(), config, (parameters) => client.buildAuthorizationUrl(config, parameters));
    assert.ok(tokens.claims().sub);
  });
}

test("signing out, which the application is told of", async () => {
  const person = browser();
  const tokens = await signIn(person, config, asked);
  const out = { id_token_hint: tokens.id_token, post_logout_redirect_uri: home, state: "s" };
  assert.equal(await person.visit(client.buildEndSessionUrl(config, out)), `${home}?state=s`);
  const error = await client.refreshTokenGrant(config, tokens.refresh_token).catch((error) => error);
  assert.equal(error.error, "invalid_grant");
  await assert.rejects(client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub));

  const keys = createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri));
  const { payload } = await jwtVerify(await told.next(), keys, { issuer, audience: shop.client_id, typ: "logout+jwt" });
  assert.equal(payload.sid, tokens.claims().sid);
  assert.equal(payload.sub, tokens.claims().sub);
  assert.deepEqual(payload.events, { "http://schemas.openid.net/event/backchannel-logout": {} });
  assert.equal(payload.nonce, undefined);
});
