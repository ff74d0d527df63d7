"""Share one model among threads: one pass at a time, the longest waiting first."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..constants import AUTO
from ..dialogue.known_emotions import NO_EVIDENCE
from ..dialogue.names import Speakers
from ..dialogue.spellings import with_one_name_each
from ..engines.load import load_engine
from ..engines.precision import computing_in
from ..errors import EmoNetError
from ..inference.kept_turns import TurnVectors, kept_turns
from ..inference.predict import EmotionModel, Report, TurnProcessor, predict_dialogues
from ..inference.session import EmoNetSession
from ..inference.session_labels import SessionLabels
from ..inference.stream import EncodedDialogues, encode_dialogues, predict_encoded, window_logits
from ..modeling_emonet import EmoNetForSequenceClassification
from ..prompted.modeling import PromptedEmoNet
from ..prompted.session import PromptedSession
from .attribution import Attribution, Turns, occlusion, prompted_occlusion, texts_before, trajectory_before

Session = EmoNetSession | PromptedSession


class Stopped(Exception):
    """Raised by a report to end a prediction that nobody waits for."""


@dataclass(frozen=True)
class Prepared:
    """A request that only needs the model, see `Predictor.prepare`."""

    dialogues: Sequence[Turns]
    history: Mapping[str, Sequence[str]] | None
    speakers: Speakers
    encoded: EncodedDialogues | None  # none for a prompted model

    @property
    def turns(self) -> int:
        """Its turns, history included."""
        return sum(map(len, self.dialogues)) + sum(map(len, (self.history or {}).values()))


class _PassOfThread(threading.local):
    """What a thread calls while its pass is under way; None for nothing."""

    check: Callable[[], None] | None = None


class Predictor:
    """A checkpoint that several threads use.

    Args:
        model: An `EmoNetForSequenceClassification` or a `PromptedEmoNet`.
        processor: The model's processor.
        name: The model's name, as visitors see it.

    Attributes:
        config: The processor's configuration.
        labels: The emotions, in the order of the logits.
    """

    def __init__(self, model: EmotionModel, processor: TurnProcessor, name: str):
        self.model, self.name = model.eval(), name
        self.processor: Any = processor  # of the model's kind
        self.config = processor.config
        self.labels: list[str] = self.config.label_names
        self._use = threading.Lock()
        self._next = threading.Lock()
        self._pass = _PassOfThread()
        if isinstance(model, nn.Module):
            self._check_within_passes(model)

    @classmethod
    def load(cls, checkpoint: str | Path, dtype: str = AUTO) -> "Predictor":
        """Load a run folder, an adapter folder or a Hub id, on a GPU if there is one.

        Args:
            checkpoint: As in [`load_engine`].
            dtype: What it computes in, see [`computing_in`].
        """
        model, processor = load_engine(checkpoint)
        if torch.cuda.is_available():
            model = model.cuda()
        model = computing_in(model, dtype)
        path = Path(checkpoint)
        return cls(model, processor, path.resolve().name if path.is_dir() else str(checkpoint))

    def prepare(
        self,
        dialogues: Sequence[Turns],
        history: Mapping[str, Sequence[str]] | None = None,
        speakers: Speakers = "auto",
        use_later_labels: bool = False,
    ) -> Prepared:
        """Encode a request, while other threads have the model.

        Args:
            dialogues: The dialogues. Without `history` they are each other's, in order.
            history: The utterances that the speakers of each said before.
            speakers: Who is a person, see `speaker_kinds`.
            use_later_labels: Whether a `known_emotion` also tells about earlier turns.
        """
        encoded = None
        if not self.prompted:
            encoded = encode_dialogues(self.processor, dialogues, history, speakers, use_later_labels)
        return Prepared(dialogues, history, speakers, encoded)

    def predict_prepared(
        self, requests: Sequence[Prepared], report: Report | None = None
    ) -> list[list[list[dict[str, Any]]]]:
        """Label requests together.

        Other threads get the model between two passes, so a long script blocks nobody.
        `report` is called within passes too, and may end them by `Stopped`.

        Returns:
            For each dialogue of each request, its turns with `label`, `score` and
            `scores` (highest first).
        """
        with self._passes(report) as between_passes:
            encoded = [request.encoded for request in requests if request.encoded is not None]
            if encoded:
                results = predict_encoded(self.model, self.processor, encoded, report=between_passes)
            else:
                results = [self._prompted_results(request, between_passes) for request in requests]
        return [
            [
                [{**turn, **highest_first(result)} for turn, result in zip(turns, rows, strict=True)]
                for turns, rows in zip(request.dialogues, found, strict=True)
            ]
            for request, found in zip(requests, results, strict=True)
        ]

    def _prompted_results(self, request: Prepared, report: Report) -> list[list[dict[str, Any]]]:
        histories = None if request.history is None else [request.history] * len(request.dialogues)
        return predict_dialogues(
            self.model,
            self.processor,
            request.dialogues,
            histories,
            report=report,
            speakers=request.speakers,
        )

    def predict(
        self,
        dialogues: Sequence[Turns],
        histories: Sequence[Mapping[str, Sequence[str]]] | None = None,
        report: Report | None = None,
        speakers: Speakers = "auto",
    ) -> list[list[dict[str, Any]]]:
        """Label dialogues: `prepare` and `predict_prepared` in one.

        Args:
            dialogues: The dialogues. Without `histories` they are each other's, in order.
            histories: For each dialogue, the utterances that its speakers said before.
            report: As in `predict_prepared`.
            speakers: Who is a person, see `speaker_kinds`.
        """
        if histories is None:
            return self.predict_prepared([self.prepare(dialogues, None, speakers)], report)[0]
        requests = [
            self.prepare([turns], history, speakers)
            for turns, history in zip(dialogues, histories, strict=True)
        ]
        return [rows for (rows,) in self.predict_prepared(requests, report)]

    @property
    def prompted(self) -> bool:
        """Whether the model labels one turn at a time."""
        return isinstance(self.model, PromptedEmoNet)

    def session(self) -> Session:
        """Start a dialogue that grows turn by turn.

        Raises:
            EmoNetError: If the model needs whole dialogues.
        """
        return (PromptedSession if self.prompted else EmoNetSession)(self.model, self.processor)

    def explain(
        self,
        dialogues: Sequence[Turns],
        index: int,
        report: Report | None = None,
        speakers: Speakers = "auto",
    ) -> Attribution:
        """Measure on which turns a label rests, and on the speaker's earlier dialogues.

        Args:
            dialogues: Labelled dialogues in order of time; the turn is in the last one.
            index: The turn to explain.
            report: Called as in `predict`.
            speakers: Who is a person, see `speaker_kinds`.
        """
        renamed, _, kinds = with_one_name_each(dialogues, None, self.processor.speakers, speakers)
        turns = renamed[-1]
        with self._passes(report) as between_passes:
            if self.prompted:
                return prompted_occlusion(
                    self.model,
                    self.processor,
                    turns,
                    index,
                    lambda turn: trajectory_before(renamed, turn, kinds),
                    between_passes,
                )
            history = texts_before(renamed[:-1], kinds)
            return occlusion(self.model, self.processor, turns, index, history, between_passes)

    @property
    def takes_known_labels(self) -> bool:
        """Whether known labels of some turns tell the model about the others."""
        return getattr(getattr(self.model, "emonet", None), "label_evidence", None) is not None

    def keep(
        self, dialogues: Sequence[Turns], report: Report | None = None, speakers: Speakers = "auto"
    ) -> SessionLabels:
        """Encode a dialogue, to label it anew as labels become known; see `relabel`.

        Args:
            dialogues: Dialogues in order of time; the last one is kept.
            report: Called as in `predict`.
            speakers: Who is a person, see `speaker_kinds`.

        Raises:
            EmoNetError: if the model takes no known labels.
        """
        model = self.model
        if not self.takes_known_labels or not isinstance(model, EmoNetForSequenceClassification):
            raise EmoNetError(NO_EVIDENCE)
        renamed, _, kinds = with_one_name_each(dialogues, None, self.processor.known, speakers)
        turns = [{"speaker": turn["speaker"], "text": turn["text"]} for turn in renamed[-1]]
        encoded = encode_dialogues(self.processor, [turns], texts_before(renamed[:-1], kinds), kinds)
        with self._passes(report) as between_passes:
            vectors = window_logits(
                TurnVectors(model), self.processor, encoded.windows, report=between_passes
            )
        return kept_turns(model, self.processor, encoded.windows, turns, vectors)

    def relabel(
        self, kept: SessionLabels, given: Mapping[int, str], use_later_labels: bool = False
    ) -> list[dict[str, Any]]:
        """Label a kept dialogue in the light of given labels; nothing is encoded anew.

        Args:
            kept: What `keep` returned.
            given: The label of some of its turns, by their index.
            use_later_labels: Whether a label also tells about earlier turns.

        Returns:
            The rows of its turns, as from `predict`, with their `source`.
        """
        with self.alone():
            kept.use_later = use_later_labels
            kept.correct({**dict.fromkeys(kept.known), **given})
            rows = kept.rows()
        return [{**row, **highest_first(row)} for row in rows]

    def add(self, session: Session, speaker: str, text: str, report: Report | None = None) -> dict[str, Any]:
        """Add a turn to a session and return it labelled.

        A report that raises does so before the pass: the session stays as it is.
        """
        with self.alone():
            if report is not None:
                report("turns", 0, 1)
            turn = session.add(speaker, text)
        return {**turn, **highest_first(turn)}

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep the model from all other threads.

        A session's pass changes the attention of the encoder that all threads share.
        """
        self._wait()
        try:
            yield
        finally:
            self._use.release()

    def _wait(self) -> None:
        # Two locks make it fair: a thread that hands over and waits again is behind the
        # thread that waits for `_use` already.
        with self._next:
            self._use.acquire()

    @contextmanager
    def _passes(self, report: Report | None) -> Iterator[Report]:
        """Have the model to itself during passes, and hand it to others between them.

        Yields:
            What to call between two passes. It calls `report`, which may raise `Stopped`.
        """
        progress = ("preparing", 0, 1)

        def tell() -> None:
            if report is not None:
                report(*progress)

        def hand_over(what: str, done: int, whole: int) -> None:
            nonlocal progress
            progress = (what, done, whole)
            self._use.release()
            self._wait()
            tell()

        with self.alone():
            tell()  # nobody may wait any more: others had the model for long
            self._pass.check = tell
            try:
                yield hand_over
            finally:
                self._pass.check = None

    def _check_within_passes(self, model: nn.Module) -> None:
        """Let each part of the model check whether somebody waits for the pass.

        A pass over a long window takes a minute on a CPU.
        """
        of_thread = self._pass

        def check(*_: Any) -> None:
            if of_thread.check is not None:
                of_thread.check()

        for module in model.modules():
            if next(module.children(), None) is None:
                module.register_forward_pre_hook(check)


def highest_first(result: Mapping[str, Any], top: int | None = None) -> dict[str, Any]:
    """Return `label`, `score` and the `top` highest scores in descending order."""
    scores = sorted(result["scores"].items(), key=lambda item: -item[1])
    source = {"source": result["source"]} if "source" in result else {}
    return {"label": result["label"], "score": result["score"], "scores": dict(scores[:top]), **source}
