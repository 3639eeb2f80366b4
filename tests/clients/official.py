"""Runs a script with the official clients, in a process of its own with its own home: their caches hide errors."""

import json
import os
import subprocess
import sys

SECONDS = 120


def run(script, folder, **variables):
    """Runs a script to its end; returns the value that it assigned to `result`, which passes through JSON."""
    # The folder of the tests is not importable in it (-P): it has modules with the names of official packages.
    ran = subprocess.run(
        [sys.executable, "-P", "-c", f"{script}\nimport json\nprint(json.dumps(result))"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "NO_PROXY": "*"} | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


def hugging_face(hub, folder, token=None, xet=False):
    """The settings for huggingface_hub and datasets. The token is the owner's by default; "" is none.

    With `xet`, they upload by Xet, and read what is offered by it so.
    """
    settings = {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(folder / "hf"),
        "HF_HUB_DISABLE_XET": "0" if xet else "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    token = hub.token if token is None else token
    return settings | ({"HF_TOKEN": token} if token else {})
