"""The test Kaggle, proven with the official clients kagglehub and kaggle; its old interface, by plain HTTP."""

import base64
import hashlib
import http.client
import io
import json
import random
import urllib.parse
import zipfile

import pytest

import official
from faults import cut, fail, spoil
from kaggle_server import Kaggle

pytestmark = pytest.mark.own_catalog
NAME = "owner/things"
FILES = {"train.csv": b"a,b\n1,2\n", "images/1.jpg": bytes(range(256)) * 40, "images/deep/é 2.jpg": b"2"}
# Both clients take their address from this table only; their environment variable only chooses a fixed one.
START = """
import os
import kagglesdk.kaggle_env
kagglesdk.kaggle_env._env_to_endpoint[kagglesdk.kaggle_env.KaggleEnv.PROD] = os.environ["ENDPOINT"]

def files(folder):
    paths = [os.path.join(root, it) for root, _, names in os.walk(folder) for it in names]
    return {os.path.relpath(path, folder): open(path, "rb").read().hex() for path in paths}
"""


@pytest.fixture
def kaggle():
    with Kaggle() as kaggle:
        yield kaggle
        assert not kaggle.credentials_at_storage


@pytest.fixture
def run(kaggle, tmp_path):
    """run(script, variable="…"): the script's result; the owner's token is set by default."""

    def run(script, **variables):
        variables = {"ENDPOINT": kaggle.endpoint} | (variables or {"KAGGLE_API_TOKEN": kaggle.token})
        return official.run(START + script, tmp_path, **variables)

    return run


def in_hex(files):
    return {path: content.hex() for path, content in files.items()}


def test_kagglehub(kaggle, run):
    kaggle.page_size = 2
    kaggle.zip_above = 5_000
    first = {"train.csv": b"old"}
    assert [kaggle.publish(NAME, first, private=True), kaggle.publish(NAME, FILES)] == [1, 2]
    told = run("""
import kagglehub
newest = kagglehub.dataset_download("owner/things")
old = kagglehub.dataset_download("owner/things/versions/1")
file = kagglehub.dataset_download("owner/things", path="train.csv", force_download=True)
zipped = kagglehub.dataset_download("owner/things", path="images/1.jpg", output_dir="single")
folder = kagglehub.dataset_download("owner/things", path="images", output_dir="folder")
errors = []
for name in ["owner/absent", "owner/things/versions/9"]:
    try:
        kagglehub.dataset_download(name)
    except Exception as error:
        errors.append(f"{type(error).__name__} {error.response.status_code}")
result = dict(
    newest=files(newest), old=files(old), file=open(file).read(), zipped=open(zipped, "rb").read().hex(),
    folder=files("folder"), errors=errors,
)
""")
    assert told["newest"] == in_hex(FILES) and told["old"] == in_hex(first)
    assert told["file"] == FILES["train.csv"].decode() and told["zipped"] == FILES["images/1.jpg"].hex()
    images = {path: content for path, content in FILES.items() if path.startswith("images/")}
    assert {path: it for path, it in told["folder"].items() if ".complete" not in path} == in_hex(images)
    assert told["errors"] == ["KaggleApiHTTPError 404"] * 2


def test_kagglehub_checks_and_continues(kaggle, run):
    # kagglehub keeps whole chunks of 1 MiB of a body that was cut.
    chunk = 1 << 20
    files = {"noise.bin": random.Random(1).randbytes(2 * chunk)}
    kaggle.publish(NAME, files)
    plans = [kaggle.plan(fault, "GET", "/storage/") for fault in [spoil(), cut(chunk + chunk // 2)]]
    told = run("""
import kagglehub
errors = []
for _ in range(2):
    try:
        kagglehub.dataset_download("owner/things")
    except Exception as error:
        errors.append(type(error).__name__)
result = dict(errors=errors, files=files(kagglehub.dataset_download("owner/things")))
""")
    assert told == {"errors": ["DataCorruptionError", "ChunkedEncodingError"], "files": in_hex(files)}
    assert [it.hits for it in plans] == [1, 1]
    # The third attempt asks for all, and leaves that body for the rest.
    assert [it.range for it in kaggle.seen("GET", "/storage/")] == [None, None, None, f"bytes={chunk}-"]


def test_private_data_sets_need_credentials(kaggle, run):
    kaggle.publish(NAME, FILES, private=True)
    told = run(
        """
import kagglehub
result = []
for key in [None, "wrong", os.environ["KEY"]]:
    if key:
        kagglehub.config.set_kaggle_credentials("owner", key)
    try:
        result.append(sorted(files(kagglehub.dataset_download("owner/things"))))
    except Exception as error:
        result.append(error.response.status_code)
""",
        KEY=kaggle.key,
    )
    assert told == [403, 401, sorted(FILES)]


def test_kaggle_command(kaggle, run):
    kaggle.page_size = 2
    kaggle.publish(NAME, FILES)
    told = run("""
from kaggle.api.kaggle_api_extended import KaggleApi
api = KaggleApi()
api.authenticate()
api.dataset_download_cli("owner/things", path="whole", unzip=True, quiet=True)
api.dataset_download_cli("owner/things", file_name="train.csv", path="single", quiet=True)
page = api.dataset_list_files("owner/things")
rest = api.dataset_list_files("owner/things", page_token=page.next_page_token)
listed = [[it.name, it.total_bytes] for it in page.files + rest.files]
result = dict(whole=files("whole"), single=files("single"), listed=listed)
""")
    assert told["whole"] == in_hex(FILES) and told["single"] == in_hex({"train.csv": FILES["train.csv"]})
    assert told["listed"] == [[path, len(FILES[path])] for path in sorted(FILES)]


def ask(url, **headers):
    """A request without following redirects: status, headers, body."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}", headers=headers)
        response = connection.getresponse()
        return response.status, dict(response.headers), response.read()
    finally:
        connection.close()


def test_the_old_interface(kaggle):
    kaggle.page_size = 2
    kaggle.publish(NAME, {"old.csv": b"old"})
    kaggle.publish(NAME, FILES)
    base = f"{kaggle.endpoint}/api/v1/datasets"
    basic = "Basic " + base64.b64encode(f"{kaggle.username}:{kaggle.key}".encode()).decode()
    assert json.loads(ask(f"{base}/view/{NAME}", Authorization=basic)[2])["currentVersionNumber"] == 2
    page = json.loads(ask(f"{base}/list/{NAME}")[2])
    rest = json.loads(ask(f"{base}/list/{NAME}?pageToken={page['nextPageToken']}")[2])
    assert [it["name"] for it in page["datasetFiles"] + rest["datasetFiles"]] == sorted(FILES)
    assert "nextPageToken" not in rest

    status, headers, _ = ask(f"{base}/download/{NAME}", Authorization=f"Bearer {kaggle.token}")
    link = headers["Location"]
    assert status == 302 and urllib.parse.urlsplit(link).hostname == "localhost"
    status, headers, archive = ask(link)
    assert headers["x-goog-hash"] == f"md5={base64.b64encode(hashlib.md5(archive).digest()).decode()}"
    assert sorted(zipfile.ZipFile(io.BytesIO(archive)).namelist()) == sorted(FILES)
    status, headers, part = ask(link, Range="bytes=10-19")
    assert (status, part, headers["Accept-Ranges"]) == (206, archive[10:20], "bytes")
    assert headers["Content-Range"] == f"bytes 10-19/{len(archive)}"

    old = ask(f"{base}/download/{NAME}?datasetVersionNumber=1")[1]["Location"]
    assert zipfile.ZipFile(io.BytesIO(ask(old)[2])).namelist() == ["old.csv"]
    file = ask(f"{base}/download/{NAME}/{urllib.parse.quote('images/deep/é 2.jpg')}")[1]["Location"]
    assert ask(file)[2] == b"2"
    kaggle.expire_links()
    assert ask(link)[0] == 403
    assert ask(f"{base}/view/owner/absent")[0] == 404

    assert kaggle.publish_archive(NAME, b"no zip") == 3
    assert ask(ask(f"{base}/download/{NAME}")[1]["Location"])[2] == b"no zip"
    kaggle.plan(fail(429, retry_after=3), "GET", "/view/")
    assert [ask(f"{base}/view/{NAME}")[0] for _ in range(2)] == [429, 200]
