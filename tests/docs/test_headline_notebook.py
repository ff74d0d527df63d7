"""Check that the notebook reproduces its outputs, and the README agrees with them."""

from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs" / "headline.ipynb"


def texts(notebook: Any) -> list[list[str]]:
    """The printed lines of each code cell."""
    outputs = [cell.get("outputs", []) for cell in notebook.cells if cell.cell_type == "code"]
    # The number of pieces that the output arrives in depends on the machine's load.
    return ["".join(output.get("text", "") for output in cell).splitlines() for cell in outputs]


def test_notebook_reproduces_its_outputs() -> None:
    stored = nbformat.read(NOTEBOOK, as_version=4)
    run = nbformat.read(NOTEBOOK, as_version=4)
    for cell in run.cells:
        if cell.cell_type == "code":
            cell.update(outputs=[], execution_count=None)
    NotebookClient(
        run, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(NOTEBOOK.parent)}}
    ).execute()
    assert texts(run) == texts(stored), "run the notebook again and keep its outputs"
    for notebook in (run, stored):
        assert "image/png" in notebook.cells[-2].outputs[0].data


FIGURES = (
    "37.45 ± 0.43",
    "[33.73, 41.24]",
    "+5.86 [+4.07, +7.59]",
    "33.73 ± 1.25",
    "+3.83 [+1.51, +6.01]",
    "-0.59 [-1.30, +0.11]",
)


def test_readme_has_its_figures() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    printed = "\n".join(line for cell in texts(nbformat.read(NOTEBOOK, as_version=4)) for line in cell)
    assert all(figure in printed for figure in FIGURES)
    assert all(figure in " ".join(readme.replace("**", "").split()) for figure in FIGURES)
