// The npm package oidc-provider as the benchmark asks it: one application with a secret, JWT access tokens signed with
// ES256, refresh tokens that rotate, no pages and no trail. What it keeps is in memory and lost with the process, so it
// is spared what a database costs. Its argument is the port. The package is looked for where NODE_PATH says.
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

// What it says of its defaults nobody reads here.
console.info = () => {};
console.warn = () => {};
const { Provider } = await import(pathToFileURL(createRequire(import.meta.url).resolve('oidc-provider')));
const [port] = process.argv.slice(2);
const models = new Map();

class Adapter {
  constructor(kind) { this.kind = kind; }
  key(id) { return `${this.kind}:${id}`; }
  async upsert(id, payload) { models.set(this.key(id), payload); }
  async find(id) { return models.get(this.key(id)); }
  async findByUid() { return undefined; }
  async findByUserCode() { return undefined; }
  async consume(id) { models.get(this.key(id)).consumed = Math.floor(Date.now() / 1000); }
  async destroy(id) { models.delete(this.key(id)); }
  async revokeByGrantId() {}
}

const jwk = (type, options, more) => ({ ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }), use: 'sig', ...more });
const resource = 'https://api.example';
const provider = new Provider(`http://127.0.0.1:${port}`, {
  adapter: Adapter,
  clients: [{
    client_id: 'wiki', client_secret: 'a-secret-of-the-benchmark', redirect_uris: ['https://wiki.example/callback'],
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'], id_token_signed_response_alg: 'ES256',
    token_endpoint_auth_method: 'client_secret_post',
  }],
  jwks: { keys: [jwk('ec', { namedCurve: 'P-256' }, { alg: 'ES256', kid: 'ec' })] },
  cookies: { keys: [randomBytes(32).toString('hex')] },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, name: 'Owner', email: 'owner@example.com', email_verified: true }) }),
  claims: { profile: ['name'], email: ['email', 'email_verified'] },
  conformIdTokenClaims: false,
  issueRefreshToken: () => true,
  rotateRefreshToken: () => true,
  features: {
    devInteractions: { enabled: false }, clientCredentials: { enabled: true }, introspection: { enabled: true },
    pushedAuthorizationRequests: { enabled: true },
    resourceIndicators: {
      enabled: true, defaultResource: () => undefined, useGrantedResource: () => true,
      getResourceServerInfo: () => ({ scope: 'read', audience: resource, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } }),
    },
  },
});

const verifier = 'a-verifier-of-forty-three-characters-or-more-0123456789';
const codeChallenge = createHash('sha256').update(verifier).digest('base64url');
const grant = async (client, scope) => {
  const made = new provider.Grant({ accountId: 'owner', clientId: client.clientId });
  made.addOIDCScope(scope);
  return { accountId: 'owner', client, scope, grantId: await made.save(), gty: 'authorization_code', authTime: Math.floor(Date.now() / 1000), claims: {} };
};
// What the pages would have led to: refresh tokens, codes, and one opaque access token.
provider.use(async (ctx, next) => {
  const wanted = /^\/made\/(refresh|code|access)\/(\d+)$/.exec(ctx.path);
  if (!wanted) return next();
  const client = await provider.Client.find('wiki');
  const made = [];
  for (let n = 0; n < Number(wanted[2]); n += 1) {
    const common = await grant(client, 'openid profile email');
    const of = {
      refresh: () => new provider.RefreshToken({ ...common, rotations: 0, iiat: common.authTime }),
      code: () => new provider.AuthorizationCode({ ...common, redirectUri: 'https://wiki.example/callback', codeChallenge, codeChallengeMethod: 'S256' }),
      access: () => new provider.AccessToken(common),
    };
    made.push(await of[wanted[1]]().save());
  }
  ctx.body = made.join(' ');
});
provider.on('server_error', (_, error) => console.error(error));
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));
