"""A throw-away instance to check against: `gatehouse demo`, on a free port, for as long as a block runs."""

import contextlib
import os
import pathlib
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = ROOT / "target" / "debug" / "gatehouse"
PASSWORD = "otter-juggles-42-copper-lamps"

# Checks send hundreds of bad passwords and sign in over and over, all from one address.
LIMITS = {
    "GATEHOUSE_LOGIN_FAILURES_PER_ACCOUNT": "99",
    "GATEHOUSE_LOGIN_FAILURES_PER_ADDRESS": "1000000",
    "GATEHOUSE_REGISTRATIONS_PER_ADDRESS": "1000000",
    "GATEHOUSE_MAIL_REQUESTS_PER_ADDRESS": "1000000",
    "GATEHOUSE_MAILS_PER_MAILBOX": "1000",
    "GATEHOUSE_USER_REQUESTS_PER_SECOND": "0",
    "GATEHOUSE_TENANT_REQUESTS_PER_SECOND": "0",
    "GATEHOUSE_REFRESHES_PER_SESSION": "0",
    "GATEHOUSE_SIGN_INS_PER_USER": "0",
    "GATEHOUSE_OAUTH_STARTS_PER_ADDRESS": "1000000",
}


@dataclass(frozen=True)
class Demo:
    """A running instance."""

    base_url: str
    tenant_slug: str
    tenant_id: str
    # What an account may do -> its user name.
    accounts: dict[str, str]

    def environment(self, account: str) -> dict[str, str]:
        """Where it is and how to sign in, for a child process."""
        return os.environ | {
            "GATEHOUSE_URL": self.base_url,
            "GATEHOUSE_TENANT_SLUG": self.tenant_slug,
            "GATEHOUSE_TENANT_ID": self.tenant_id,
            "GATEHOUSE_USERNAME": self.accounts[account],
            "GATEHOUSE_PASSWORD": PASSWORD,
            # What the administrator of the tenant signs in with.
            "GATEHOUSE_TENANT_ADMIN": self.accounts["tenant administrator"],
        }


ACCOUNTS = ["tenant administrator", "partner administrator", "platform administrator", "user"]


def _read_banner(lines: Iterator[str]) -> Demo:
    """Waits for the lines that the demo prints for people: where it listens, then one for each account."""
    base_url, tenant_slug, tenant_id, accounts = "", "", "", {}
    for line in lines:
        if found := re.search(r"(http://\S+?)/api/v1", line):
            base_url = found[1]
        elif found := re.search(r"(.+) (?:at|in) tenant (\S+) +(tnt_\S+)", line):
            account = next(account for account in ACCOUNTS if account in found[1])
            accounts[account] = found[1].replace(account, "").strip()
            tenant_slug, tenant_id = found[2], found[3]
        elif line.startswith("Everything is gone"):
            return Demo(base_url, tenant_slug, tenant_id, accounts)
    raise SystemExit("gatehouse demo did not start; its log is in target/openapi")


@contextlib.contextmanager
def demo(log: pathlib.Path, settings: dict[str, str] | None = None) -> Iterator[Demo]:
    """Starts an instance that writes its log to a file; settings come on top of those above."""
    log.parent.mkdir(parents=True, exist_ok=True)
    # Settings of whoever runs this must not change what is checked.
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("GATEHOUSE_", "DATABASE_URL"))}
    with log.open("w") as errors:
        server = subprocess.Popen(
            [BINARY, "demo", "--admin-password", PASSWORD],
            env=outside | LIMITS | {"GATEHOUSE_BIND": "127.0.0.1:0"} | (settings or {}) | {"GATEHOUSE_LOG_LEVEL": "warn", "GATEHOUSE_LOG_FORMAT": "json"},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            running = _read_banner(iter(server.stdout))
            # Nobody reads on: a full pipe would stop the server.
            threading.Thread(target=server.stdout.read, daemon=True).start()
            yield running
            if server.poll() is not None:
                raise SystemExit(f"the server ended by itself with {server.returncode}, see {log}")
        finally:
            server.terminate()
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()
                raise SystemExit("the server did not end on SIGTERM within 30 seconds") from None
