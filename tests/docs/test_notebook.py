"""The tutorial runs from its first cell to its last, and is stored as it was written: without outputs."""

import os
from typing import Any

import nbformat
import pytest
from documents import ROOT

NOTEBOOK = ROOT / "examples" / "tutorial.ipynb"


def test_the_tutorial_is_stored_without_outputs() -> None:
    cells = [cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.id for cell in cells if cell.outputs or cell.execution_count is not None] == []


def test_the_tutorial_runs(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient", reason="needs the extra test")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = {cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}
    assert "text/html" in outputs["score"][0].data  # a report shows itself as a table
    assert "sharp is closer than soft" in outputs["verdict"][0].text
    assert "image/png" in outputs["verdict"][-1].data
    assert "10 %" in outputs["plan"][0].text
    assert "image/png" in outputs["explain"][-1].data
