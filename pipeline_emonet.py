"""Define the `emotion-in-conversation` pipeline: one labelled row for every turn."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sized
from itertools import islice
from typing import Any

from torch.utils.data import Dataset
from transformers import Pipeline
from transformers.utils import logging

from .dialogue.reader import as_history, as_turns
from .dialogue.turns import is_dialogue
from .inference.predict import predict_dialogues
from .processing_emonet import EmoNetProcessor

logger = logging.get_logger(__name__)

TASK = "emotion-in-conversation"
_Pipeline: Any = Pipeline  # its annotations do not allow dialogues as inputs


class EmoNetPipeline(_Pipeline):  # type: ignore[misc]
    """Emotion of every turn of a dialogue.

    Example:
        >>> pipe = pipeline("emotion-in-conversation", folder, trust_remote_code=True)
        >>> pipe([{"speaker": "Monica", "text": "We had a deal!"}])
        [{"speaker": "Monica", "text": "We had a deal!", "label": "Mad", ...}]
    """

    _load_tokenizer = False  # the processor brings its own
    _load_processor = False
    _load_image_processor = False
    _load_video_processor = False
    _load_feature_extractor = False

    def __init__(self, model: Any, processor: EmoNetProcessor | None = None, **kwargs: Any):
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
        """Label a dialogue, or each of many.

        Args:
            inputs: A dialogue: a list of `{"speaker", "text"}` or `{"role", "content"}`,
                a string of `Name: text` lines, or `{"turns": [...], "history": ...}`.
                Many: a list of dialogues, or any iterable (a generator, `KeyDataset`, a
                `Dataset` of dialogues), which is processed lazily.
            batch_size: Dialogues of one pass; it does not change the scores.
            num_workers: Ignored; part of the interface of pipelines.
            history: What the speakers said in earlier dialogues: `{name: [utterance,
                ...]}`, or those dialogues, oldest first. Each dialogue of a call has this
                history only. Only models with `speaker_memory="corpus"` read it.
            top_k: How many of the highest scores to return; all by default.

        Returns:
            `{"speaker", "text", "label", "score", "scores"}` for every turn, `scores` by
            label from the highest down; a list of such lists for a list of dialogues, an
            iterator of them for an iterable. A dialogue without turns has no rows.

        Raises:
            TypeError: for input that is not a dialogue, naming dialogue and turn.
            ValueError: for a turn without speaker or text, naming dialogue and turn.
        """
        if batch_size is not None and (not isinstance(batch_size, int) or batch_size < 1):
            raise ValueError(f"batch_size={batch_size!r} must be a whole number of dialogues, at least 1.")
        prepare, _, finish = self._sanitize_parameters(**kwargs)
        prepare, finish = {**self._preprocess_params, **prepare}, {**self._postprocess_params, **finish}
        if is_dialogue(inputs):
            return next(self._stream([inputs], 1, prepare, finish, single=True))
        # A KeyDataset has indices and a length, but no iterator.
        if isinstance(inputs, Dataset) and isinstance(inputs, Sized) and not isinstance(inputs, Iterable):
            inputs = map(inputs.__getitem__, range(len(inputs)))
        if not isinstance(inputs, Iterable) or isinstance(inputs, (bytes, bytearray)):
            raise TypeError(f"Give a dialogue or an iterable of dialogues, not {type(inputs).__name__}.")
        results = self._stream(inputs, batch_size or self._batch_size or 1, prepare, finish)
        return list(results) if isinstance(inputs, (list, tuple)) else results

    def _stream(
        self,
        dialogues: Iterable[Any],
        size: int,
        prepare: dict[str, Any],
        finish: dict[str, Any],
        single: bool = False,
    ) -> Iterator[list[dict[str, Any]]]:
        source = enumerate(dialogues)
        while batch := list(islice(source, size)):
            examples = []
            for index, dialogue in batch:
                try:
                    examples.append(self.preprocess(dialogue, **prepare))
                except (TypeError, ValueError) as error:
                    raise error if single else type(error)(f"Dialogue {index}: {error}") from error
            with self.device_placement():
                outputs = self._forward(examples)
            for output in outputs:
                yield self.postprocess(output, **finish)

    def _sanitize_parameters(
        self, history: Any = None, top_k: int | None = None, **unknown: Any
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        if unknown:
            raise TypeError(
                f"Unknown parameter {', '.join(unknown)}; the parameters are history, top_k and batch_size."
            )
        if top_k is not None and (not isinstance(top_k, int) or top_k < 1):
            raise ValueError(
                f"top_k={top_k!r} must be a whole number of labels, at least 1, or None for all."
            )
        prepare = {} if history is None else {"history": as_history(history)}
        return prepare, {}, {} if top_k is None else {"top_k": top_k}

    def preprocess(self, dialogue: Any, history: Mapping[str, list[str]] | None = None) -> dict[str, Any]:
        """Convert one dialogue to its turns and its speakers' history."""
        own = dialogue.get("history") if isinstance(dialogue, Mapping) else None
        earlier = as_history(own) if own is not None else dict(history or {})
        scope = self.model.config.speaker_memory
        if earlier and scope != "corpus":
            logger.warning_once(
                f"This model has speaker_memory={scope!r}: it does not read the history of earlier dialogues."
            )
        return {"turns": as_turns(dialogue), "history": earlier}

    def _forward(self, examples: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Predict preprocessed dialogues; adds the `results` of its turns to each."""
        with_turns = [example for example in examples if example["turns"]]
        results = iter(
            predict_dialogues(
                self.model,
                self.processor,
                [example["turns"] for example in with_turns],
                [example["history"] for example in with_turns],
                batch_size=max(len(with_turns), 1),
            )
        )
        return [{**example, "results": next(results) if example["turns"] else []} for example in examples]

    def postprocess(self, output: dict[str, Any], top_k: int | None = None) -> list[dict[str, Any]]:
        """Convert an output to rows with the `top_k` highest scores each."""
        rows = []
        for turn, result in zip(output["turns"], output["results"], strict=True):
            scores = sorted(result["scores"].items(), key=lambda item: -item[1])
            rows.append(
                {**turn, "label": result["label"], "score": result["score"], "scores": dict(scores[:top_k])}
            )
        return rows
