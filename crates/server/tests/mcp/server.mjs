// A toy MCP server that anybody's programs may call: it names the issuer that its tokens come from, and takes those for
// itself alone.

import express from "express";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { z } from "zod";
import { InvalidTokenError } from "@modelcontextprotocol/sdk/server/auth/errors.js";
import { requireBearerAuth } from "@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";

/** Serves tools at `{address}/{name}` for each name, each of them a resource of its own. */
export async function serve(names, issuer) {
  const app = express();
  const listening = await new Promise((resolve) => {
    const server = app.listen(0, "127.0.0.1", () => resolve(server));
  });
  const origin = `http://127.0.0.1:${listening.address().port}`;
  const keys = createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks.json`));
  for (const name of names) {
    const resource = `${origin}/${name}`;
    const metadata = `/.well-known/oauth-protected-resource/${name}`;
    app.get(metadata, (_, answer) => answer.json({ resource, authorization_servers: [issuer], scopes_supported: ["notes:read"] }));
    const verifyAccessToken = async (token) => {
      try {
        const { payload } = await jwtVerify(token, keys, { issuer, audience: resource, typ: "at+jwt" });
        return { token, clientId: payload.client_id, scopes: payload.scope.split(" "), expiresAt: payload.exp, extra: { sub: payload.sub } };
      } catch (error) {
        throw new InvalidTokenError(error.message);
      }
    };
    const resourceMetadataUrl = `${origin}${metadata}`;
    const bearer = requireBearerAuth({ verifier: { verifyAccessToken }, requiredScopes: ["notes:read"], resourceMetadataUrl });
    app.post(`/${name}`, express.json(), bearer, async (request, answer) => {
      const server = new McpServer({ name, version: "1.0.0" });
      const whoami = async (_, { authInfo }) => ({ content: [{ type: "text", text: `${authInfo.extra.sub} ${authInfo.clientId}` }] });
      server.registerTool("whoami", { description: "Says who calls", inputSchema: { greeting: z.string() } }, whoami);
      const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
      answer.on("close", () => transport.close());
      await server.connect(transport);
      await transport.handleRequest(request, answer, request.body);
    });
    app.all(`/${name}`, (_, answer) => answer.status(405).end());
  }
  return { resources: names.map((name) => `${origin}/${name}`), stop: () => listening.close() };
}
