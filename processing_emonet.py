"""Turn dialogues into tensors: markers, windows and speaker memory."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers.utils import logging
from transformers.utils.hub import cached_file

from .checkpoint.files import backbone_tokenizer
from .checkpoint.processor import DialogueProcessor
from .configuration_emonet import EmoNetConfig
from .constants import NO_LABEL
from .context.base import context_module_class, import_system
from .dialogue.open_dialogue import OpenDialogue
from .dialogue.turns import clean_text, dialogue_memory_index, given_speaker_id, speaker_names, turn_text
from .layers.label_evidence import REACH
from .layers.padding import pad_known, pad_memory, pad_rows, pad_tokens, pad_vectors

logger = logging.get_logger(__name__)


class EmoNetProcessor(DialogueProcessor):
    """Turn dialogues into the inputs of [`EmoNetModel.forward`], and logits into labels.

    Args:
        tokenizer: The backbone's fast tokenizer.
        config: The model's configuration, which decides markers, windows and memory.
        speakers: Global ids by speaker name; other names have id 0.
        concepts: The knowledge table, where the model has `num_concepts`: an instance of
            the context module's `concept_table`.
    """

    config_class = EmoNetConfig
    model_input_names = ["input_ids", "attention_mask", "turn_ids", "speaker_ids"]

    def __init__(
        self,
        tokenizer: Any,
        config: EmoNetConfig,
        speakers: Mapping[str, int] | None = None,
        concepts: Any = None,
    ):
        super().__init__(tokenizer, speakers)
        self.config = config
        self.concepts = concepts
        if config.num_concepts != (0 if concepts is None else len(concepts.concepts)):
            raise ValueError(
                f"The model has num_concepts={config.num_concepts}: give its processor the table they were "
                "made from (concepts)."
            )

    @classmethod
    def from_backbone(
        cls,
        backbone: str,
        config: EmoNetConfig,
        speakers: Mapping[str, int] | None = None,
        concepts: Any = None,
        **kwargs: Any,
    ) -> "EmoNetProcessor":
        """Build a new model's processor on a backbone (embedded name, folder, Hub id)."""
        return cls(backbone_tokenizer(backbone, **kwargs), config, speakers, concepts)

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any
    ) -> "EmoNetProcessor":
        """Load the processor saved with a checkpoint or alone (a folder or a Hub id).

        Raises:
            EmoNetError: for an unknown argument.
            ValueError: where the tokenizer, `speakers.json` or `concepts.json` is
                missing, with the fix.
        """
        parts = cls.parts_of(pretrained_model_name_or_path, kwargs)
        checkpoint, options, config, tokenizer, speakers = parts
        if not config.num_concepts:
            return cls(tokenizer, config, speakers)
        table = getattr(context_module_class(config.context_module), "concept_table", None)
        if table is None:
            raise ValueError(
                f"{checkpoint!r} has num_concepts={config.num_concepts}, but its context_module="
                f"{config.context_module!r} reads no concepts: restore its config.json."
            )
        try:
            concepts = table.read(str(cached_file(checkpoint, table.file_name, **options)))
        except OSError as error:
            raise ValueError(
                f"{checkpoint!r} has no {table.file_name} with its model's concepts: copy it from the "
                "training run."
            ) from error
        return cls(tokenizer, config, speakers, concepts)

    def save_parts(self, folder: Path) -> None:
        """Write `concepts.json`, with knowledge."""
        if self.concepts is not None:
            self.concepts.save(folder)

    @property
    def code_lookups(self) -> dict[Callable[..., Any], type]:
        context = context_module_class(self.config.context_module)
        return {} if context is None else {import_system: context}

    def batch(self, dialogues: list[list[Mapping[str, Any]]]) -> dict[str, torch.Tensor]:
        """Encode dialogues that each fit one sequence into a padded batch.

        Each turn's memory is its speaker's earlier turns in the same dialogue. For longer
        dialogues or histories of other dialogues, use `encode` and `collate`.

        Args:
            dialogues: Lists of turns.

        Returns:
            For B dialogues of up to T turns: `input_ids`, `attention_mask` and `turn_ids`
            (S, L) for S sequences of up to L tokens; `speaker_ids`, `local_speaker_ids`
            and `labels` (B, T); and what the configuration asks for: see
            [`EmoNetModel.forward`]. The model's logits are (B, T, C).

        Raises:
            ValueError: for a dialogue that is longer than a sequence.
        """
        examples: list[dict[str, Any]] = []
        memory: list[str] = []
        for turns in dialogues:
            index = dialogue_memory_index(turns, self.config.memory_window, start=len(memory))
            memory.extend(turn_text(turn) for turn in turns)
            windows = self.encode(turns, memory_index=index)
            if len(windows) > 1:
                raise ValueError(
                    "A dialogue is longer than one sequence: use encode() and collate(), or predict()."
                )
            examples.extend(windows)
        return self.collate(examples, self.encode_memory(memory))

    def encode(
        self,
        turns: Sequence[Mapping[str, Any]],
        memory_index: Sequence[Sequence[int]] | None = None,
        use_later_labels: bool = False,
    ) -> list[dict[str, Any]]:
        """Encode one dialogue into windows, each an example for `collate`.

        A dialogue that fits is one window. A longer one is split between turns; each
        later window carries over the latest turns that fill up to half of it, and only
        its new turns (from `read_from` on) are read out.

        Args:
            turns: `{"speaker", "text"}` or `{"role", "content"}`; `speaker_id`, `emotion`
                (name or id) and `known_emotion` are optional.
            memory_index: For each turn, rows of the memory table with its speaker's
                earlier utterances, oldest first.
            use_later_labels: Whether a `known_emotion` also tells about earlier turns.

        Raises:
            ValueError: for an empty dialogue, a turn without text or speaker, or an
                unknown label.
        """
        return self.encode_next(OpenDialogue(use_later_labels), turns, memory_index, last=True)

    def encode_next(
        self,
        dialogue: OpenDialogue,
        turns: Sequence[Mapping[str, Any]],
        memory_index: Sequence[Sequence[Any]] | None = None,
        last: bool = False,
    ) -> list[dict[str, Any]]:
        """Encode the next turns of a dialogue; see `encode`.

        Args:
            dialogue: What is kept of the turns before; it is updated.
            turns: The next turns.
            memory_index: As in `encode`, for these turns.
            last: Whether the dialogue ends with them.

        Returns:
            The windows that are full; with `last` all that are left.
        """
        if not turns:
            raise ValueError('A dialogue needs at least one turn: [{"speaker": "Ann", "text": "Hi."}].')
        turns = self.names().turns(turns)
        start = dialogue.turns
        names = speaker_names(turns)
        texts = [turn_text(turn, index) for index, turn in enumerate(turns, start)]
        ids = dialogue.local_ids
        local = [ids.setdefault(name, len(ids)) for name in names]
        rows: dict[str, list[Any]] = {
            "speaker_ids": [
                self._speaker_id(turn, name, index)
                for index, (turn, name) in enumerate(zip(turns, names, strict=True), start)
            ],
            "local_speaker_ids": local,
            "labels": [self.label_of(turn, index) for index, turn in enumerate(turns, start)],
            "memory_index": [
                list(row)[-self.config.memory_window :] for row in memory_index or [[]] * len(turns)
            ],
            "pieces": self.turn_tokens(texts, names, local, start),
        }
        if self.concepts is not None:
            rows["concepts"] = [self.concepts.of(text) for text in texts]
        dialogue.known += [
            (index, local[index - start], distribution)
            for index, distribution in enumerate(self.known_labels(turns, start), start)
            if distribution is not None
        ]
        packed = self.config.context_mode == "packed"
        if packed:
            rows["read_masks"] = self.read_masks(rows["pieces"], names, local)
        dialogue.extend(rows)
        spans = self._packed_spans(dialogue) if packed else self._per_turn_spans(dialogue)
        rest = None if last else spans.pop()  # the next turn may still fit into it
        windows = []
        for first, read, end in spans:
            window = self._packed(dialogue, first, end) if packed else self._per_turn(dialogue, first, end)
            window |= {"first_turn": first + dialogue.first, "read_from": read - first}
            for key, values in dialogue.rows.items():
                if key not in ("pieces", "read_masks"):
                    window[key] = values[first:end]
            window["labels"] = [NO_LABEL] * (read - first) + window["labels"][read - first :]
            if dialogue.known:
                window["known"] = dialogue.known_around(first, end, REACH)
                window["use_later"] = dialogue.use_later
            windows.append(window)
        if rest is not None:
            start, read, _ = rest
            past = 0 if packed else self.sequence_turns(dialogue.rows["pieces"][:start], [])
            dialogue.drop(start - past, read - start + past)
        return windows

    def encode_memory(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokenize history utterances, each as a sequence of its own."""
        if not texts:
            return []
        per_turn = self.config.context_mode == "per_turn"
        tokens = self._tokenize([clean_text(text) for text in texts])
        limit = self.config.sequence_limit
        if self.config.is_decoder_backbone:
            newline, sink = self._tokenize(["\n"])[0], self.sink
            room = min(self.config.max_turn_tokens, limit - len(newline) - len(sink))
            return [sink + ids[:room] + newline for ids in tokens]
        start, end = self._edges()
        if per_turn:  # CoMPM keeps the end of a long utterance and writes no separator
            return [start + ids[-(limit - 1) :] for ids in tokens]
        room = min(self.config.max_turn_tokens, limit) - len(start) - len(end)
        return [start + ids[:room] + end for ids in tokens]

    def collate(
        self,
        examples: Sequence[Mapping[str, Any]],
        memory: Sequence[Sequence[int]] | np.ndarray | None = None,
    ) -> dict[str, torch.Tensor]:
        """Pad examples of `encode` to one batch.

        Args:
            examples: Windows; `turn_embeds` (T, H) in them replace the tokens.
            memory: The memory table: token ids by row (`encode_memory`), or vectors (N,
                H).
        """
        turns = max(len(example["speaker_ids"]) for example in examples)
        batch = {
            "speaker_ids": pad_rows([example["speaker_ids"] for example in examples], turns, -1),
            "local_speaker_ids": pad_rows([example["local_speaker_ids"] for example in examples], turns, -1),
            "labels": pad_rows([example["labels"] for example in examples], turns, NO_LABEL),
        }
        pad = self.tokenizer.pad_token_id
        if "turn_embeds" in examples[0]:
            batch["turn_embeds"] = pad_vectors(examples, turns)
        else:
            per_turn, read_mask = self.config.context_mode == "per_turn", not self.config.pool_marker
            batch.update(pad_tokens(examples, turns, pad, per_turn, read_mask))
        if self.config.speaker_memory != "none":
            batch.update(pad_memory(examples, turns, pad, memory))
        if any(example.get("known") for example in examples):
            batch.update(pad_known(examples, self.config.num_labels))
        if self.concepts is not None:
            batch.update(self.concepts.collate([example["concepts"] for example in examples], turns))
        return batch

    def _tokenize(self, strings: list[str]) -> list[list[int]]:
        ids: list[list[int]] = self.tokenizer(strings, add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    def _edges(self) -> tuple[list[int], list[int]]:
        """The first token and the separator around a packed turn of an encoder."""
        tokenizer = self.tokenizer
        start = tokenizer.cls_token_id if tokenizer.cls_token_id is not None else tokenizer.bos_token_id
        end = tokenizer.sep_token_id if tokenizer.sep_token_id is not None else tokenizer.eos_token_id
        return [] if start is None else [start], [] if end is None else [end]

    @property
    def sink(self) -> list[int]:
        """The token at the start of a decoder's sequence, which belongs to no turn.

        A decoder puts much attention on its first token, whose state would otherwise
        dominate the mean of the first turn.
        """
        token = self.tokenizer.bos_token_id
        if not self.config.is_decoder_backbone or token is None:
            return []
        return [token]

    def _marker(self, name: str, local: int) -> str:
        """The speaker marker as text; CoMPM's is `<s1>`, `<s2>` … by appearance."""
        identity = self.config.speaker_identity
        if identity == "name":
            return f"{name}:"
        if self.config.is_decoder_backbone:
            letter = chr(ord("A") + local) if local < 26 else str(local + 1)
            return {"none": "", "local": f"Speaker {letter}:", "global": "Speaker:"}[identity]
        if identity == "local" and self.config.identity_position == "marker":
            return f"<s{local + 1}>"
        return (self.tokenizer.sep_token or "") if self.config.context_mode == "per_turn" else ""

    def turn_tokens(
        self, texts: list[str], names: list[str], local: list[int], start: int = 0
    ) -> list[list[int]]:
        """Tokenize turns with their markers.

        Args:
            texts: Cleaned texts of the turns from `start` on.
            names: Their speakers' names.
            local: Their speakers' local ids.
            start: The index of the first turn in its dialogue.

        Returns:
            The tokens of each turn.
        """
        strings = []
        for index, (text, name, speaker) in enumerate(zip(texts, names, local, strict=True), start):
            string = f"{self._marker(name, speaker)} {text}".strip()
            if self.config.is_decoder_backbone:
                string += "\n"
            elif self.config.context_mode == "per_turn" and index:
                string = " " + string  # tokenized as in the middle of the string
            strings.append(string)
        pieces = self._tokenize(strings)
        packed = self.config.context_mode == "packed"
        before, after = self._edges() if packed and not self.config.is_decoder_backbone else ([], [])
        longest = self.config.sequence_limit - len(self.sink)
        limit = min(self.config.max_turn_tokens, longest) if packed else longest
        room = limit - len(before) - len(after)
        for index, ids in enumerate(pieces, start):
            if packed and len(ids) > room:
                logger.warning(
                    f"Turn {index} has {len(ids)} tokens and is cut to its first {room} (max_turn_tokens="
                    f"{self.config.max_turn_tokens}, the backbone's limit {self.config.sequence_limit})."
                )
        return [before + ids[:room] + after if packed else ids for ids in pieces]

    def read_masks(
        self, pieces: Sequence[Sequence[int]], names: list[str], local: list[int]
    ) -> list[list[int]]:
        """For each token of a turn, 0 in a marker if `pool_marker` is off, else 1."""
        if self.config.pool_marker:
            return [[1] * len(piece) for piece in pieces]
        before = 0 if self.config.is_decoder_backbone else len(self._edges()[0])
        markers = self._tokenize(
            [self._marker(name, speaker) for name, speaker in zip(names, local, strict=True)]
        )
        masks = []
        for piece, marker in zip(pieces, markers, strict=True):
            unread = max(0, min(len(marker), len(piece) - before - 1))  # the last token is always read
            masks.append([1] * before + [0] * unread + [1] * (len(piece) - before - unread))
        return masks

    def carried_turns(self, pieces: Sequence[Sequence[int]], piece: Sequence[int]) -> int:
        """How many of a window's turns (`pieces`, as tokens) a new turn (`piece`) sees.

        All where it still fits; else a new window starts with the latest of them, up to
        half of it. This depends on earlier turns only, so causality holds.
        """
        limit = self.config.sequence_limit - len(self.sink)
        if sum(map(len, pieces)) + len(piece) <= limit:
            return len(pieces)
        room = min(limit // 2, limit - len(piece))
        carried = 0
        while carried < len(pieces) and len(pieces[-1 - carried]) <= room:
            room -= len(pieces[-1 - carried])
            carried += 1
        return carried

    def _packed_spans(self, dialogue: OpenDialogue) -> list[tuple[int, int, int]]:
        """Find (first turn, first turn that is read out, end) of each window.

        A turn that does not fit ends the window; the next one repeats turns without
        reading them again.
        """
        pieces, limit = dialogue.rows["pieces"], self.config.sequence_limit - len(self.sink)
        spans: list[tuple[int, int, int]] = []
        first, read, tokens = 0, dialogue.done, 0
        for index, piece in enumerate(pieces):
            tokens += len(piece)
            if tokens <= limit:
                continue
            start = index - self.carried_turns(pieces[first:index], piece)
            if start > first:
                spans.append((first, read, index))
                first, read = start, index
                tokens = sum(map(len, pieces[start : index + 1]))
        return [*spans, (first, read, len(pieces))]

    def _packed(self, dialogue: OpenDialogue, first: int, end: int) -> dict[str, Any]:
        """Pack whole turns into one sequence."""
        pieces, read_masks, sink = dialogue.rows["pieces"], dialogue.rows["read_masks"], self.sink
        return {
            "input_ids": sink + [token for piece in pieces[first:end] for token in piece],
            "turn_ids": [-1] * len(sink)
            + [turn for turn, piece in enumerate(pieces[first:end]) for _ in piece],
            "read_mask": [0] * len(sink) + [read for mask in read_masks[first:end] for read in mask],
        }

    def _per_turn_spans(self, dialogue: OpenDialogue) -> list[tuple[int, int, int]]:
        """Find (first turn, first turn that is read out, end) of each window.

        Sequences are independent: long dialogues are split, unless a context module runs
        over all turns.
        """
        count, done = len(dialogue.rows["pieces"]), dialogue.done
        size = 64 if self.config.context_module == "none" else count
        return [(begin, begin, min(begin + size, count)) for begin in range(done, count, size)]

    def _per_turn(self, dialogue: OpenDialogue, first: int, end: int) -> dict[str, Any]:
        """Write one sequence for each turn, see `turn_sequence`."""
        sequences, turn_ids = [], []
        for turn in range(first, end):
            ids, owners = self.turn_sequence(dialogue.rows["pieces"], turn)
            sequences.append(ids)
            turn_ids.append([owner if owner < 0 else owner - first for owner in owners])
        return {"input_ids": sequences, "turn_ids": turn_ids}

    def turn_sequence(self, pieces: Sequence[list[int]], last: int) -> tuple[list[int], list[int]]:
        """Join the turn `last` and its past to a sequence of the latest tokens that fit.

        CoMPM: the last 511 after [CLS]. Returns the tokens and each one's turn, -1 for
        none.
        """
        start = self.sink if self.config.is_decoder_backbone else self._edges()[0]
        room = self.config.sequence_limit - len(start)
        earliest = 0 if self.config.context_window is None else max(0, last - self.config.context_window)
        ids: list[int] = []
        owners: list[int] = []
        for turn in range(last, earliest - 1, -1):
            if len(ids) >= room:
                break
            ids = pieces[turn] + ids
            owners = [turn] * len(pieces[turn]) + owners
        return start + ids[-room:], [-1] * len(start) + owners[-room:]

    def sequence_turns(self, pieces: Sequence[Sequence[int]], piece: Sequence[int]) -> int:
        """How many earlier turns (`pieces`) the sequence of a turn (`piece`) reaches."""
        room, reached = self.config.sequence_limit - len(piece), 0
        while reached < len(pieces) and room > 0:
            reached += 1
            room -= len(pieces[-reached])
        return reached

    def speaker_id_of(self, name: str) -> int:
        """Return the global id of a name in any unambiguous spelling, 0 if unknown."""
        return self.speakers.get(self.known.find(name) or "", 0)

    def _speaker_id(self, turn: Mapping[str, Any], name: str, index: int) -> int:
        given = given_speaker_id(turn, index)
        identity = self.speaker_id_of(name) if given is None else given
        return identity if 0 <= identity < self.config.num_speakers else 0
