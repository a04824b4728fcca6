import { defineConfig } from "@hey-api/openapi-ts";

// Paths are relative to where `check` runs this: the folder that the client is generated in.
export default defineConfig({
  input: "gatehouse.v1.json",
  // Node finds a module by its whole name.
  output: { path: "client", module: { extension: ".js" } },
  plugins: [
    "@hey-api/typescript",
    "@hey-api/client-fetch",
    {
      name: "@hey-api/sdk",
      // `tenants.sessions.list` becomes `client.tenants.sessions.list()`.
      operations: { strategy: "single", containerName: "Gatehouse", nesting: "operationId" },
    },
  ],
});
