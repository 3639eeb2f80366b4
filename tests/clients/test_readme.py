"""The documentation: blocks of clients/python/README.md print the documented output, links have a target, commands
exist."""

import contextlib
import functools
import io
import re
import shlex

import pytest

import harness
import videos

BLOCK = re.compile(r"## (\w+)\n(?:(?!\n## ).)*?```python\n(.*?)```\n\n```\n(.*?)```", re.DOTALL)
README = (harness.ROOT / "clients" / "python" / "README.md").read_text()
BLOCKS = {title: (code, printed) for title, code, printed in BLOCK.findall(README)}

PAGES = [
    *sorted(harness.ROOT.glob("*.md")),
    *sorted(harness.ROOT.glob("clients/*/README.md")),
    *sorted(harness.ROOT.glob("docs/**/*.md")),
]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def name(page):
    return str(page.relative_to(harness.ROOT))


def anchors(page):
    """The anchors of a page's headings, as GitHub generates them."""
    text = FENCE.sub("", page.read_text())
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(text)}


def commands():
    """The command lines in the shell blocks of all pages, with their page."""
    for page in PAGES:
        for language, block in FENCE.findall(page.read_text()):
            lines = block.splitlines() if language == "sh" else []
            for line in lines:
                words = shlex.split(line, comments=True)
                if words[:1] == ["merganser"]:
                    yield name(page), words[1:]


@functools.cache
def usage(command):
    shown = harness.run(command, "--help")
    assert shown.returncode == 0, shown.stderr
    return set(re.findall(r"--[a-z-]+", shown.stdout))


def test_every_block_is_found():
    assert len(BLOCKS) == README.count("```python")


@pytest.fixture(scope="module")
def media(server, sample, tmp_path_factory):
    """Clips, frame folders and images for the blocks that show them."""
    folder = tmp_path_factory.mktemp("videos")
    videos.draw(folder / "pond.mp4")
    server.result("ingest", {"source": folder.as_uri(), "dataset": "clips"})
    frames = tmp_path_factory.mktemp("frames") / "visdrone"
    drawn = harness.run("sample", frames, "--layout", "visdrone", "--sequences", "1", "--frames", "10")
    assert drawn.returncode == 0, drawn.stderr
    server.result("ingest", {"source": frames.as_uri(), "dataset": "visdrone"})
    server.result("ingest", {"source": sample[0].as_uri(), "dataset": "coco"})
    server.result("transform")


@pytest.mark.parametrize("title", BLOCKS)
def test_a_block_prints_what_follows_it(server, media, package, title):
    code, printed = BLOCKS[title]
    code = code.replace("127.0.0.1:31337", server.uri.removeprefix("grpc://"))
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(code, title, "exec"), {})
    assert output.getvalue() == printed


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name(page)}: {link}"
        assert not anchor or anchor in anchors(target), f"{name(page)}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_python_blocks_compile(page):
    for language, block in FENCE.findall(page.read_text()):
        if language == "python":
            compile(block, name(page), "exec")


@pytest.mark.parametrize(("page", "words"), commands())
def test_commands_have_the_flags_that_are_named(page, words):
    flags = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert flags <= usage(words[0]), page
