// A provider of OpenID Connect at 127.0.0.1:<port>. Whoever signs in by a name has the address <name>@idp.example,
// verified unless the name begins with "unverified".
import { generateKeyPairSync } from "node:crypto";
import Provider from "oidc-provider";

const port = Number(process.argv[2]);
const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: "mbaas",
      client_secret: "a secret of the tests",
      redirect_uris: ["http://127.0.0.1/auth/v1/callback"],
      grant_types: ["authorization_code", "refresh_token"],
      scope: "openid email profile offline_access",
    },
  ],
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name", "preferred_username"] },
  cookies: { keys: ["of the tests"] },
  jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), use: "sig", alg: "RS256", kid: "first" }] },
  pkce: { required: () => true },
  async findAccount(_, id) {
    const claims = { sub: id, email: `${id}@idp.example`, email_verified: !id.startsWith("unverified"), name: `Name of ${id}` };
    return { accountId: id, claims: async () => claims };
  },
});
// Servers under test listen on ports of their own.
provider.Client.prototype.redirectUriAllowed = (uri) => new URL(uri).pathname === "/auth/v1/callback";
provider.listen(port, "127.0.0.1", () => console.log("ready"));
