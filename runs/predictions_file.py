"""Write an evaluation's predictions with the columns of the evaluated file."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..data.loading import own_file
from ..dialogue.tables.columns import Columns, turn_number
from ..engines.prediction_input import TableInput, table_of
from ..engines.row_writers import OutputFormat, check_columns
from ..errors import EmoNetError
from .options import EvaluateOptions

_OWN = ("row", "predicted", "scores")


class PredictionsFile:
    """The file for `emonet evaluate --predictions`, checked before the evaluation.

    Args:
        options: The evaluation, with a file for its predictions.

    Raises:
        EmoNetError: for a file of another format, the input itself, or input columns with
            the names of added ones.
    """

    def __init__(self, options: EvaluateOptions):
        self.path = Path(str(options.predictions))
        self.output = OutputFormat(str(self.path))
        if self.output.ending != ".jsonl":
            raise EmoNetError(f"{self.path}: these predictions are JSON lines; name the file *.jsonl.")
        self.file = own_file(options.dataset, options.split)
        if self.file is None:
            return
        if self.path.exists() and self.path.samefile(self.file):
            raise EmoNetError(f"{self.path} is the input: predictions would replace it. Name another file.")
        self.columns = options.columns
        table = table_of(self.file, options.columns)
        if table is not None:
            check_columns(table.columns, _OWN, "", remedy="Rename it.")

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write the rows of `score_dialogues`.

        Rows of your own table are in its order and have all of its columns. Its `turn`
        becomes a whole number, by which analyses sort, and `emotion` the label that was
        scored.

        Raises:
            EmoNetError: for a table that was changed during the evaluation.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        joined = rows if self.file is None else self._joined(self.file, rows, self.columns)
        with self.output.opened(sys.stdout, False, "", (), ()) as writer:
            writer.write(joined)

    @staticmethod
    def _joined(
        file: Path, rows: Sequence[dict[str, Any]], columns: Columns | None
    ) -> Sequence[dict[str, Any]]:
        table = table_of(file, columns)
        if table is None:  # a file of whole dialogues
            return rows
        source = TableInput(table, interleaved=True)
        predicted: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            predicted.setdefault(row["dialogue_id"], []).append(row)
        joined: dict[int, dict[str, Any]] = {}
        for dialogue in source.dialogues():
            turns = list(dialogue)
            results = predicted.get(table.dialogue_id(turns[0].index + 1, turns[0].cells), [])
            if len(results) != len(turns):
                raise EmoNetError(f"{file.name} was changed while it was read: run the command again.")
            for turn, result in zip(turns, results, strict=True):
                number = turn_number(turn.cells.get("turn"))
                own = {
                    "emotion": result["emotion"],
                    "turn": result["turn"] if number is None else number,
                }
                joined[turn.index] = {"row": turn.index, **result, **turn.cells, **own}
        return [joined[index] for index in range(len(joined))]
