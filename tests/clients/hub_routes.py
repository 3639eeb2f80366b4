"""What both halves of the test Hub share: the table of routes, the rules of access, and the forms of errors."""

import re
import urllib.parse

import faults
import faulty_http
from hub_store import Unknown

ROUTES = []
REV = r"(?P<revision>[^/]+)"
API = r"/api/(?P<kind>models|datasets|spaces)/(?P<name>[^/]+/[^/]+)"
PREFIXED = r"/(?:(?P<kind>datasets|spaces)/)?(?P<name>[^/]+/[^/]+?)"


def route(method, pattern):
    """Registers a function for the requests whose path matches; its arguments are the decoded groups."""

    def register(function):
        ROUTES.append((method, re.compile(pattern), function))
        return function

    return register


def refusal(status, message, code=None, headers=None, **more):
    headers = dict(headers or {}) | {"X-Error-Message": message.encode("ascii", "replace").decode()}
    if code:
        headers["X-Error-Code"] = code
    return faulty_http.Refusal(faults.json_answer({"error": message} | more, status, headers))


class Routed(faulty_http.Server):
    """Dispatches by the table of routes."""

    def answer(self, request):
        method = "GET" if request.method == "HEAD" else request.method
        for its_method, pattern, function in ROUTES:
            found = pattern.fullmatch(request.path) if its_method == method else None
            if found:
                break
        else:
            raise refusal(404, f"no route: {request.method} {request.path}")
        arguments = {name: urllib.parse.unquote(value) for name, value in found.groupdict().items() if value}
        if "name" in arguments:
            arguments.setdefault("kind", "models")
        try:
            return function(self, request, **arguments)
        except Unknown as unknown:
            headers = {"X-Repo-Commit": unknown.commit} if unknown.commit else {}
            raise refusal(404, str(unknown), unknown.code, headers) from None

    # === access ===

    def user(self, request):
        """The user whose token the request carries; None without a token."""
        authorization = request.headers.get("authorization")
        if authorization is None:
            return None
        users = {f"Bearer {self.token}": "owner", f"Bearer {self.stranger_token}": "stranger"}
        if authorization not in users:
            raise refusal(401, "Invalid credentials in Authorization header")
        return users[authorization]

    def repo(self, request, kind, name, write=False, content=False):
        """The repository, if the request may read it, write to it, or read the content of its files."""
        user = self.user(request)
        repo = self.repos.get((kind, name))
        if repo is None and request.method in ("GET", "HEAD"):
            self._redirect_to_right_case(request, kind, name)
        if repo is None or (repo.private and user != "owner"):
            raise refusal(401 if user is None else 404, "Repository not found", "RepoNotFound")
        if write and user != "owner":
            raise refusal(401 if user is None else 403, "You have no write access to this repository")
        if content and repo.gated and user != "owner":
            message = f"Access to {kind[:-1]} {name} is restricted"
            raise refusal(401 if user is None else 403, message, "GatedRepo")
        return repo

    def _redirect_to_right_case(self, request, kind, name):
        for its_kind, right in self.repos:
            if its_kind == kind and right.lower() == name.lower():
                target = request.target.replace(name, right, 1)
                raise faulty_http.Refusal(faults.Answer(307, b"", {"Location": target}))
