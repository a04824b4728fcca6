"""Authlib: a site made with Flask as its manual writes it, and sessions of programs that have no pages."""

import time
import urllib.parse

from authlib.integrations.base_client import OAuthError
from authlib.integrations.flask_client import OAuth
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from flask import Flask, redirect, session, url_for
from gatehouse import ISSUER, URL, Browser, api, register
from joserfc.jwk import ECKey, OKPKey, RSAKey

METADATA = f"{ISSUER}/.well-known/openid-configuration"
SITE = "http://localhost:5000"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


def site(made: dict, **more) -> Flask:
    """A site that signs people in, and out."""
    app = Flask(__name__)
    app.secret_key = "of this check"
    # What a page raises comes out here.
    app.testing = True
    oauth = OAuth(app)
    kwargs = {"scope": "openid profile email", "code_challenge_method": "S256"} | more
    shop = oauth.register(
        "shop",
        client_id=made["client_id"],
        client_secret=made["client_secret"],
        server_metadata_url=METADATA,
        client_kwargs=kwargs,
    )

    @app.get("/login")
    def login():
        return shop.authorize_redirect(url_for("callback", _external=True))

    @app.get("/callback")
    def callback():
        # Verifies state, nonce, signature, `iss`, `aud`, `exp` and `at_hash`.
        token = shop.authorize_access_token()
        session["id_token"] = token["id_token"]
        return {"token": token, "userinfo": shop.userinfo(token=token)}

    @app.get("/logout")
    def logout():
        out = shop.create_logout_url(f"{SITE}/", id_token_hint=session.pop("id_token"))
        session["out"] = out["state"]
        return redirect(out["url"])

    return app


def followed(client, person: Browser, path: str):
    """The site sends the browser to Gatehouse, which sends it back; the site's answer to that."""
    sent = client.get(path, base_url=SITE)
    assert sent.status_code == 302, sent.text
    back = person.visit(sent.headers["Location"])
    assert back.startswith(SITE), back
    return back, client.get(back.removeprefix(SITE), base_url=SITE)


def sign_in_and_out(method: str) -> None:
    """The code with PKCE through the pages, `userinfo`, signing out."""
    made = register({
        "name": "Shop with Flask",
        "application_type": "WEB",
        "redirect_uris": [f"{SITE}/callback"],
        "post_logout_redirect_uris": [f"{SITE}/"],
    })
    client, person = site(made, token_endpoint_auth_method=method).test_client(), Browser()
    _, answer = followed(client, person, "/login")
    assert answer.status_code == 200, answer.text
    token, info = answer.json["token"], answer.json["userinfo"]
    assert info["preferred_username"] == person.typed["username"]
    assert token["userinfo"]["sub"] == info["sub"]

    program = OAuth2Session(made["client_id"], made["client_secret"], token_endpoint_auth_method=method, token=token)
    revoked_and_refreshed(program, token)

    _, answer = followed(client, person, "/login")
    back, _ = followed(client, person, "/logout")
    with client.session_transaction() as kept:
        assert back == f"{SITE}/?state={kept['out']}", back


def revoked_and_refreshed(program: OAuth2Session, token: dict) -> None:
    """A refresh, introspection, revocation."""
    metadata = program.get(METADATA, withhold_token=True).json()
    refreshed = program.refresh_token(metadata["token_endpoint"], refresh_token=token["refresh_token"])
    assert refreshed["refresh_token"] != token["refresh_token"]
    assert program.get(metadata["userinfo_endpoint"]).status_code == 200
    seen = program.introspect_token(metadata["introspection_endpoint"], refreshed["access_token"]).json()
    assert seen["active"] and seen["client_id"] == program.client_id, seen
    gone = program.revoke_token(metadata["revocation_endpoint"], refreshed["refresh_token"], "refresh_token")
    assert gone.status_code == 200, gone.text
    seen = program.introspect_token(metadata["introspection_endpoint"], refreshed["access_token"])
    assert seen.json() == {"active": False}, seen.text
    try:
        program.refresh_token(metadata["token_endpoint"], refresh_token=refreshed["refresh_token"])
    except OAuthError as error:
        assert error.error == "invalid_grant", error
    else:
        raise AssertionError("a revoked token was refreshed")


def refused() -> None:
    """A browser that is sent back with an error, which the library raises."""
    made = register({"name": "Shop", "application_type": "WEB", "redirect_uris": [f"{SITE}/callback"]})
    client = site(made).test_client()
    sent = client.get("/login", base_url=SITE).headers["Location"]
    back = Browser().visit(f"{sent}&prompt=none")
    assert "error=login_required" in back, back
    try:
        client.get(back.removeprefix(SITE), base_url=SITE)
    except OAuthError as error:
        assert error.error == "login_required", error
    else:
        raise AssertionError("the error was taken for an answer")


def device() -> None:
    """A program that shows a code."""
    made = register({"name": "Television", "application_type": "NATIVE", "grant_types": [DEVICE, "refresh_token"]})
    program = OAuth2Session(made["client_id"], token_endpoint_auth_method="none", scope="openid profile")
    metadata = program.get(METADATA, withhold_token=True).json()
    form = {"client_id": made["client_id"], "scope": "openid profile"}
    asks = program.post(metadata["device_authorization_endpoint"], data=form, withhold_token=True).json()
    Browser().visit(asks["verification_uri_complete"])
    token = program.fetch_token(metadata["token_endpoint"], grant_type=DEVICE, device_code=asks["device_code"])
    assert token["refresh_token"]
    assert program.get(metadata["userinfo_endpoint"]).json()["preferred_username"]


def by_itself(made: dict, program: OAuth2Session) -> None:
    """A program with a token of its own."""
    metadata = program.get(METADATA, withhold_token=True).json()
    token = program.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")
    assert token["scope"] == "sessions:read", token
    answer = program.get(f"{URL}/api/v1/tenants/{made['tenant_id']}/sessions")
    assert answer.status_code == 200, answer.text


def with_secret(method: str) -> None:
    made = register({"name": "Backup", "application_type": "SERVICE", "allowed_scopes": ["sessions:read"]})
    by_itself(made, OAuth2Session(made["client_id"], made["client_secret"], token_endpoint_auth_method=method))


def with_key(key, algorithm: str) -> None:
    made = register({
        "name": f"Backup with {algorithm}",
        "application_type": "SERVICE",
        "allowed_scopes": ["sessions:read"],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [key.as_dict(private=False, kid="1", alg=algorithm, use="sig")]},
    })
    program = OAuth2Session(made["client_id"], key, token_endpoint_auth_method="private_key_jwt")
    # By itself the library names the token endpoint as the audience, and an hour as the life.
    claims = {"exp": int(time.time()) + 60}
    program.register_client_auth_method(PrivateKeyJWT(ISSUER, claims=claims, headers={"kid": "1"}, alg=algorithm))
    by_itself(made, program)


CHECKS = {
    "code, userinfo, refresh, introspection, revocation, sign-out": lambda: sign_in_and_out("client_secret_basic"),
    "the same with client_secret_post": lambda: sign_in_and_out("client_secret_post"),
    "an answer that is an error": refused,
    "a device without a browser": device,
    "client_credentials, client_secret_basic": lambda: with_secret("client_secret_basic"),
    "client_credentials, client_secret_post": lambda: with_secret("client_secret_post"),
    "client_credentials with a key, RS256": lambda: with_key(RSAKey.generate_key(2048), "RS256"),
    "client_credentials with a key, PS256": lambda: with_key(RSAKey.generate_key(2048), "PS256"),
    "client_credentials with a key, ES256": lambda: with_key(ECKey.generate_key("P-256"), "ES256"),
    "client_credentials with a key, EdDSA": lambda: with_key(OKPKey.generate_key("Ed25519"), "EdDSA"),
}
for name, check in CHECKS.items():
    check()
    print("ok", name)
