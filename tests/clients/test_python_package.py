"""The package merganser of clients/python: what the wheel holds, and its types and style."""

import importlib.metadata
import os
import re
import subprocess
import sys

import pytest

import harness

pytestmark = pytest.mark.own_catalog

SOURCE = harness.ROOT / "clients" / "python"


def test_the_wheel_is_typed_and_has_the_version_of_the_server(package_folder):
    [installed] = importlib.metadata.distributions(path=[str(package_folder)])
    cargo = (harness.ROOT / "Cargo.toml").read_text()
    assert installed.version == re.search(r'^version = "(.+)"$', cargo, re.MULTILINE).group(1)
    assert (package_folder / "merganser" / "py.typed").exists()


def test_the_package_is_imported_without_the_packages_of_its_extras(package_folder):
    """PyAV is needed when frames are decoded, and then named."""
    code = """if True:
        import sys
        sys.modules |= {"av": None, "PIL": None, "numpy": None}
        import merganser
        try:
            merganser.Fragment(*[None] * 13).frames()
        except ModuleNotFoundError as err:
            print(err)
    """
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=harness.environment(PYTHONPATH=str(package_folder)),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "pip install 'merganser[video]'" in ran.stdout, ran.stderr


def test_types_and_style_are_clean(tmp_path):
    """With mypy's cache beside the other caches of tests/run.sh: the types of numpy alone take ten seconds."""
    cache = os.path.join(os.environ.get("MERGANSER_CACHE", tmp_path), "mypy")
    for command in (
        ["mypy", "--cache-dir", cache],
        ["ruff", "check", "--no-cache"],
        ["ruff", "format", "--check", "--no-cache"],
    ):
        ran = subprocess.run([sys.executable, "-m", *command], cwd=SOURCE, capture_output=True, text=True, timeout=120)
        assert ran.returncode == 0, ran.stdout + ran.stderr
