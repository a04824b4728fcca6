// The MCP client of npm reaches a toy MCP server as a program that nobody registered: it finds our metadata by those of the
// server, names the address of its document as client_id, takes its code at a random port of this machine, calls a tool,
// refreshes, and is refused where its token is for another server.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { administrator, person, start } from "./gatehouse.mjs";
import { serve } from "./server.mjs";

const listen = (server) => new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server.address().port)));
const claims = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString());

/** The document of the program, on a server of its maker. */
async function publish() {
  const document = { client_name: "Toy client", redirect_uris: ["http://localhost/callback"], grant_types: ["authorization_code", "refresh_token"], response_types: ["code"], token_endpoint_auth_method: "none" };
  const certificate = { key: readFileSync("key.pem"), cert: readFileSync("certificate.pem") };
  const fetched = [];
  const server = https.createServer(certificate, (request, answer) => {
    fetched.push(request.url);
    answer.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(document));
  });
  document.client_id = `https://127.0.0.1:${await listen(server)}/oauth/client.json`;
  return { url: document.client_id, document, fetched, stop: () => server.close() };
}

/** What the client remembers, and where its codes arrive. */
class Program {
  static async start(published, gatehouse) {
    const it = new Program();
    it.listener = http.createServer((request, answer) => {
      const { searchParams } = new URL(request.url, it.redirectUrl);
      it.code = searchParams.get("code") ?? it.code;
      it.issuer = searchParams.get("iss") ?? it.issuer;
      answer.end("You can close this window.");
    });
    // "localhost" may be an address of either family.
    const port = await new Promise((resolve) => it.listener.listen(0, "localhost", () => resolve(it.listener.address().port)));
    return Object.assign(it, { redirectUrl: `http://localhost:${port}/callback`, clientMetadataUrl: published.url, clientMetadata: published.document, gatehouse, asked: 0 });
  }
  clientInformation() { return this.information; }
  saveClientInformation(information) { this.information = information; }
  tokens() { return this.saved; }
  saveTokens(tokens) { this.saved = tokens; }
  codeVerifier() { return this.verifier; }
  saveCodeVerifier(verifier) { this.verifier = verifier; }
  async redirectToAuthorization(url) {
    this.asked += 1;
    this.url = url;
    this.page = await person(this.gatehouse, url);
  }
  /** Connects, and signs in first if need be. */
  async connect(resource) {
    const attempt = async () => {
      const client = new Client({ name: "toy", version: "1.0.0" });
      const transport = new StreamableHTTPClientTransport(new URL(resource), { authProvider: this });
      try {
        await client.connect(transport);
        return client;
      } catch (error) {
        if (!(error instanceof UnauthorizedError) || !this.code) throw error;
        await transport.finishAuth(this.code);
        this.code = undefined;
        return undefined;
      }
    };
    return (await attempt()) ?? (await attempt());
  }
}

const whoami = async (client) => (await client.callTool({ name: "whoami", arguments: { greeting: "hello" } })).content[0].text;
const gatehouse = await start();
const issuer = `${gatehouse.url}/api/v1/auth/tenants/${gatehouse.tenant.slug}`;
const published = await publish();
const toys = await serve(["notes", "other"], issuer);
const [notes, other] = toys.resources;
const programs = [];
try {
  const ask = await administrator(gatehouse);
  await ask("PATCH", "/settings", { client_id_metadata_documents: "any" });
  for (const resource of toys.resources) {
    const scopes = [{ name: "notes:read", description: "Read your notes" }];
    await ask("POST", "/applications", { name: resource, application_type: "SERVICE", resource_uris: [resource], resource_scopes: scopes, open_resource: true });
  }

  const program = await Program.start(published, gatehouse);
  programs.push(program);
  const client = await program.connect(notes);
  assert.equal(program.information.client_id, published.url, "the client used its document and did not register");
  assert.equal(program.url.searchParams.get("resource"), notes);
  assert.equal(program.issuer, issuer);
  const { access_token, refresh_token } = program.saved;
  const said = claims(access_token);
  assert.deepEqual([said.iss, said.aud, said.client_id, said.scope], [issuer, notes, published.url, "notes:read"]);
  assert.ok(refresh_token, "it was given a refresh token");
  for (const shown of ["127.0.0.1:", "localhost", "Read your notes", "pretend to be it", "Toy client"]) {
    assert.ok(program.page.includes(shown), `the page that asks shows ${shown}`);
  }
  assert.equal(await whoami(client), `${said.sub} ${published.url}`);

  // A token that the server does not take any more is replaced without asking anybody.
  program.saved = { ...program.saved, access_token: `${access_token}x` };
  assert.equal(await whoami(client), `${said.sub} ${published.url}`);
  assert.notEqual(program.saved.refresh_token, refresh_token, "refresh tokens are good for one use");
  assert.equal(claims(program.saved.access_token).aud, notes);
  assert.equal(program.asked, 1);

  // Each server takes tokens that are for it.
  const elsewhere = await Program.start(published, gatehouse);
  programs.push(elsewhere);
  await whoami(await elsewhere.connect(other));
  assert.equal(claims(elsewhere.saved.access_token).aud, other);
  const refused = async (resource, token) => {
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" });
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json", accept: "application/json, text/event-stream" };
    return (await fetch(resource, { method: "POST", headers, body })).status;
  };
  assert.equal(await refused(notes, elsewhere.saved.access_token), 401);
  assert.equal(await refused(other, program.saved.access_token), 401);
  assert.equal(await refused(other, elsewhere.saved.access_token), 200);

  const applications = await ask("GET", "/applications?per_page=100");
  const mine = applications.data.filter((it) => it.client_id === published.url);
  assert.deepEqual(mine.map((it) => [it.registration, it.application_type, it.name]), [["metadata_document", "NATIVE", "Toy client"]]);
  assert.deepEqual(published.fetched, ["/oauth/client.json"], "the document was fetched once");
  console.log("The MCP client signed in, called a tool, refreshed, and was refused where its token was for another server.");
} finally {
  for (const it of programs) it.listener.close();
  toys.stop();
  published.stop();
  gatehouse.stop();
}
