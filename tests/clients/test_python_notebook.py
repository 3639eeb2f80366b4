"""The notebook of clients/python shows the busiest fragments of clips as pictures."""

import base64
import io
import re

import nbclient
import nbformat
import PIL.Image
import pytest

import harness
import videos

pytestmark = pytest.mark.own_catalog

NOTEBOOK = harness.ROOT / "clients" / "python" / "notebooks" / "fragments.ipynb"


def pictures(notebook):
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]
    return [PIL.Image.open(io.BytesIO(base64.b64decode(output.data["image/jpeg"]))) for output in outputs]


def printed(notebook):
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")


def test_the_notebook_shows_the_busiest_fragments(server, package_folder, tmp_path):
    (tmp_path / "videos").mkdir()
    videos.draw(tmp_path / "videos" / "late.mp4", busy=range(50, 75))
    videos.draw(tmp_path / "videos" / "early.mp4", busy=range(25))
    variables = {"MERGANSER_URL": server.uri, "MERGANSER_VIDEOS": "videos", "PYTHONPATH": str(package_folder)}
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(notebook, timeout=60).execute(cwd=str(tmp_path), env=harness.environment(**variables))

    *busiest, other = re.findall(r"^(\w+)-\w+.mp4, (.+ s): (\d+)\.\d% ", printed(notebook), re.MULTILINE)
    assert {it[:2] for it in busiest} == {("late", "2.0 s to 3.0 s"), ("early", "0.0 s to 1.0 s")}
    assert min(int(share) for *_, share in busiest) > 20 > int(other[2])
    sheets = pictures(notebook)
    assert [sheet.size for sheet in sheets] == [(4 * 160 + 3 * 4, 2 * 120 + 4)] * 3
    # Noise has many colours.
    n_colours = [len(sheet.getcolors(1 << 20)) for sheet in sheets]
    assert min(n_colours[:2]) > 2 * n_colours[2]


def test_the_notebook_is_kept_with_what_it_showed():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert len(pictures(notebook)) == 3 and "of the picture changes" in printed(notebook)
    assert "file://" not in NOTEBOOK.read_text() and NOTEBOOK.stat().st_size < 200_000
