"""The notebook of the documentation still gives what it shows, and shows what the README
says.
"""

from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs" / "headline.ipynb"


def texts(notebook: Any) -> list[list[str]]:
    """What each cell prints, line by line."""
    outputs = [cell.get("outputs", []) for cell in notebook.cells if cell.cell_type == "code"]
    # What is printed comes in as many pieces as the machine's load makes of it.
    return ["".join(output.get("text", "") for output in cell).splitlines() for cell in outputs]


def test_the_notebook_gives_what_it_shows() -> None:
    shown = nbformat.read(NOTEBOOK, as_version=4)
    run = nbformat.read(NOTEBOOK, as_version=4)
    for cell in run.cells:
        if cell.cell_type == "code":
            cell.update(outputs=[], execution_count=None)
    NotebookClient(
        run, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(NOTEBOOK.parent)}}
    ).execute()
    assert texts(run) == texts(shown), "run the notebook again and keep its outputs"
    for notebook in (run, shown):
        assert "image/png" in notebook.cells[-2].outputs[0].data


FIGURES = (
    "37.45 ± 0.43", "[33.73, 41.24]", "+5.86 [+4.07, +7.59]", "33.73 ± 1.25", "+3.83 [+1.51, +6.01]", "-0.59 [-1.30, +0.11]",
)  # fmt: skip


def test_its_figures_are_those_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    printed = "\n".join(line for cell in texts(nbformat.read(NOTEBOOK, as_version=4)) for line in cell)
    assert all(figure in printed for figure in FIGURES)
    assert all(figure in " ".join(readme.replace("**", "").split()) for figure in FIGURES)
