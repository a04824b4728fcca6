"""What each client needs of Gatehouse beside its own library: to be registered, and a person with a browser."""

import contextlib
import http.cookiejar
import json
import os
import pathlib
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from html.parser import HTMLParser

URL = os.environ["GATEHOUSE_URL"]
SLUG = os.environ["GATEHOUSE_TENANT_SLUG"]
ISSUER = f"{URL}/api/v1/auth/tenants/{SLUG}"
PASSWORD = os.environ["GATEHOUSE_PASSWORD"]


class _Stay(urllib.request.HTTPRedirectHandler):
    """Redirects are looked at here, not followed."""

    def redirect_request(self, *_):
        return None


def _open(opener, request):
    try:
        return opener.open(request, timeout=20)
    except urllib.error.HTTPError as answer:
        return answer


def api(method: str, path: str, body: dict | None = None, token: str | None = None):
    """The API; whatever is not a success is a failure of the check. Who has no token yet sends a form."""
    if token:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        sent = None if body is None else json.dumps(body).encode()
    else:
        headers, sent = {}, urllib.parse.urlencode(body).encode()
    request = urllib.request.Request(f"{URL}/api/v1{path}", sent, headers, method=method)
    answer = _open(urllib.request.build_opener(_Stay), request)
    text = answer.read().decode()
    assert answer.status < 300, f"{method} {path}: {answer.status} {text}"
    return json.loads(text) if text else None


def token(username: str, slug: str = SLUG) -> str:
    """An access token of the API."""
    return api("POST", f"/auth/tenants/{slug}/login", {"username": username, "password": PASSWORD})["access_token"]


def register(application: dict, tenant: str = os.environ["GATEHOUSE_TENANT_ID"]) -> dict:
    """An application of the tenant, with its secret, as the administrator of the tenant registers it."""
    administrator = token(os.environ["GATEHOUSE_TENANT_ADMIN"])
    made = api("POST", f"/tenants/{tenant}/applications", application, administrator)
    return made.get("data", made)


@dataclass
class Form:
    """A form of a page: what would be sent, and the button that goes on."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    button: dict[str, str] | None = None


class _Page(HTMLParser):
    def __init__(self, text: str):
        super().__init__()
        self.title, self.forms, self._inside = "", [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        of = {name: value or "" for name, value in attributes}
        if tag == "form":
            self.forms.append(Form(of.get("action", "")))
        elif tag == "input" and "name" in of:
            self.forms[-1].fields[of["name"]] = of.get("value", "")
        elif tag == "button" and "primary" in of.get("class", ""):
            self.forms[-1].button = {of["name"]: of.get("value", "")} if "name" in of else {}
        self._inside = tag

    def handle_data(self, text):
        if self._inside == "title":
            self.title += text

    def handle_endtag(self, _):
        self._inside = None


class Browser:
    """A person with a browser, without JavaScript: follows redirects, fills in what is asked, goes on."""

    def __init__(self, jar: pathlib.Path | None = None, username: str = os.environ["GATEHOUSE_USERNAME"]):
        self.cookies = http.cookiejar.LWPCookieJar(jar)
        if jar and jar.exists():
            self.cookies.load(ignore_discard=True)
        self.opener = urllib.request.build_opener(_Stay, urllib.request.HTTPCookieProcessor(self.cookies))
        self.opener.addheaders = [("Accept", "text/html"), ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)")]
        self.typed = {"username": username, "password": PASSWORD}
        # Titles of the pages that were seen, and the last answer.
        self.seen: list[str] = []
        self.answer, self.text = None, ""

    def visit(self, url: str, until: str = "") -> str:
        """Goes on from an address until the browser leaves Gatehouse, which gives the address that it is sent to (for
        `form_post` with the fields as a query), or until nothing can be pressed, which gives the title of the page.
        Pages of an application that begins with `until` are followed, too."""
        body = None
        for _ in range(20):
            request = urllib.request.Request(url, body, {"Origin": URL} if body else {})
            answer = _open(self.opener, request)
            if answer.status in (302, 303):
                url, body = urllib.parse.urljoin(url, answer.headers["Location"]), None
            else:
                self.answer, self.text = answer, answer.read().decode()
                page = _Page(self.text)
                self.seen.append(page.title)
                form = next((form for form in page.forms if form.button is not None), None)
                if form is None:
                    assert answer.status == 200, f"{url}: {answer.status} {page.title}"
                    return page.title
                url = urllib.parse.urljoin(url, form.action)
                fields = form.fields | {name: self.typed[name] for name in form.fields if name in self.typed}
                body = urllib.parse.urlencode(fields | form.button).encode()
            if not url.startswith((f"{URL}/", until or f"{URL}/")):
                with contextlib.suppress(ValueError):
                    self.cookies.save(ignore_discard=True)
                return url if body is None else f"{url}?{body.decode()}"
        raise AssertionError(f"no end of pages: {self.seen}")
