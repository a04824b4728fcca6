// oauth4webapi, which checks each answer to the letter. No option relaxes it but the one for plain http.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import * as oauth from "oauth4webapi";
import { browser, issuer, register } from "./lib/gatehouse.mjs";

const insecure = { [oauth.allowInsecureRequests]: true };
const callback = "http://127.0.0.1:3001/callback";
const SHOP_API = "https://shop.example/api";
const STOCK_API = "https://stock.example/";
const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";
const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";

let server;

before(async () => {
  const response = await oauth.discoveryRequest(new URL(issuer), insecure);
  server = await oauth.processDiscoveryResponse(new URL(issuer), response);
});

// An application, and how it proves its identity.
async function made(application) {
  const { client_id, client_secret } = await register(application);
  const proof = client_secret ? oauth.ClientSecretBasic(client_secret) : oauth.None();
  return { client: { client_id }, proof };
}

// Signs in through the pages; where asked the request is pushed.
async function signIn({ client, proof }, more = {}, isPushed = false, person = browser()) {
  const verifier = oauth.generateRandomCodeVerifier();
  const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()];
  let parameters = new URLSearchParams({
    client_id: client.client_id,
    response_type: "code",
    redirect_uri: callback,
    scope: "openid profile email",
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state,
    nonce,
    max_age: "600",
    ...more,
  });
  if (isPushed) {
    const pushed = await oauth.pushedAuthorizationRequest(server, client, proof, parameters, insecure);
    const { request_uri } = await oauth.processPushedAuthorizationResponse(server, client, pushed);
    parameters = new URLSearchParams({ client_id: client.client_id, request_uri });
  }
  const to = new URL(server.authorization_endpoint);
  to.search = parameters;
  // Refuses an answer without `iss`, since the metadata promise one.
  const answer = oauth.validateAuthResponse(server, client, new URL(await person.visit(to)), state);
  const response = await oauth.authorizationCodeGrantRequest(server, client, proof, answer, callback, verifier, insecure);
  const checks = { expectedNonce: nonce, maxAge: 600, requireIdToken: true };
  const tokens = await oauth.processAuthorizationCodeResponse(server, client, response, checks);
  await oauth.validateApplicationLevelSignature(server, response, insecure);
  return { tokens, claims: oauth.getValidatedIdTokenClaims(tokens), state };
}

async function introspect({ client, proof }, token) {
  const response = await oauth.introspectionRequest(server, client, proof, token, insecure);
  return await oauth.processIntrospectionResponse(server, client, response);
}

async function refresh({ client, proof }, token) {
  const response = await oauth.refreshTokenGrantRequest(server, client, proof, token, insecure);
  const tokens = await oauth.processRefreshTokenResponse(server, client, response);
  await oauth.validateApplicationLevelSignature(server, response, insecure);
  return tokens;
}

for (const isPushed of [false, true]) {
  const how = isPushed ? "a pushed request" : "a request";
  test(`${how} of a site with a secret: code, userinfo, refresh, introspection, revocation`, async () => {
    const shop = await made({ name: "Shop", application_type: "WEB", redirect_uris: [callback] });
    const { tokens, claims } = await signIn(shop, {}, isPushed);
    const info = await oauth.userInfoRequest(server, shop.client, tokens.access_token, insecure);
    const user = await oauth.processUserInfoResponse(server, shop.client, claims.sub, info);
    assert.equal(user.preferred_username, process.env.GATEHOUSE_USERNAME);

    const next = await refresh(shop, tokens.refresh_token);
    assert.equal((await introspect(shop, next.access_token)).active, true);
    const revoked = await oauth.revocationRequest(server, shop.client, shop.proof, next.refresh_token, insecure);
    await oauth.processRevocationResponse(revoked);
    assert.deepEqual(await introspect(shop, next.access_token), { active: false });
  });
}

for (const application_type of ["SPA", "NATIVE"]) {
  test(`a public application, ${application_type}: code, refresh, revocation`, async () => {
    const pages = await made({ name: "Pages", application_type, redirect_uris: [callback] });
    const { tokens } = await signIn(pages);
    const next = await refresh(pages, tokens.refresh_token);
    const revoked = await oauth.revocationRequest(server, pages.client, pages.proof, next.refresh_token, insecure);
    await oauth.processRevocationResponse(revoked);
    await assert.rejects(refresh(pages, next.refresh_token), { error: "invalid_grant" });
  });
}

test("a code and a refresh token work once; what is wrong is said as RFC 6749 says it", async () => {
  const shop = await made({ name: "Shop", application_type: "WEB", redirect_uris: [callback] });
  await assert.rejects(signIn(shop, { scope: "unheard-of" }), { error: "invalid_scope" });
  await assert.rejects(signIn(shop, { code_challenge_method: "plain" }), { error: "invalid_request" });
  await assert.rejects(signIn(shop, { request: "e30.e30." }), { error: "request_not_supported" });
  const liar = { client: shop.client, proof: oauth.ClientSecretBasic("ghk_of-somebody-else") };
  // The library shows a refused client as the challenge that RFC 6749 5.2 demands.
  await assert.rejects(signIn(liar), (error) => error.status === 401 && error.cause[0].scheme === "basic");
});

test("an API checks the tokens that are for it; one API asks for a token for the next", async () => {
  const stock = { name: "stock:read", description: "See what is there" };
  await made({ name: "Stock", application_type: "SERVICE", resource_uris: [STOCK_API], resource_scopes: [stock] });
  const api = await made({
    name: "API of the shop",
    application_type: "SERVICE",
    grant_types: ["client_credentials", EXCHANGE],
    resource_uris: [SHOP_API],
    resource_scopes: [{ name: "orders:read", description: "See orders" }, stock],
    allowed_resources: [STOCK_API],
    allowed_scopes: ["stock:read", "orders:read"],
  });
  const shop = await made({
    name: "Shop",
    application_type: "WEB",
    redirect_uris: [callback],
    allowed_resources: [SHOP_API],
    allowed_scopes: ["openid", "profile", "email", "orders:read", "stock:read"],
  });
  const { tokens, claims } = await signIn(shop, { scope: "openid orders:read stock:read", resource: SHOP_API });
  const called = (token) => new Request(SHOP_API, { headers: { authorization: `Bearer ${token}` } });
  const seen = await oauth.validateJwtAccessToken(server, called(tokens.access_token), SHOP_API, insecure);
  assert.equal(seen.sub, claims.sub);
  assert.equal(seen.client_id, shop.client.client_id);
  await assert.rejects(oauth.validateJwtAccessToken(server, called(tokens.access_token), STOCK_API, insecure));
  assert.equal((await introspect(api, tokens.access_token)).active, true);

  const parameters = {
    subject_token: tokens.access_token,
    subject_token_type: "urn:ietf:params:oauth:token-type:access_token",
    resource: STOCK_API,
  };
  const response = await oauth.genericTokenEndpointRequest(server, api.client, api.proof, EXCHANGE, parameters, insecure);
  const exchanged = await oauth.processGenericTokenEndpointResponse(server, api.client, response);
  const next = await oauth.validateJwtAccessToken(server, called(exchanged.access_token), STOCK_API, insecure);
  assert.deepEqual([next.sub, next.scope, next.act], [claims.sub, "stock:read", { sub: api.client.client_id }]);
});

test("a device without a browser: asking too soon, then allowed", async () => {
  const television = await made({ name: "Television", application_type: "NATIVE", grant_types: [DEVICE, "refresh_token"] });
  const { client, proof } = television;
  const asked = await oauth.deviceAuthorizationRequest(server, client, proof, { scope: "openid profile" }, insecure);
  const asks = await oauth.processDeviceAuthorizationResponse(server, client, asked);
  const poll = async () => {
    const response = await oauth.deviceCodeGrantRequest(server, client, proof, asks.device_code, insecure);
    return await oauth.processDeviceCodeResponse(server, client, response, { requireIdToken: true });
  };
  await assert.rejects(poll(), { error: "authorization_pending" });
  await assert.rejects(poll(), { error: "slow_down" });
  await browser().visit(asks.verification_uri_complete);
  await new Promise((done) => setTimeout(done, 10_500));
  assert.ok((await poll()).refresh_token);
});

test("client_credentials with a secret", async () => {
  const backup = await made({ name: "Backup", application_type: "SERVICE", allowed_scopes: ["sessions:read"] });
  const response = await oauth.clientCredentialsGrantRequest(server, backup.client, backup.proof, {}, insecure);
  const tokens = await oauth.processClientCredentialsResponse(server, backup.client, response);
  assert.equal(tokens.refresh_token, undefined);
  const request = new Request(issuer, { headers: { authorization: `Bearer ${tokens.access_token}` } });
  const seen = await oauth.validateJwtAccessToken(server, request, issuer, insecure);
  assert.deepEqual([seen.sub, seen.scope], [backup.client.client_id, "sessions:read"]);
});
