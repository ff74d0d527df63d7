"""Pack a study's cell folders into two Parquet files, take them out again, or drop cells."""

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
    """Move every cell folder of a results folder into its packed files; returns how many
    cells these hold.

    Nothing is deleted before it was read back equal. A kill at any moment loses nothing:
    what is in both forms is the same.

    Args:
        shared_with: Packed results folders; predictions that are equal to one of theirs
            are not stored a second time.

    Raises:
        EmoNetError: for a folder without cells, or a cell that isn't whole or holds what
            the packed form cannot.
    """
    folders = cell_folders(root)
    if not cell_paths(root):
        raise EmoNetError(
            f"{root} holds no cell of a study (dataset/row/seed-N with run.json): name a study's results folder."
        )
    if folders:
        cells = [_whole(root, path) for path in cell_paths(root)]
        write_packed(root, cells, {**_elsewhere(root, folders), **_shared(root, cells, folders, shared_with)})
        _check(root, [cell for cell in cells if cell.path in set(folders)])
        for path in folders:
            shutil.rmtree(root / path)
        for dataset in {path.split("/")[0] for path in folders}:
            _tidy(root / dataset)
    return len(cell_paths(root))


def unpack_study(root: Path) -> int:
    """Give every packed cell a folder with its JSON files, as while a study runs; returns
    how many.
    """
    packed = packed_study(root)
    if packed is None:
        raise EmoNetError(f"{root} holds no packed cells.")
    for path in packed.paths:
        if (root / path).exists():
            continue
        cell, folder = _whole(root, path), root / path
        open_folder = folder.with_name(f".{folder.name}")
        shutil.rmtree(open_folder, ignore_errors=True)
        open_folder.mkdir(parents=True)
        for name, document in ((RUN, "run"), (VALIDATION, "validation"), (TEST, "test")):
            write_json(open_folder / name, cell.documents[document])
        for split, name in PREDICTIONS.items():
            write_without_text(open_folder / name, cell.rows[split])
        if cell.speakers is not None:
            write_json(folder.parents[1] / "speakers.json", cell.speakers)
        open_folder.rename(folder)
    count = len(packed.paths)
    for file in (CELLS_FILE, PREDICTIONS_FILE):
        (root / file).unlink()
    return count


def drop_cells(root: Path, paths: Collection[str]) -> None:
    """Take cells out of the packed files."""
    packed = packed_study(root)
    if packed is not None and set(paths) & set(packed.paths):
        kept = [cell for cell in packed.cells() if cell.path not in paths]
        write_packed(root, kept, packed.elsewhere)


def packing_hint(root: Path) -> str | None:
    """What to say of a results folder whose cells are still folders, or None."""
    count = len(cell_folders(root))
    if not count:
        return None
    return f"{root} keeps {count} cells in folders of their own; `emonet results pack {root}` packs them into two files."


def _whole(root: Path, path: str) -> PackedCell:
    cell = stored_cell(root, path)
    if cell is None:
        raise EmoNetError(f"{root}: the cell {path} is gone while it is packed; run the command again.")
    return cell.whole()


def _check(root: Path, cells: Collection[PackedCell]) -> None:
    for cell in cells:
        again = stored_cell(root, cell.path, folders=False)
        if again is None or vars(again.whole()) != vars(cell):
            raise EmoNetError(
                f"{root}: {cell.path} reads otherwise when packed than in its folder; the folders are kept."
            )


def _elsewhere(root: Path, folders: Collection[str]) -> dict[str, str]:
    packed = packed_study(root)
    return {
        path: place
        for path, place in (packed.elsewhere if packed else {}).items()
        if path not in set(folders)
    }


def _shared(
    root: Path, cells: Collection[PackedCell], folders: Collection[str], others: Sequence[Path]
) -> dict[str, str]:
    """The cells in folders whose predictions another study holds."""
    found: dict[str, str] = {}
    for other in others:
        packed = packed_study(other)
        if packed is None:
            raise EmoNetError(f"{other} holds no packed cells: pack it first.")
        figures = {
            path: packed.documents(path)["test"] for path in packed.paths if path not in packed.elsewhere
        }
        for cell in [cell for cell in cells if cell.path in set(folders)]:
            for path in [path for path, test in figures.items() if test == cell.documents["test"]]:
                if all(packed.rows(path, split) == rows for split, rows in cell.rows.items()):
                    found[cell.path] = os.path.relpath(other / path, root)
    return found


def _tidy(dataset: Path) -> None:
    """Remove what packing emptied; anything else in there is the user's and stays."""
    for row in [folder for folder in dataset.iterdir() if folder.is_dir()]:
        if not any(row.iterdir()):
            row.rmdir()
    if [path.name for path in dataset.iterdir()] == ["speakers.json"]:
        shutil.rmtree(dataset)
