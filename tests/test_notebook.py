"""The example notebook runs from top to bottom."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest

from tests.waiting import seconds

NOTEBOOK = Path(__file__).resolve().parents[1] / "examples" / "dashboard.ipynb"


@pytest.mark.filterwarnings("default")  # of the kernel's machinery, not ours
def test_example_notebook_runs(monkeypatch):
    nbclient = pytest.importorskip("nbclient")
    root = str(NOTEBOOK.parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells if cell.cell_type == "code"), (
        "clear the outputs"
    )
    done = nbclient.NotebookClient(notebook, timeout=int(seconds(180)), kernel_name="python3").execute()
    shown = [output for cell in done.cells for output in cell.get("outputs", [])]
    assert not [output for output in shown if output["output_type"] == "error"]
    bundles = [key for output in shown for key in output.get("data", {})]
    assert "application/vnd.holoviews_exec.v0+json" in bundles, "the dashboard shows itself in a cell"
