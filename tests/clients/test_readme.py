"""The blocks of clients/python/README.md print what it says."""

import contextlib
import io
import re

import pytest

import harness

BLOCK = re.compile(r"## (\w+)\n(?:(?!\n## ).)*?```python\n(.*?)```\n\n```\n(.*?)```", re.DOTALL)
README = (harness.ROOT / "clients" / "python" / "README.md").read_text()
BLOCKS = {title: (code, printed) for title, code, printed in BLOCK.findall(README)}


def test_every_block_is_found():
    assert len(BLOCKS) == README.count("```python")


@pytest.mark.parametrize("title", BLOCKS)
def test_a_block_prints_what_follows_it(server, title):
    code, printed = BLOCKS[title]
    code = code.replace("127.0.0.1:31337", server.uri.removeprefix("grpc://"))
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(code, title, "exec"), {})
    assert output.getvalue() == printed
