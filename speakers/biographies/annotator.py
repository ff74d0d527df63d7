"""Annotations by an instruct model: written greedily, once, and kept on disk with where
they are from.
"""

import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from ...backbones.embedded import backbone_name, resolve_backbone
from ...checkpoint.adapters import weights_digest
from ...checkpoint.integrity import check_backbone
from ...errors import EmoNetError
from ...files.cache import cache_root
from ...files.guard import parse_json
from ...prompted.chat import chat_text
from ...version import PACKAGE_VERSION

logger = logging.get_logger(__name__)

REPETITION_PENALTY = 1.2  # small models repeat themselves

Chat = Sequence[dict[str, str]]


@dataclass(frozen=True)
class Annotation:
    """A text that a model wrote, and where it is from.

    Attributes:
        digest: Of model, prompt and settings: equal circumstances give the same
            annotation.
        kind: What it tells (`oReact`, `biography`). model: Name and weights' digest of
            the writer.
        sources: What the model was shown, as keys of utterances (`dialogue#turn`).
            version: Of emonet.
    """

    digest: str
    kind: str
    model: str
    text: str
    sources: tuple[str, ...] = ()
    version: str = PACKAGE_VERSION

    def with_text(self, text: str) -> "Annotation":
        """The same, after its text was cut."""
        return replace(self, text=text)


class TextWriter:
    """An instruct model that goes on with a chat, greedily.

    Args:
        model: `smollm2`, a Hub id or a folder.

    Attributes:
        name: The model's name and its weights' digest. context_length: How many tokens it
            can read.

    Raises:
        EmoNetError: for a model without a chat template.
    """

    def __init__(self, model: str = "smollm2"):
        path = resolve_backbone(model)
        self.tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
        if self.tokenizer.chat_template is None:
            raise EmoNetError(
                f"{model!r} has no chat template: annotations need an instruct model, for example smollm2."
            )
        check_backbone(path, AutoModelForCausalLM)
        self.model: Any = AutoModelForCausalLM.from_pretrained(
            path, dtype=torch.float32, trust_remote_code=False
        ).eval()
        self.name = f"{backbone_name(path)}-{weights_digest(self.model)[:12]}"
        self.context_length: float = getattr(self.model.config, "max_position_embeddings", None) or math.inf

    def fits(self, chat: Chat, max_tokens: int) -> bool:
        """Whether chat and answer are within the model's context."""
        inputs, room = self._asked(chat, max_tokens)
        return inputs["input_ids"].shape[1] + room <= self.context_length

    @torch.inference_mode()
    def write(self, chat: Chat, max_tokens: int) -> str:
        """What the model answers, in one line, the beginning that the chat's last message
        (`assistant`) gives included.

        Args:
            max_tokens: Most tokens of the answer.

        Raises:
            EmoNetError: for a chat that is over the model's context with its answer, or a
                beginning that is the whole answer.
        """
        inputs, room = self._asked(chat, max_tokens)
        begun, length = chat[-1]["content"], inputs["input_ids"].shape[1]
        if room < 1:
            raise EmoNetError(
                f"{max_tokens} tokens have no room for an answer behind {begun!r}: give a larger budget."
            )
        if length + room > self.context_length:
            raise EmoNetError(
                f"{length} tokens of a question and {room} of its answer are over the {self.context_length} that {self.name} "
                "can read: give it a model with a longer context, or shorter lines."
            )
        output = self.model.generate(
            **inputs,
            max_new_tokens=room,
            do_sample=False,
            repetition_penalty=REPETITION_PENALTY,
            pad_token_id=self.tokenizer.eos_token_id,
        )
        text = self.tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        return " ".join(f"{begun}{text}".split())

    def _asked(self, chat: Chat, max_tokens: int) -> tuple[Any, int]:
        """The chat's tokens, and how many more an answer of `max_tokens` has behind its
        beginning.
        """
        inputs = chat_text(
            self.tokenizer, chat, continue_final_message=True, return_tensors="pt", return_dict=True
        )
        return inputs, max_tokens - len(
            self.tokenizer(chat[-1]["content"], add_special_tokens=False)["input_ids"]
        )


class Annotator:
    """Writes annotations, each once: what was written before is found again on disk, by
    its digest.

    Args:
        model: An instruct model: `smollm2`, a Hub id or a folder.
        cache_dir: Where annotations are kept, one file a model; by default `annotations`
            in emonet's cache folder. They hold what
            people said: delete the folder to forget them.
    """

    def __init__(self, model: str = "smollm2", cache_dir: Path | None = None):
        self.writer = TextWriter(model)
        self.file = Path(cache_dir or cache_root() / "annotations") / f"{self.writer.name}.jsonl"
        self._kept = _read(self.file)
        self.written = 0

    @property
    def name(self) -> str:
        return self.writer.name

    @property
    def tokenizer(self) -> Any:
        return self.writer.tokenizer

    def __call__(self, kind: str, chat: Chat, max_tokens: int, sources: Sequence[str] = ()) -> Annotation:
        """The annotation of that kind: see [`TextWriter.write`].

        Args:
            sources: Keys of the utterances that the chat shows.
        """
        circumstances = json.dumps([self.name, kind, max_tokens, REPETITION_PENALTY, list(chat)])
        digest = hashlib.sha256(circumstances.encode()).hexdigest()[:24]
        kept = self._kept.get(digest)
        if kept is not None:
            return replace(kept, sources=tuple(sources))
        annotation = Annotation(digest, kind, self.name, self.writer.write(chat, max_tokens), tuple(sources))
        self.written += 1
        self._keep(annotation)
        return annotation

    def _keep(self, annotation: Annotation) -> None:
        self._kept[annotation.digest] = annotation
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.file}.lock"), self.file.open("ab") as file:
            file.write((json.dumps(asdict(annotation), ensure_ascii=False) + "\n").encode())
            file.flush()
            os.fsync(file.fileno())


def _read(file: Path) -> dict[str, Annotation]:
    """Kept annotations by digest; a line that an interrupted run left torn is written
    anew when it is needed.
    """
    kept = {}
    lines = file.read_text("utf-8", errors="replace").split("\n")[:-1] if file.is_file() else []
    for number, line in enumerate(lines, 1):
        try:
            row = parse_json(line)
            annotation = Annotation(**{**row, "sources": tuple(row["sources"])})
        except (ValueError, TypeError, KeyError):
            logger.warning(f"{file}:{number}: no annotation; what it held is written anew when it is needed.")
            continue
        kept[annotation.digest] = annotation
    return kept
