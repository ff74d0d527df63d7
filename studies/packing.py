"""Pack a study's cells into two Parquet files, unpack them, or drop cells."""

import os
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

from ..checkpoint.run_record import write_json
from ..errors import EmoNetError
from ..evaluation.packed_cells import CELLS as CELLS_FILE
from ..evaluation.packed_cells import PREDICTIONS as PREDICTIONS_FILE
from ..evaluation.packed_cells import PackedCell, packed_study, write_packed
from ..evaluation.predictions import write_without_text
from .cells import PREDICTIONS, RUN, TEST, VALIDATION, cell_folders, cell_paths, stored_cell


def pack_study(root: Path, shared_with: Sequence[Path] = ()) -> int:
    """Move all cell folders of a results folder into its packed files.

    A folder is deleted only after its packed cell was read back and compared, so a kill
    at any time loses nothing.

    Args:
        root: The results folder.
        shared_with: Packed results folders; predictions that are equal to predictions in
            one of them are not stored again.

    Returns:
        The number of packed cells.

    Raises:
        EmoNetError: for a folder without cells, or a cell that is incomplete or holds
            something that the packed form cannot store.
    """
    folders = cell_folders(root)
    if not cell_paths(root):
        raise EmoNetError(
            f"{root} holds no cell of a study (dataset/row/seed-N with run.json): "
            "give the results folder of a study."
        )
    if folders:
        cells = [_read_cell(root, path) for path in cell_paths(root)]
        shared = {**_already_shared(root, folders), **_shared(root, cells, folders, shared_with)}
        write_packed(root, cells, shared)
        _check(root, [cell for cell in cells if cell.path in set(folders)])
        for path in folders:
            shutil.rmtree(root / path)
        for dataset in {path.split("/")[0] for path in folders}:
            _tidy(root / dataset)
    return len(cell_paths(root))


def unpack_study(root: Path) -> int:
    """Write a folder with JSON files for every packed cell; returns their number."""
    packed = packed_study(root)
    if packed is None:
        raise EmoNetError(f"{root} holds no packed cells.")
    for path in packed.paths:
        if (root / path).exists():
            continue
        cell, folder = _read_cell(root, path), root / path
        partial = folder.with_name(f".{folder.name}")  # renamed when it is complete
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for name, document in ((RUN, "run"), (VALIDATION, "validation"), (TEST, "test")):
            write_json(partial / name, cell.documents[document])
        for split, predictions in cell.predictions.items():
            write_without_text(partial / PREDICTIONS[split], predictions.rows())
        if cell.speakers is not None:
            write_json(folder.parents[1] / "speakers.json", cell.speakers)
        partial.rename(folder)
    count = len(packed.paths)
    for file in (CELLS_FILE, PREDICTIONS_FILE):
        (root / file).unlink()
    return count


def drop_cells(root: Path, paths: Collection[str]) -> None:
    """Remove cells from the packed files."""
    packed = packed_study(root)
    if packed is not None and set(paths) & set(packed.paths):
        kept = [cell for cell in packed.cells() if cell.path not in paths]
        write_packed(root, kept, packed.predictions_in)


def packing_hint(root: Path) -> str | None:
    """Suggest `emonet results pack` for a results folder with unpacked cells."""
    count = len(cell_folders(root))
    if not count:
        return None
    return (
        f"{root} keeps {count} cells in folders of their own; "
        f"`emonet results pack {root}` packs them into two files."
    )


def _read_cell(root: Path, path: str) -> PackedCell:
    cell = stored_cell(root, path)
    if cell is None:
        raise EmoNetError(f"{root}: the cell {path} was deleted while it was packed; run the command again.")
    return cell.as_packed()


def _check(root: Path, cells: Collection[PackedCell]) -> None:
    for cell in cells:
        packed = stored_cell(root, cell.path, folders=False)
        if packed is None or packed.as_packed() != cell:
            raise EmoNetError(
                f"{root}: the packed cell {cell.path} differs from its folder; the folders are kept."
            )


def _already_shared(root: Path, folders: Collection[str]) -> dict[str, str]:
    packed = packed_study(root)
    sources = packed.predictions_in if packed else {}
    return {path: source for path, source in sources.items() if path not in set(folders)}


def _shared(
    root: Path, cells: Collection[PackedCell], folders: Collection[str], others: Sequence[Path]
) -> dict[str, str]:
    """The cells in folders whose predictions another study already holds."""
    found: dict[str, str] = {}
    for other in others:
        packed = packed_study(other)
        if packed is None:
            raise EmoNetError(f"{other} holds no packed cells: pack it first.")
        own = [path for path in packed.paths if path not in packed.predictions_in]
        figures = {path: packed.documents(path)["test"] for path in own}
        for cell in [cell for cell in cells if cell.path in set(folders)]:
            for path in [path for path, test in figures.items() if test == cell.documents["test"]]:
                if all(packed.predictions(path, split) == own for split, own in cell.predictions.items()):
                    found[cell.path] = os.path.relpath(other / path, root)
    return found


def _tidy(dataset: Path) -> None:
    """Remove the folders that packing emptied; other files are the user's and stay."""
    for row in [folder for folder in dataset.iterdir() if folder.is_dir()]:
        if not any(row.iterdir()):
            row.rmdir()
    if [path.name for path in dataset.iterdir()] == ["speakers.json"]:
        shutil.rmtree(dataset)
