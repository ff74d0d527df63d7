"""Write texts with an instruct model, greedily, and keep them on disk."""

import hashlib
import json
import math
import os
import re
from collections import Counter
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
from ...constants import PACKAGE_VERSION
from ...errors import EmoNetError
from ...files.cache import cache_root
from ...files.guard import parse_json
from ...prompted.chat import chat_text

logger = logging.get_logger(__name__)

_WORD = re.compile(r"\w+")
_BROKEN = re.compile(r'#{3}|<\||[{}\[\]]|\w: "')
_FEWEST_COPIED = 4
REPETITION_PENALTY = 1.2  # small models repeat themselves

Chat = Sequence[dict[str, str]]


@dataclass(frozen=True)
class Annotation:
    """A text that a model wrote, and its provenance.

    Attributes:
        digest: Digest of model, prompt and settings, which determine the text.
        kind: What it describes (`oReact`, `biography`).
        model: The writer's name and the digest of its weights.
        text: The text.
        sources: Keys (`dialogue#turn`) of the utterances in the prompt.
        version: Version of emonet.
    """

    digest: str
    kind: str
    model: str
    text: str
    sources: tuple[str, ...] = ()
    version: str = PACKAGE_VERSION

    def with_text(self, text: str) -> "Annotation":
        """Return the same annotation with another text."""
        return replace(self, text=text)


def flaw_of(chat: Chat, text: str) -> str | None:
    """Return how an answer is of no use; None if it is of use.

    `empty`: nothing follows its beginning. `repeats the prompt`: it copies at least four
    words in a row, and nothing else. `breaks the form`: it goes on with marks, JSON or
    lines of a dialogue in place of a sentence.

    Args:
        chat: The prompt, with the beginning of the answer.
        text: The answer, with its beginning.
    """
    answer = text[len(" ".join(chat[-1]["content"].split())) :]
    words = _WORD.findall(answer.casefold())
    if not words:
        return "empty"
    prompt = " ".join(_WORD.findall(" ".join(message["content"] for message in chat[:-1]).casefold()))
    if len(words) >= _FEWEST_COPIED and f" {' '.join(words)} " in f" {prompt} ":
        return "repeats the prompt"
    return "breaks the form" if _BROKEN.search(answer) else None


class TextWriter:
    """An instruct model that continues a chat, greedily.

    Args:
        model: `smollm2`, a Hub id or a folder.

    Attributes:
        name: The model's name and the digest of its weights.
        context_length: Maximum number of tokens, prompt and answer together.
        flaws: How each answer that was checked is of no use, by its key; None if it is.

    Raises:
        EmoNetError: If the model has no chat template.
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
        )
        self.model.eval()  # type: ignore[no-untyped-call]
        self.name = f"{backbone_name(path)}-{weights_digest(self.model)[:12]}"
        self.flaws: dict[str, str | None] = {}
        self.context_length: float = getattr(self.model.config, "max_position_embeddings", None) or math.inf

    def fits(self, chat: Chat, max_tokens: int) -> bool:
        """Whether the model's context holds the chat and its answer."""
        inputs, new_tokens = self._encode(chat, max_tokens)
        length: int = inputs["input_ids"].shape[1]
        return length + new_tokens <= self.context_length

    @torch.inference_mode()
    def write(self, chat: Chat, max_tokens: int) -> str:
        """Return the model's answer on one line, with the beginning that the chat gives.

        Args:
            chat: Messages; the last one (`assistant`) is the beginning of the answer.
            max_tokens: Maximum length of the answer, its beginning included.

        Raises:
            EmoNetError: If the context is too short for chat and answer, or `max_tokens`
                for more than the beginning.
        """
        inputs, new_tokens = self._encode(chat, max_tokens)
        beginning, length = chat[-1]["content"], inputs["input_ids"].shape[1]
        if new_tokens < 1:
            raise EmoNetError(
                f"{max_tokens} tokens leave no room for an answer behind {beginning!r}: give a larger budget."
            )
        if length + new_tokens > self.context_length:
            raise EmoNetError(
                f"{length} tokens of a question and {new_tokens} of its answer are over the "
                f"{self.context_length} that {self.name} can read: "
                "use a model with a longer context, or shorter lines."
            )
        output = self.model.generate(
            **inputs,
            max_new_tokens=new_tokens,
            do_sample=False,
            repetition_penalty=REPETITION_PENALTY,
            pad_token_id=self.tokenizer.eos_token_id,
        )
        text = self.tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        return " ".join(f"{beginning}{text}".split())

    def check(self, key: str, chat: Chat, text: str) -> str | None:
        """Count an answer, once for each key, and return its flaw: see `flaw_of`."""
        self.flaws[key] = flaw_of(chat, text)
        return self.flaws[key]

    @property
    def record(self) -> dict[str, Any]:
        """What a run records: the `writer`, its `answers`, and the flaws of some."""
        flaws = Counter(flaw for flaw in self.flaws.values() if flaw)
        return {"writer": self.name, "answers": len(self.flaws), "flaws": dict(sorted(flaws.items()))}

    def warn_of_flaws(self) -> None:
        """Say how many of the answers are of no use."""
        flaws = self.record["flaws"]
        if flaws:
            counts = ", ".join(f"{count} {flaw}" for flaw, count in flaws.items())
            logger.warning(
                f"{sum(flaws.values())} of {len(self.flaws)} texts by {self.name} are left out ({counts}). "
                "A larger instruct model writes better ones."
            )

    def _encode(self, chat: Chat, max_tokens: int) -> tuple[Any, int]:
        """Return the chat's tokens and the number of tokens left for the answer."""
        inputs = chat_text(
            self.tokenizer, chat, continue_final_message=True, return_tensors="pt", return_dict=True
        )
        beginning = self.tokenizer(chat[-1]["content"], add_special_tokens=False)["input_ids"]
        return inputs, max_tokens - len(beginning)


class Annotator:
    """Writes each annotation once and finds it on disk afterwards, by its digest.

    Args:
        model: An instruct model: `smollm2`, a Hub id or a folder.
        cache_dir: Folder of the annotations, one file for each model; by default
            `annotations` in emonet's cache folder. They hold what people said: delete the
            folder to forget them.

    Attributes:
        written: Number of annotations that were not on disk.

    Raises:
        EmoNetError: If the file on disk holds annotations by another model.
    """

    def __init__(self, model: str = "smollm2", cache_dir: Path | None = None):
        self.writer = TextWriter(model)
        self.file = Path(cache_dir or cache_root() / "annotations") / f"{self.writer.name}.jsonl"
        self._kept = _read(self.file, self.writer.name)
        self.written = 0

    @property
    def name(self) -> str:
        """The writer's name and the digest of its weights."""
        return self.writer.name

    def flaw(self, annotation: Annotation) -> str | None:
        """Return how an annotation of this run is of no use; None if it is of use."""
        return self.writer.flaws.get(annotation.digest)

    @property
    def tokenizer(self) -> Any:
        """The writer's tokenizer."""
        return self.writer.tokenizer

    def __call__(self, kind: str, chat: Chat, max_tokens: int, sources: Sequence[str] = ()) -> Annotation:
        """Return the annotation of a kind: see [`TextWriter.write`].

        Args:
            kind: What it describes (`oReact`, `biography`).
            chat: The prompt, with the beginning of the answer.
            max_tokens: Maximum length of the answer.
            sources: Keys of the utterances in the chat.
        """
        provenance = json.dumps([self.name, kind, max_tokens, REPETITION_PENALTY, list(chat)])
        digest = hashlib.sha256(provenance.encode()).hexdigest()[:24]
        kept = self._kept.get(digest)
        if kept is not None:
            self.writer.check(digest, chat, kept.text)
            return replace(kept, sources=tuple(sources))
        annotation = Annotation(digest, kind, self.name, self.writer.write(chat, max_tokens), tuple(sources))
        self.writer.check(digest, chat, annotation.text)
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


def _read(file: Path, writer: str) -> dict[str, Annotation]:
    """Read the annotations by digest; skip lines that an interrupted run left torn.

    The digest holds the prompt: an annotation for another prompt is never found.
    """
    kept = {}
    lines = file.read_text("utf-8", errors="replace").split("\n")[:-1] if file.is_file() else []
    for number, line in enumerate(lines, 1):
        try:
            row = parse_json(line)
            annotation = Annotation(**{**row, "sources": tuple(row["sources"])})
        except (ValueError, TypeError, KeyError):
            logger.warning(
                f"{file}:{number}: skipped, as it is no annotation; it is written again on demand."
            )
            continue
        if annotation.model != writer:
            raise EmoNetError(
                f"{file}:{number}: this annotation is by {annotation.model}, but the file is for those by "
                f"{writer}: delete the file, and they are written again."
            )
        kept[annotation.digest] = annotation
    return kept
