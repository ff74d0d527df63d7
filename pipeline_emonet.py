"""Define the `emotion-in-conversation` pipeline: one labelled row for every turn."""

import os
import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sized
from contextlib import closing
from itertools import chain
from typing import Any

from torch.utils.data import Dataset
from transformers import Pipeline, PreTrainedModel
from transformers.utils import logging

from .dialogue.json_forms.documents import read_json_value
from .dialogue.known_emotions import KNOWN_EMOTION
from .dialogue.names import Speakers, speaker_kinds
from .dialogue.reader import as_history, read_value, refuse_turn
from .dialogue.tables.frames import is_frame, is_frame_of_turns, read_frame, rows_of
from .dialogue.turns import is_dialogue
from .inference.ahead import blocks_ahead
from .inference.known_labels import known_of
from .inference.predict import predict_dialogues
from .inference.stream import FIRST_LOOK, LOOK_AHEAD, encode_dialogues, predict_encoded
from .processing_emonet import EmoNetProcessor

logger = logging.get_logger(__name__)

TASK = "emotion-in-conversation"
_BATCH = 16  # windows of one pass
_PATIENCE = 0.05  # seconds that an iterator's dialogue waits for others
_Pipeline: Any = Pipeline  # its annotations do not allow dialogues as inputs


class EmoNetPipeline(_Pipeline):  # type: ignore[misc]
    """Emotion of every turn of a dialogue.

    Example:
        >>> pipe = pipeline("emotion-in-conversation", folder, trust_remote_code=True)
        >>> pipe([{"speaker": "Theo", "text": "You threw away my sandwich?!"}])
        [{"speaker": "Theo", "text": "You threw away my sandwich?!", "label": "Mad", ...}]
    """

    _load_tokenizer = False  # the processor brings its own
    _load_processor = False
    _load_image_processor = False
    _load_video_processor = False
    _load_feature_extractor = False

    def __init__(self, model: PreTrainedModel, processor: EmoNetProcessor | None = None, **kwargs: Any):
        self._given = processor
        device_map = getattr(model, "hf_device_map", None)
        if device_map and kwargs.get("device") in (None, model.device):
            # The base class would take the map's first entry, which may be "disk".
            del model.hf_device_map
            try:
                super().__init__(model=model, **{**kwargs, "device": model.device})
            finally:
                model.hf_device_map = device_map
        else:
            super().__init__(model=model, **kwargs)
        self.model.eval()  # `pipeline()` leaves a freshly trained model in training mode
        self.processor = processor or self.model.processor
        self.tokenizer = self.processor.tokenizer

    def save_pretrained(self, save_directory: str | os.PathLike[str], **kwargs: Any) -> None:
        """Save the model and this pipeline's processor, as `model.save_pretrained`."""
        self.model.processor = self.processor
        self.model.save_pretrained(save_directory, **kwargs)

    def __call__(
        self, inputs: Any, batch_size: int | None = None, num_workers: int | None = None, **kwargs: Any
    ) -> Any:
        """Label a dialogue, a table of turns, or each of many dialogues.

        Args:
            inputs: A dialogue: a list of `{"speaker", "text"}` or `{"role", "content"}`,
                one such turn, or `{"turns": [...], "history": ...}`. A turn may have a
                `known_emotion`: a label, or `{label: probability}`. A text in any form
                that `emonet predict` reads; a line without a name is a turn of
                `#UNKNOWN#`. What a recogniser or messenger wrote as JSON, parsed.
                A table with one row for each turn: a `pandas.DataFrame` or a `Dataset`.
                Many: a list of dialogues or texts, or any iterable (a generator,
                `KeyDataset`, a `Dataset` of dialogues), which is processed lazily.
            batch_size: Dialogues of one pass, 16 by default; it changes the scores by
                rounding at most.
            num_workers: With 0, an iterable is read in the caller's thread, `batch_size`
                dialogues at a time (1 by default), as objects of one thread need it (a
                database's cursor). Otherwise a thread reads and tokenizes up to some
                2,000 turns ahead, and what is there is predicted together.
            history: What the speakers said in earlier dialogues: `{name: [utterance,
                ...]}`, or those dialogues, oldest first. Each dialogue of a call has this
                history only. Only models with `speaker_memory="corpus"` read it. Without
                it, the dialogues of one text or table are each other's history, in order.
            speakers: Who is the same person in every dialogue: `auto` (by the names: a
                `SPEAKER_00` is not), `persons` (all), `roles` (nobody), or a list of
                names.
            top_k: How many of the highest scores to return; all by default.
            interleaved: Whether the rows of a table's dialogue may stand between those of
                others.
            use_later_labels: Whether a `known_emotion` also tells about earlier turns.

        Returns:
            `{"speaker", "text", "label", "score", "scores"}` for every turn, `scores` by
            label from the highest down; a list of such lists for a list of dialogues, an
            iterator of them for an iterable. A dialogue without turns has no rows.
            Where a `known_emotion` is in the input, `source` is `given` or `predicted`.
            A text of several dialogues gives one list, whose rows have `dialogue_id` too.
            Where a text has times, `start` and `end` are seconds.
            A table gives its rows, in order, with all their columns and the results.

        Raises:
            TypeError: for input that is not a dialogue, naming dialogue and turn.
            ValueError: for a turn without speaker or text, naming dialogue and turn, and
                for a text or table as `DataFormatError` says.
        """
        if batch_size is not None and (not isinstance(batch_size, int) or batch_size < 1):
            raise ValueError(f"batch_size={batch_size!r} must be a whole number of dialogues, at least 1.")
        prepare, _, finish = self._sanitize_parameters(**kwargs)
        prepare, finish = {**self._preprocess_params, **prepare}, {**self._postprocess_params, **finish}
        size = batch_size or self._batch_size
        if is_dialogue(inputs) or is_frame_of_turns(inputs):
            example = self.preprocess(inputs, **prepare)
            _warn_once(example["notes"], set())
            return self._rows([example], size or _BATCH, finish)[0]
        is_list, patience = isinstance(inputs, (list, tuple)), None
        # A KeyDataset has indices and a length, but no iterator.
        if isinstance(inputs, Dataset) and isinstance(inputs, Sized) and not isinstance(inputs, Iterable):
            inputs = map(inputs.__getitem__, range(len(inputs)))
        elif not isinstance(inputs, Iterable) or isinstance(inputs, (bytes, bytearray)):
            raise TypeError(f"Give a dialogue or an iterable of dialogues, not {type(inputs).__name__}.")
        elif not isinstance(inputs, Sized):
            patience = _PATIENCE  # its next dialogue may depend on these results
        if is_frame(inputs) and not hasattr(inputs, "column_names"):
            inputs = rows_of(inputs)  # a DataFrame itself iterates over its columns
        examples = self._examples(inputs, prepare)
        workers = self._num_workers if num_workers is None else num_workers
        # A prompted model labels one turn at a time: nothing can be prepared.
        if workers == 0 or hasattr(self.model, "predict_dialogues"):
            blocks = _blocks(examples, size or 1)
        else:
            first = LOOK_AHEAD if is_list else FIRST_LOOK
            blocks = blocks_ahead(examples, _turns_of, LOOK_AHEAD, first, patience)
        results = self._stream(blocks, size or _BATCH, finish)
        return list(results) if is_list else results

    def _examples(self, dialogues: Iterable[Any], prepare: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Preprocess dialogues; an error names the dialogue."""
        known = set[str]()
        for index, dialogue in enumerate(dialogues):
            try:
                refuse_turn(dialogue)
                example = self.preprocess(dialogue, **prepare)
            except (TypeError, ValueError) as error:
                raise type(error)(f"Dialogue {index}: {error}") from error
            _warn_once(example["notes"], known)
            yield example

    def _stream(
        self, blocks: Generator[list[dict[str, Any]], None, None], size: int, finish: dict[str, Any]
    ) -> Iterator[list[dict[str, Any]]]:
        with closing(blocks):
            for block in blocks:
                yield from self._rows(block, size, finish)

    def _rows(
        self, examples: list[dict[str, Any]], size: int, finish: dict[str, Any]
    ) -> list[list[dict[str, Any]]]:
        with self.device_placement():
            outputs = self._forward(examples, size)
        return [self.postprocess(output, **finish) for output in outputs]

    def _sanitize_parameters(
        self,
        history: Any = None,
        top_k: int | None = None,
        speakers: Speakers = "auto",
        interleaved: bool | None = None,
        use_later_labels: bool | None = None,
        **unknown: Any,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        if unknown:
            raise TypeError(
                f"Unknown parameter {', '.join(unknown)}; the parameters are history, speakers, top_k, "
                "interleaved, use_later_labels and batch_size."
            )
        if top_k is not None and (not isinstance(top_k, int) or top_k < 1):
            raise ValueError(
                f"top_k={top_k!r} must be a whole number of labels, at least 1, or None for all."
            )
        prepare: dict[str, Any] = {}
        if interleaved is not None:
            prepare["interleaved"] = interleaved
        if use_later_labels is not None:
            prepare["use_later_labels"] = use_later_labels
        if speakers != "auto":
            prepare["speakers"] = speaker_kinds((), speakers).record
        if history is not None:
            known = (self._given or self.model.processor).speakers
            prepare["history"] = as_history(history, speakers, known)
        return prepare, {}, {} if top_k is None else {"top_k": top_k}

    def preprocess(
        self,
        dialogue: Any,
        history: Mapping[str, list[str]] | None = None,
        speakers: Speakers = "auto",
        interleaved: bool = False,
        use_later_labels: bool = False,
    ) -> dict[str, Any]:
        """Convert one input to its dialogues, the rows of the answer and the history.

        Returns:
            `dialogues`: lists of turns. `rows`: the answer, before the results are added.
            `indices`: the row of each turn. `notes`: what was left out or decided.
            `history`. `encoded`: the dialogues for the model; for a prompted one
            `speakers` instead, who is a person.
        """
        own = dialogue.get("history") if isinstance(dialogue, Mapping) else None
        earlier = dict(history or {})
        if own is not None:
            earlier = as_history(own, speakers, self.processor.speakers)
        scope = self.model.config.speaker_memory
        if earlier and scope != "corpus":
            logger.warning_once(
                f"This model has speaker_memory={scope!r}: it does not read the history of earlier dialogues."
            )
        if is_frame(dialogue):
            frame = read_frame(dialogue, interleaved)
            dialogues, rows, indices, notes = frame.dialogues, frame.rows, frame.indices, frame.notes
        else:
            reading = read_json_value(dialogue) or read_value(dialogue)
            several = len(reading.conversations) > 1
            dialogues = [conversation.turns for conversation in reading.conversations]
            rows = [
                {
                    **({"dialogue_id": conversation.dialogue_id} if several else {}),
                    **{key: value for key, value in turn.items() if key != KNOWN_EMOTION},
                }
                for conversation in reading.conversations
                for turn in conversation.turns
            ]
            indices = list(range(len(rows)))
            notes = [f"read as {reading.form}", *reading.notes] if reading.notes else []
        example = {"dialogues": dialogues, "rows": rows, "indices": indices, "notes": notes}
        if hasattr(self.model, "predict_dialogues"):
            known_of(self.processor, dialogues)  # a wrong label is told with its dialogue
            return {**example, "history": earlier, "speakers": speakers}
        encoded = encode_dialogues(
            self.processor, dialogues if rows else [], earlier or None, speakers, use_later_labels
        )
        return {**example, "history": earlier, "encoded": encoded}

    def _forward(self, examples: list[dict[str, Any]], batch_size: int = _BATCH) -> list[dict[str, Any]]:
        """Predict preprocessed inputs; adds the `results` of its turns to each."""
        if hasattr(self.model, "predict_dialogues"):
            return [{**example, "results": self._prompted_results(example)} for example in examples]
        predicted = predict_encoded(
            self.model, self.processor, [example["encoded"] for example in examples], batch_size
        )
        return [
            {**example, "results": [*chain.from_iterable(dialogues)]}
            for example, dialogues in zip(examples, predicted, strict=True)
        ]

    def _prompted_results(self, example: dict[str, Any]) -> list[dict[str, Any]]:
        dialogues, history = example["dialogues"], example["history"]
        if not example["rows"]:
            return []
        histories = [history] * len(dialogues) if history else None
        found = predict_dialogues(
            self.model, self.processor, dialogues, histories, speakers=example["speakers"]
        )
        return [*chain.from_iterable(found)]

    def postprocess(self, output: dict[str, Any], top_k: int | None = None) -> list[dict[str, Any]]:
        """Convert an output to rows with the `top_k` highest scores each."""
        rows: list[dict[str, Any]] = [{}] * len(output["rows"])
        has_known = any("source" in result for result in output["results"])
        for index, result in zip(output["indices"], output["results"], strict=True):
            scores = sorted(result["scores"].items(), key=lambda item: -item[1])
            rows[index] = {
                **output["rows"][index],
                "label": result["label"],
                "score": result["score"],
                "scores": dict(scores[:top_k]),
                **({"source": result.get("source", "predicted")} if has_known else {}),
            }
        return rows


def _blocks(examples: Iterator[dict[str, Any]], size: int) -> Generator[list[dict[str, Any]], None, None]:
    """Yield examples in blocks; an error follows those before it."""
    block: list[dict[str, Any]] = []
    try:
        for example in examples:
            block.append(example)
            if len(block) == size:
                yield block
                block = []
    except Exception:
        if block:
            yield block
        raise
    if block:
        yield block


def _turns_of(example: dict[str, Any]) -> int:
    return len(example["rows"])


def _warn_once(notes: list[str], known: set[str]) -> None:
    """Warn of what was left out or decided, once for each kind in a call."""
    kind = re.sub(r"[\ds]", "", "; ".join(notes))  # whatever the counts, and their plurals
    if notes and kind not in known:
        known.add(kind)
        logger.warning(f"Input {'; '.join(notes)}.")
