// openid-client with tokens that are bound to a key (RFC 9449), and as FAPI 2.0 wants it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeJwt, exportJWK, generateKeyPair } from "jose";
import * as client from "openid-client";
import { base, browser, issuer, register } from "./lib/gatehouse.mjs";

const insecure = { execute: [client.allowInsecureRequests] };
const me = new URL(`${base}/api/v1/me`);

// Signs in through the pages, calls userinfo and the API, and refreshes, all of it with one key.
async function whole(config, redirect, { pushed, rotates }) {
  const pair = await client.randomDPoPKeyPair("ES256");
  const DPoP = client.getDPoPHandle(config, pair);
  const verifier = client.randomPKCECodeVerifier();
  const [state, nonce] = [client.randomState(), client.randomNonce()];
  const asked = {
    redirect_uri: redirect,
    scope: "openid profile account:read",
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    dpop_jkt: await DPoP.calculateThumbprint(),
    state,
    nonce,
  };
  const to = pushed ? await client.buildAuthorizationUrlWithPAR(config, asked, { DPoP }) : client.buildAuthorizationUrl(config, asked);
  const back = new URL(await browser().visit(to));
  const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true };
  const tokens = await client.authorizationCodeGrant(config, back, checks, undefined, { DPoP });
  assert.equal(tokens.token_type, "dpop");
  assert.deepEqual(decodeJwt(tokens.access_token).cnf, { jkt: asked.dpop_jkt });
  const who = tokens.claims();
  const ask = (token, with_) => client.fetchProtectedResource(config, token, me, "GET", undefined, undefined, with_);
  assert.equal((await (await ask(tokens.access_token, { DPoP })).json()).data.id, who.sub);

  const next = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP });
  assert.equal(next.token_type, "dpop");
  assert.equal(next.refresh_token !== undefined, rotates);
  assert.equal((await ask(next.access_token, { DPoP })).status, 200);

  // Without the key it opens nothing.
  const thief = { DPoP: client.getDPoPHandle(config, await client.randomDPoPKeyPair("ES256")) };
  for (const other of [undefined, thief]) {
    await assert.rejects(ask(next.access_token, other), (error) => {
      assert.equal(error.status, 401);
      assert.equal(error.cause[0].scheme, "dpop");
      assert.equal(error.cause[0].parameters.error, "invalid_dpop_proof");
      return true;
    });
  }
  return { tokens: next, DPoP, refreshToken: next.refresh_token ?? tokens.refresh_token };
}

test("a WEB application whose tokens are bound to a key, at userinfo and at the API", async () => {
  const redirect = "http://127.0.0.1:3000/callback";
  const shop = await register({
    name: "Shop with DPoP",
    application_type: "WEB",
    redirect_uris: [redirect],
    allowed_scopes: ["openid", "profile", "account:read"],
  });
  const config = await client.discovery(new URL(issuer), shop.client_id, shop.client_secret, undefined, insecure);
  const { tokens, DPoP } = await whole(config, redirect, { pushed: false, rotates: true });
  const told = await client.tokenIntrospection(config, tokens.access_token);
  assert.deepEqual([told.token_type, told.cnf], ["DPoP", { jkt: await DPoP.calculateThumbprint() }]);
  await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub, { DPoP });
  await assert.rejects(client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub), { status: 401 });
});

test("a SPA whose refresh token is bound to its key", async () => {
  const redirect = "http://127.0.0.1:3000/spa";
  const spa = await register({
    name: "Pages with DPoP",
    application_type: "SPA",
    redirect_uris: [redirect],
    allowed_scopes: ["openid", "profile", "account:read"],
    dpop_bound_access_tokens: true,
  });
  const config = await client.discovery(new URL(issuer), spa.client_id, undefined, client.None(), insecure);
  const { refreshToken } = await whole(config, redirect, { pushed: false, rotates: true });
  const thief = client.getDPoPHandle(config, await client.randomDPoPKeyPair("ES256"));
  for (const other of [undefined, { DPoP: thief }]) {
    const refused = client.refreshTokenGrant(config, refreshToken, undefined, other);
    await assert.rejects(refused, { status: 400, error: "invalid_dpop_proof" });
  }
});

for (const algorithm of ["ES256", "PS256"]) {
  test(`an application of FAPI 2.0 that signs with ${algorithm}`, async () => {
    const redirect = "https://bank.example/callback";
    const made = await generateKeyPair(algorithm, { extractable: true });
    const bank = await register({
      name: `Bank with ${algorithm}`,
      application_type: "WEB",
      redirect_uris: [redirect],
      allowed_scopes: ["openid", "profile", "account:read"],
      profile: "fapi2",
      token_endpoint_auth_method: "private_key_jwt",
      jwks: { keys: [{ ...(await exportJWK(made.publicKey)), kid: "1", alg: algorithm, use: "sig" }] },
      id_token_signed_response_alg: "ES256",
      require_pushed_authorization_requests: true,
      dpop_bound_access_tokens: true,
    });
    const proof = client.PrivateKeyJwt({ key: made.privateKey, kid: "1" });
    const metadata = { id_token_signed_response_alg: "ES256" };
    const config = await client.discovery(new URL(issuer), bank.client_id, metadata, proof, insecure);
    client.enableNonRepudiationChecks(config);
    const { tokens, DPoP, refreshToken } = await whole(config, redirect, { pushed: true, rotates: false });
    await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub, { DPoP });
    // It stays good.
    await client.refreshTokenGrant(config, refreshToken, undefined, { DPoP });
    await client.tokenRevocation(config, refreshToken);
    await assert.rejects(client.refreshTokenGrant(config, refreshToken, undefined, { DPoP }), { error: "invalid_grant" });
  });
}
