"""A local Kaggle for tests: data sets in memory, behind both generations of Kaggle's interface.

    with Kaggle() as kaggle:
        version = kaggle.publish("owner/slug", {"train.csv": b"...", "images/1.jpg": b"..."})
        ...  # A client with kaggle.endpoint; GET /api/v1/datasets/... or POST /v1/datasets.DatasetApiService/...

Downloads are redirected to a signed link on the storage host, which must not get credentials. Access: Basic with
`username` and `key`, or Bearer with `token`; public data sets need none, wrong ones are refused with 401.
The module has the name of an official package: clients run in processes that do not import from this folder.
"""

import base64
import hashlib
import io
import re
import secrets
import urllib.parse
import zipfile
import zlib
from dataclasses import dataclass, field

from faults import Answer, json_answer
from faulty_http import Refusal, Server, content_answer

OLD = r"/api/v1/datasets/(?P<call>view|list|list-tree|metadata|download)/(?P<name>[^/]+/[^/]+)(?:/(?P<file>.+))?"
NEW = r"(?:/api)?/v1/datasets\.DatasetApiService/(?P<call>\w+)"
TOKENS = r"(?:/api)?/v1/security\.OAuthService/IntrospectToken"
STORAGE = r"/storage/(?P<name>[^/]+/[^/]+)/(?P<version>[0-9]+)/(?P<what>archive\.zip|file/(?P<file>.+))"
UNZIPPED_BYTES_MAX = 64 << 20
CALLS = {
    "GetDataset": "view",
    "ListDatasetFiles": "list",
    "ListTreeDatasetFiles": "list-tree",
    "GetDatasetMetadata": "metadata",
    "DownloadDataset": "download",
}


@dataclass
class Version:
    number: int
    files: dict = field(repr=False)
    archive: bytes = field(repr=False)

    @property
    def date(self):
        return f"2026-01-01T00:00:{self.number % 60:02}.000Z"

    @property
    def last_modified(self):
        return f"Thu, 01 Jan 2026 00:00:{self.number % 60:02} GMT"


@dataclass
class DataSet:
    name: str
    private: bool
    versions: list = field(default_factory=list)


def refusal(status, message):
    return Refusal(json_answer({"code": status, "message": message}, status))


def zip_of(files):
    """A zip with these files; equal files give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(path), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def unzipped(archive):
    """The files in an archive; none if it is no sound zip, or a large one."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            entries = [it for it in opened.infolist() if not it.is_dir()]
            if sum(it.file_size for it in entries) > UNZIPPED_BYTES_MAX:
                return {}
            return {it.filename: opened.read(it) for it in entries}
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, ValueError, OSError, EOFError):
        return {}


class Kaggle(Server):
    def __init__(self):
        self.username = "owner"
        self.key = secrets.token_hex(16)
        self.token = "KGAT_" + secrets.token_hex(16)
        self.data_sets = {}
        # Single files above this size are served as <name>.zip; None: never.
        self.zip_above = None
        # The greatest page of a list.
        self.page_size = 200
        super().__init__()

    # === the test's side ===

    def publish(self, name, files, private=False):
        """Adds a version; returns its number. The first one creates the data set."""
        return self.publish_archive(name, zip_of(files), private, files)

    def publish_archive(self, name, archive, private=False, files=None):
        """Adds a version whose archive is these bytes; the listed files are by default those in it."""
        with self.lock:
            data_set = self.data_sets.setdefault(name, DataSet(name, private))
            number = len(data_set.versions) + 1
            data_set.versions.append(Version(number, dict(unzipped(archive) if files is None else files), archive))
            return number

    # === dispatch ===

    def answer(self, request):
        if found := re.fullmatch(STORAGE, request.path):
            if request.method not in ("GET", "HEAD"):
                raise refusal(405, "only GET")
            return self.stored(request, **found.groupdict())
        if re.fullmatch(TOKENS, request.path):
            known = request.json().get("token") == self.token
            return json_answer({"active": known} | ({"username": self.username} if known else {}))
        if (found := re.fullmatch(NEW, request.path)) and request.method == "POST" and found["call"] in CALLS:
            asked = request.json()
            name = f"{asked.get('ownerSlug')}/{asked.get('datasetSlug')}"
            call, file = CALLS[found["call"]], asked.get("fileName")
        elif (found := re.fullmatch(OLD, request.path)) and request.method in ("GET", "HEAD"):
            asked = {key: values[0] for key, values in request.query.items()}
            name = found["name"]
            call, file = found["call"], found["file"] and urllib.parse.unquote(found["file"])
        else:
            raise refusal(404, f"no route: {request.method} {request.path}")
        data_set = self.data_set(request, name)
        version = self.version(data_set, asked.get("datasetVersionNumber"))
        match call:
            case "view":
                return json_answer(view(self, request, data_set))
            case "metadata":
                return json_answer({"info": metadata(data_set)})
            case "list":
                files = [shown(version, path) for path in sorted(version.files)]
                page, more = self.page(asked, files)
                return json_answer({"datasetFiles": page} | more)
            case "list-tree":
                return json_answer(self.folder(version, asked))
        return self.download(request, data_set, version, file)

    def data_set(self, request, name):
        """The data set, if the request may read it."""
        authorization = request.headers.get("authorization")
        basic = base64.b64encode(f"{self.username}:{self.key}".encode()).decode()
        if authorization not in (None, f"Basic {basic}", f"Bearer {self.token}"):
            raise refusal(401, "Unauthenticated")
        data_set = self.data_sets.get(name)
        if data_set is None:
            raise refusal(404, "Not found")
        if data_set.private and authorization is None:
            raise refusal(403, "Permission 'datasets.get' was denied")
        return data_set

    def version(self, data_set, number):
        number = int(number or len(data_set.versions))
        if not 1 <= number <= len(data_set.versions):
            raise refusal(404, f"Version {number} not found")
        return data_set.versions[number - 1]

    def page(self, asked, items):
        """One page of a list, and the token of the next one."""
        size = min(int(asked.get("pageSize") or self.page_size), self.page_size)
        start = int((asked.get("pageToken") or "page-0").removeprefix("page-"))
        more = {"nextPageToken": f"page-{start + size}"} if start + size < len(items) else {}
        return items[start : start + size], more

    # === downloads ===

    def download(self, request, data_set, version, file):
        place = f"/storage/{data_set.name}/{version.number}/archive.zip"
        if file is not None:
            if file not in version.files:
                raise refusal(404, f"File not found: {file}")
            end = ".zip" if self.zips(file, version.files[file]) else ""
            place = f"/storage/{data_set.name}/{version.number}/file/{urllib.parse.quote(file)}{end}"
        return Answer(302, b"", {"Location": self.signed(request, place)})

    def stored(self, request, name, version, what, file):
        self.check_signed(request)
        its = self.data_sets[name].versions[int(version) - 1]
        content = its.archive
        if file is not None:
            file = urllib.parse.unquote(file)
            content = its.files.get(file)
            if content is None:
                file = file.removesuffix(".zip")
                content = zip_of({file.rpartition("/")[2]: its.files[file]})
        md5 = hashlib.md5(content).digest()
        headers = {
            "Content-Type": "application/zip" if what.endswith(".zip") else "application/octet-stream",
            "ETag": f'"{md5.hex()}"',
            "Last-Modified": its.last_modified,
            "x-goog-hash": f"md5={base64.b64encode(md5).decode()}",
        }
        return content_answer(request, content, headers)

    def zips(self, file, content):
        return self.zip_above is not None and len(content) > self.zip_above and not file.endswith(".zip")

    def folder(self, version, asked):
        """The files and folders directly in one folder."""
        start = asked.get("path", "").strip("/")
        start += "/" * bool(start)
        below = [path for path in sorted(version.files) if path.startswith(start)]
        folders = sorted({path.removeprefix(start).split("/")[0] for path in below if "/" in path.removeprefix(start)})
        files = [path for path in below if "/" not in path.removeprefix(start)]
        items = [("directories", {"name": it, "relativeUrl": start + it}) for it in folders]
        for path in files:
            place = {"relativeUrl": path, "name": path.removeprefix(start)}
            items.append(("files", shown(version, path) | place))
        page, more = self.page(asked, items)
        groups = {group: [it for its, it in page if its == group] for group in ["directories", "files"]}
        return groups | {"totalFiles": len(files), "totalDirectories": len(folders)} | more


# === what the calls show ===


def shown(version, path):
    return {"name": path, "creationDate": version.date, "totalBytes": len(version.files[path])}


def metadata(data_set):
    owner, slug = data_set.name.split("/")
    shown = {"datasetSlug": slug, "ownerUser": owner, "title": slug, "isPrivate": data_set.private}
    return shown | {"licenses": [{"name": "CC0-1.0"}]}


def view(kaggle, request, data_set):
    owner, slug = data_set.name.split("/")
    newest = data_set.versions[-1]
    versions = [{"versionNumber": it.number, "creationDate": it.date, "status": "Ready"} for it in data_set.versions]
    return {
        "id": 1,
        "ref": data_set.name,
        "title": slug,
        "creatorName": owner,
        "ownerName": owner,
        "ownerRef": owner,
        "totalBytes": len(newest.archive),
        "url": f"{kaggle.base(request)}/datasets/{data_set.name}",
        "lastUpdated": newest.date,
        "isPrivate": data_set.private,
        "licenseName": "CC0-1.0",
        "currentVersionNumber": newest.number,
        "versions": versions,
        "files": [],
    }
