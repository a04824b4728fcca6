"""Apache with mod_auth_openidc in front of a page, for as long as this runs."""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
from collections.abc import Iterator

from gatehouse import ISSUER, Browser, register

HERE = pathlib.Path(__file__).resolve().parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def apache(port: int, made: dict) -> Iterator[str]:
    """The site, and the file of its log."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="gatehouse-apache-"))
    folder.chmod(0o755)
    (folder / "pages").mkdir()
    (folder / "pages" / "index.html").write_text("<title>Inside</title>")
    (folder / "pages" / "bye.html").write_text("<title>Bye</title>")
    text = (HERE / "site.conf").read_text()
    words = {"FOLDER": str(folder), "PORT": str(port), "ISSUER": ISSUER}
    words |= {"CLIENT_ID": made["client_id"], "CLIENT_SECRET": made["client_secret"]}
    for word, value in words.items():
        text = text.replace(f" {word}", f" {value}").replace(f":{word}", f":{value}")
    if os.geteuid() != 0:
        # Whoever is not root stays who they are.
        text = "\n".join(line for line in text.splitlines() if not line.startswith(("User ", "Group ")))
    (folder / "site.conf").write_text(text)
    command = ["/usr/sbin/apache2", "-f", str(folder / "site.conf"), "-D", "FOREGROUND"]
    server = subprocess.Popen(command, start_new_session=True)
    try:
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert server.poll() is None, "Apache did not start"
            time.sleep(0.1)
        yield f"http://localhost:{port}"
    except BaseException:
        print((folder / "error.log").read_text())
        raise
    finally:
        server.terminate()
        server.wait(20)
        shutil.rmtree(folder)


def is_inside(person: Browser, site: str) -> bool:
    """Whether the site lets the browser in without asking Gatehouse."""
    try:
        return person.opener.open(f"{site}/", timeout=10).status == 200
    except urllib.error.HTTPError as answer:
        assert answer.code == 302, answer
        return False


def within(seconds: float, holds) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds} seconds"
        time.sleep(0.1)


def tokens(person: Browser, site: str) -> dict:
    """What the site has of the person."""
    return json.loads(person.opener.open(f"{site}/callback?info=json", timeout=10).read())


def main() -> None:
    port = free_port()
    site = f"http://localhost:{port}"
    made = register({
        "name": "Apache",
        "application_type": "WEB",
        "redirect_uris": [f"{site}/callback"],
        "post_logout_redirect_uris": [f"{site}/bye.html"],
        "backchannel_logout_uri": f"http://127.0.0.1:{port}/callback?logout=backchannel",
    })
    with apache(port, made) as site:
        person = Browser()
        assert not is_inside(person, site)
        assert person.visit(f"{site}/", until=f"{site}/") == "Inside", person.text
        assert person.answer.headers["X-User"] == person.typed["username"], person.answer.headers
        assert is_inside(person, site)
        print("ok code with PKCE through the pages, userinfo")

        first = tokens(person, site)
        assert first["userinfo"]["preferred_username"] == person.typed["username"], first
        again = urllib.parse.urlencode({"refresh": f"{site}/", "access_token": first["access_token"]})
        assert person.visit(f"{site}/callback?{again}", until=f"{site}/") == "Inside", person.text
        second = tokens(person, site)
        assert second["refresh_token"] != first["refresh_token"] and second["access_token"] != first["access_token"]
        print("ok refresh")

        out = urllib.parse.urlencode({"logout": f"{site}/bye.html"})
        assert person.visit(f"{site}/callback?{out}", until=f"{site}/") == "Bye", person.text
        assert not is_inside(person, site)
        print("ok sign-out at the site, which ends the session at Gatehouse")

        other = Browser()
        for each in (person, other):
            assert each.visit(f"{site}/", until=f"{site}/") == "Inside", each.text
        assert "Sign in" in " ".join(person.seen[-3:]), person.seen
        person.visit(f"{ISSUER}/oauth/logout")
        within(5, lambda: not is_inside(person, site))
        assert is_inside(other, site), "another session ended, too"
        print("ok sign-out at Gatehouse, of which the site is told: back-channel logout of that session alone")


if __name__ == "__main__":
    main()
