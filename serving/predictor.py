"""A model that several threads use: one pass at a time, whoever has waited longest first."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ..engines.load import load_engine
from ..inference.predict import Report, predict_dialogues
from ..inference.session import EmoNetSession
from ..prompted.modeling import PromptedEmoNet
from ..prompted.session import PromptedSession
from .analysis import Analysis
from .attribution import Attribution, occlusion, prompted_occlusion

Session = EmoNetSession | PromptedSession
Turns = Sequence[Mapping[str, Any]]


class Stopped(Exception):
    """Raised out of a report: nobody wants the prediction any more."""


class Predictor:
    """A checkpoint in use.

    Args:
        model: An `EmoNetForSequenceClassification` or a `PromptedEmoNet`. processor: Its
            own. name: What people are told it is.
    """

    def __init__(self, model: Any, processor: Any, name: str):
        self.model, self.processor, self.name = model.eval(), processor, name
        self.config = processor.config
        self.labels: list[str] = self.config.label_names
        self._use = threading.Lock()
        self._next = threading.Lock()

    @classmethod
    def load(cls, checkpoint: str | Path) -> "Predictor":
        """The checkpoint (a run folder, an adapter folder or a Hub id), on a GPU where
        there is one.
        """
        model, processor = load_engine(checkpoint)
        if torch.cuda.is_available():
            model = model.cuda()
        path = Path(checkpoint)
        return cls(model, processor, path.resolve().name if path.is_dir() else str(checkpoint))

    def predict(
        self,
        dialogues: Sequence[Turns],
        histories: Sequence[Mapping[str, Sequence[str]]] | None = None,
        report: Report | None = None,
    ) -> list[list[dict[str, Any]]]:
        """Each turn with `label`, `score` and `scores` (highest first); see
        [`predict_dialogues`].

        Others get the model between two passes, so a long script holds nobody up.
        """
        with self.alone():
            between_passes = self._between_passes(report)
            results = predict_dialogues(
                self.model, self.processor, dialogues, histories, report=between_passes
            )
        return [
            [{**turn, **highest_first(result)} for turn, result in zip(turns, rows, strict=True)]
            for turns, rows in zip(dialogues, results, strict=True)
        ]

    @property
    def prompted(self) -> bool:
        """Whether the model is asked turn by turn."""
        return isinstance(self.model, PromptedEmoNet)

    def session(self) -> Session:
        """A dialogue that grows turn by turn. EmoNetError for a model that needs whole
        dialogues.
        """
        return (PromptedSession if self.prompted else EmoNetSession)(self.model, self.processor)

    def explain(
        self, analysis: Analysis, dialogue: int, place: int, report: Report | None = None
    ) -> Attribution:
        """Which other turns the label of a turn rests on, and what its speaker said in
        earlier dialogues.
        """
        turns = analysis.dialogues[dialogue][1]
        with self.alone():
            between_passes = self._between_passes(report)
            if self.prompted:
                felt = analysis.felt_before(dialogue, place)
                return prompted_occlusion(self.model, self.processor, turns, place, felt, between_passes)
            return occlusion(
                self.model, self.processor, turns, place, analysis.said_before(dialogue), between_passes
            )

    def add(self, session: Session, speaker: str, text: str, report: Report | None = None) -> dict[str, Any]:
        """The next turn of a session, labelled. A report that raises, before the pass,
        leaves the session as it is.
        """
        with self.alone():
            if report is not None:
                report("turns", 0, 1)
            turn = session.add(speaker, text)
        return {**turn, **highest_first(turn)}

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Within, no other thread uses the model. (A session's pass changes the attention
        that all threads share.)
        """
        self._wait()
        try:
            yield
        finally:
            self._use.release()

    def _wait(self) -> None:
        with self._next:  # who waits here is before a thread that hands over and waits again
            self._use.acquire()

    def _between_passes(self, report: Report | None) -> Report:
        """Others get the model, then `report` is told; it may raise [`Stopped`]."""

        def hand_over(what: str, done: int, whole: int) -> None:
            self._use.release()
            self._wait()
            if report is not None:
                report(what, done, whole)

        return hand_over


def highest_first(result: Mapping[str, Any], top: int | None = None) -> dict[str, Any]:
    """`label`, `score`, `scores` with the scores from the highest down, at most `top` of
    them.
    """
    scores = sorted(result["scores"].items(), key=lambda item: -item[1])
    return {"label": result["label"], "score": result["score"], "scores": dict(scores[:top])}
