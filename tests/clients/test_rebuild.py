"""./rebuild.sh: a new lakehouse, on this machine and on PostgreSQL and S3."""

import re
import subprocess

import pytest

import harness


def rebuild(home, *flags, **variables):
    return subprocess.run(
        [harness.ROOT / "rebuild.sh", "--home", home, *flags],
        env=harness.environment(MERGANSER_BIN=harness.program(), **variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture
def elsewhere(buckets, cluster, name):
    """An empty bucket and an empty database; the flags and variables for them."""
    bucket = buckets.make_bucket(f"rebuild-{name}")
    return ["--storage", f"{bucket}/lake", "--catalog", cluster.make_database(f"rebuild_{name}")], buckets.variables


def test_a_lakehouse_is_rebuilt_on_postgresql_and_s3(elsewhere, buckets, cluster, tmp_path):
    flags, variables = elsewhere
    done = rebuild(tmp_path / "home", *flags, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "people after the rollback" in done.stdout and "done in" in done.stdout
    # The busiest fragment, and the size of its file.
    assert re.search(r"\| uav\d+_\d+_v-\w+\.mp4 +\| +\d+ +\| +\d+ +\| +\d+ +\| +\d{3} +\| +\d+ +\| +\d{6}", done.stdout)
    for secret in [cluster.password, variables["AWS_SECRET_ACCESS_KEY"]]:
        assert secret not in done.stdout + done.stderr
    bucket = flags[1].removeprefix("s3://").split("/")[0]
    kinds = {key.split("/")[1] for key in buckets.objects(bucket)}
    assert kinds == {"assets", "lake", "raw"}
    before = buckets.objects(bucket)
    # The second time, it is not empty: its content is neither removed nor mixed.
    again = rebuild(tmp_path / "home", *flags, **variables)
    assert again.returncode == 1 and "the catalog holds a lake" in again.stderr
    other_catalog = rebuild(tmp_path / "home", *flags[:2], **variables)
    assert other_catalog.returncode == 1 and f"is not empty, it has {len(before)} objects" in other_catalog.stderr
    assert buckets.objects(bucket) == before


def test_only_a_lakehouse_is_removed(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home/letters.txt").write_text("dear duck")
    done = rebuild(tmp_path / "home")
    assert done.returncode == 1 and "no lakehouse" in done.stderr
    (tmp_path / "store").mkdir()
    (tmp_path / "store/letters.txt").write_text("dear duck")
    done = rebuild(tmp_path / "new", "--storage", tmp_path / "store")
    assert done.returncode == 1 and "--storage is not empty" in done.stderr
    assert (tmp_path / "home/letters.txt").exists() and (tmp_path / "store/letters.txt").exists()
