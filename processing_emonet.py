"""Turn dialogues into tensors (markers, windows, padding), and logits into labels."""

import os
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers.utils import logging
from transformers.utils.hub import cached_file

from .checkpoint.files import (
    backbone_tokenizer,
    hub_options,
    labelled,
    package,
    speakers_of,
    tokenizer_of,
    write_speakers,
)
from .configuration_emonet import EmoNetConfig
from .context.base import context_module_class
from .dialogue.names import known_names
from .dialogue.open_dialogue import OpenDialogue
from .dialogue.spellings import SpeakerNames
from .dialogue.turns import (
    clean_text,
    dialogue_memory_index,
    given_speaker_id,
    speaker_names,
    turn_label,
    turn_text,
)
from .files.guard import refuse_outside_links

logger = logging.get_logger(__name__)

NO_LABEL = -100


class EmoNetProcessor:
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
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        self.tokenizer = tokenizer
        self.config = config
        self.speakers = dict(speakers or {})
        self.concepts = concepts
        if config.num_concepts != (0 if concepts is None else len(concepts.concepts)):
            raise ValueError(
                f"The model has num_concepts={config.num_concepts}: give its processor the table they were "
                "made from (concepts)."
            )

    @classmethod
    def register_for_auto_class(cls, auto_class: str = "AutoProcessor") -> None:
        """Do nothing: `AutoProcessor` calls this, but the model's code carries it."""

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
    def from_pretrained(cls, checkpoint: str | os.PathLike[str], **kwargs: Any) -> "EmoNetProcessor":
        """Load the processor saved with a checkpoint (a folder or a Hub id).

        Raises:
            ValueError: where the tokenizer, `speakers.json` or `concepts.json` is
                missing, with the fix.
        """
        checkpoint, kwargs = package.built_in_path(str(checkpoint)), hub_options(kwargs)
        config = EmoNetConfig.from_pretrained(checkpoint, **kwargs)
        tokenizer, speakers = tokenizer_of(checkpoint, config, **kwargs), speakers_of(checkpoint, **kwargs)
        concepts = None
        if config.num_concepts:
            table = getattr(context_module_class(config.context_module), "concept_table", None)
            if table is None:
                raise ValueError(
                    f"{checkpoint!r} has num_concepts={config.num_concepts}, but its context_module="
                    f"{config.context_module!r} reads no concepts: restore its config.json."
                )
            try:
                concepts = table.read(str(cached_file(checkpoint, table.file_name, **kwargs)))
            except OSError as error:
                raise ValueError(
                    f"{checkpoint!r} has no {table.file_name} with its model's concepts: copy it from the "
                    "training run."
                ) from error
        return cls(tokenizer, config, speakers, concepts)

    def save_pretrained(self, folder: str | os.PathLike[str], **kwargs: Any) -> None:
        """Write the tokenizer, `speakers.json` and, with knowledge, `concepts.json`."""
        refuse_outside_links(folder)
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.tokenizer.save_pretrained(folder)
        write_speakers(folder, sorted(self.speakers, key=lambda name: self.speakers[name]))
        if self.concepts is not None:
            self.concepts.save(folder)

    def __call__(self, dialogues: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, torch.Tensor]:
        """Encode dialogues that each fit one sequence into a padded batch.

        Each turn's memory is its speaker's earlier turns in the same dialogue. For longer
        dialogues or histories of other dialogues, use `encode` and `collate`.

        Args:
            dialogues: Lists of `{"speaker", "text"}`.

        Raises:
            ValueError: for no dialogue, or one that is longer than a sequence.
        """
        if not isinstance(dialogues, (list, tuple)) or not dialogues:
            raise ValueError("Give a list with at least one dialogue.")
        examples: list[dict[str, Any]] = []
        memory: list[str] = []
        for turns in map(self.names().turns, dialogues):
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
        self, turns: Sequence[Mapping[str, Any]], memory_index: Sequence[Sequence[int]] | None = None
    ) -> list[dict[str, Any]]:
        """Encode one dialogue into windows, each an example for `collate`.

        A dialogue that fits is one window. A longer one is split between turns; each
        later window carries over the latest turns that fill up to half of it, and only
        its new turns (from `read_from` on) are read out.

        Args:
            turns: `{"speaker", "text"}` or `{"role", "content"}`; `speaker_id` and
                `emotion` (name or id) are optional.
            memory_index: For each turn, rows of the memory table with its speaker's
                earlier utterances, oldest first.

        Raises:
            ValueError: for an empty dialogue, a turn without text or speaker, or an
                unknown label.
        """
        return self.encode_next(OpenDialogue(), turns, memory_index, last=True)

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
            "labels": [self._label(turn, index) for index, turn in enumerate(turns, start)],
            "memory_index": [
                list(row)[-self.config.memory_window :] for row in memory_index or [[]] * len(turns)
            ],
            "pieces": self.turn_tokens(texts, names, local, start),
        }
        if self.concepts is not None:
            rows["concepts"] = [self.concepts.of(text) for text in texts]
        packed = self.config.context_mode == "packed"
        if packed:
            rows["read_masks"] = self.read_masks(rows["pieces"], names, local)
        dialogue.extend(rows)
        windows = self._packed(dialogue) if packed else self._per_turn(dialogue)
        full, rest = (windows, None) if last else (windows[:-1], windows[-1])
        for window in full:
            first, end = window["first_turn"], window.pop("end_turn")
            for key, values in dialogue.rows.items():
                if key not in ("pieces", "read_masks"):
                    window[key] = values[first:end]
            carried = window["read_from"]
            window["labels"] = [NO_LABEL] * carried + window["labels"][carried:]
            window["first_turn"] += dialogue.first
        if rest is not None:  # the next turn may still fit into it
            start = rest["first_turn"]
            past = 0 if packed else self.sequence_turns(dialogue.rows["pieces"][:start], [])
            dialogue.drop(start - past, rest["read_from"] + past)
        return full

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
        if "turn_embeds" in examples[0]:
            size = examples[0]["turn_embeds"].shape[-1]
            embeds = torch.zeros(len(examples), turns, size)
            for row, example in enumerate(examples):
                embeds[row, : len(example["turn_embeds"])] = torch.from_numpy(
                    np.array(example["turn_embeds"])
                )
            batch["turn_embeds"] = embeds
        else:
            batch.update(self._collate_tokens(examples, turns))
        if self.config.speaker_memory != "none":
            batch.update(self._collate_memory(examples, turns, memory))
        if self.concepts is not None:
            batch.update(self.concepts.collate([example["concepts"] for example in examples], turns))
        return batch

    def labels_of(self, logits: np.ndarray) -> list[dict[str, Any]]:
        """Convert logits (T, C) to calibrated `label`, `score` and `scores` by turn."""
        return labelled(logits, self.config)

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

    def _packed(self, dialogue: OpenDialogue) -> list[dict[str, Any]]:
        """Pack whole turns into windows."""
        pieces, read_masks, sink = dialogue.rows["pieces"], dialogue.rows["read_masks"], self.sink
        # (first turn, first turn that is read out, end) of each window. A turn that does
        # not fit ends the window; the next one repeats turns without reading them again.
        windows: list[tuple[int, int, int]] = []
        first, read_from = 0, dialogue.done
        for index, piece in enumerate(pieces):
            start = index - self.carried_turns(pieces[first:index], piece)
            if start > first:
                windows.append((first, read_from, index))
                first, read_from = start, index
        windows.append((first, read_from, len(pieces)))
        return [
            {
                "first_turn": first,
                "end_turn": end,
                "read_from": read - first,
                "input_ids": sink + [token for piece in pieces[first:end] for token in piece],
                "turn_ids": [-1] * len(sink)
                + [turn for turn, piece in enumerate(pieces[first:end]) for _ in piece],
                "read_mask": [0] * len(sink) + [read for mask in read_masks[first:end] for read in mask],
            }
            for first, read, end in windows
        ]

    def _per_turn(self, dialogue: OpenDialogue) -> list[dict[str, Any]]:
        """Write one sequence for each turn, see `turn_sequence`."""
        pieces = dialogue.rows["pieces"]
        # Sequences are independent: long dialogues are split, unless a context module
        # runs over all turns.
        size = 64 if self.config.context_module == "none" else len(pieces)
        windows = []
        for begin in range(dialogue.done, len(pieces), size):
            end = min(begin + size, len(pieces))
            sequences, turn_ids = [], []
            for turn in range(begin, end):
                ids, owners = self.turn_sequence(pieces[: turn + 1])
                sequences.append(ids)
                turn_ids.append([owner if owner < 0 else owner - begin for owner in owners])
            window = {"first_turn": begin, "end_turn": end, "read_from": 0}
            windows.append({**window, "input_ids": sequences, "turn_ids": turn_ids})
        return windows

    def turn_sequence(self, pieces: Sequence[list[int]]) -> tuple[list[int], list[int]]:
        """Join the last turn and its past to a sequence of the latest tokens that fit.

        CoMPM: the last 511 after [CLS]. Returns the tokens and each one's turn, -1 for
        none.
        """
        start = self.sink if self.config.is_decoder_backbone else self._edges()[0]
        room = self.config.sequence_limit - len(start)
        last = len(pieces) - 1
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

    def _collate_tokens(self, examples: Sequence[Mapping[str, Any]], turns: int) -> dict[str, torch.Tensor]:
        sequences = [example["input_ids"] for example in examples]
        turn_ids = [example["turn_ids"] for example in examples]
        batch = {}
        if self.config.context_mode == "per_turn":  # an example holds a sequence for each turn
            ends = list(accumulate(len(rows) for rows in sequences))
            index = [range(end - len(rows), end) for rows, end in zip(sequences, ends, strict=True)]
            batch["sequence_index"] = pad_rows(index, turns, -1)
            sequences = [ids for rows in sequences for ids in rows]
            turn_ids = [ids for rows in turn_ids for ids in rows]
        length = max(len(ids) for ids in sequences)
        batch["input_ids"] = pad_rows(sequences, length, self.tokenizer.pad_token_id)
        batch["attention_mask"] = pad_rows([[1] * len(ids) for ids in sequences], length, 0)
        batch["turn_ids"] = pad_rows(turn_ids, length, -1)
        if not self.config.pool_marker:
            batch["read_mask"] = pad_rows([example["read_mask"] for example in examples], length, 0)
        return batch

    def _collate_memory(
        self,
        examples: Sequence[Mapping[str, Any]],
        turns: int,
        memory: Sequence[Sequence[int]] | np.ndarray | None,
    ) -> dict[str, torch.Tensor]:
        histories = [row for example in examples for row in example["memory_index"]]
        used = sorted({index for row in histories for index in row})
        if used and memory is None:
            raise ValueError(
                f"speaker_memory={self.config.speaker_memory!r}: the collator needs the memory table."
            )
        # The batch carries only the rows that it uses, once each, and counts from 0.
        new_index = {index: row for row, index in enumerate(used)}
        width = max((len(row) for row in histories), default=0) or 1
        memory_index = torch.full((len(examples), turns, width), -1, dtype=torch.long)
        for dialogue, example in enumerate(examples):
            for turn, row in enumerate(example["memory_index"]):
                if row:
                    new_row = torch.tensor([new_index[index] for index in row])
                    memory_index[dialogue, turn, : len(row)] = new_row
        batch = {"memory_index": memory_index}
        if isinstance(memory, np.ndarray):
            batch["memory_embeds"] = torch.from_numpy(np.array(memory[used], dtype=np.float32))
            return batch
        rows = [list(memory[index]) for index in used] if memory is not None else []
        rows = rows or [[self.tokenizer.pad_token_id]]  # a row that no turn points to keeps shapes regular
        length = max(len(ids) for ids in rows)
        batch["memory_input_ids"] = pad_rows(rows, length, self.tokenizer.pad_token_id)
        batch["memory_attention_mask"] = pad_rows([[1] * len(ids) for ids in rows], length, 0)
        return batch

    def names(self) -> SpeakerNames:
        """Return the names of a new input, which find the known persons."""
        return SpeakerNames(self.speakers, warn=False)

    def speaker_id_of(self, name: str) -> int:
        """Return the global id of a name in any unambiguous spelling, 0 if unknown."""
        return self.speakers.get(known_names(tuple(self.speakers)).find(name) or "", 0)

    def _speaker_id(self, turn: Mapping[str, Any], name: str, index: int) -> int:
        given = given_speaker_id(turn, index)
        identity = self.speaker_id_of(name) if given is None else given
        return identity if 0 <= identity < self.config.num_speakers else 0

    def _label(self, turn: Mapping[str, Any], index: int) -> int:
        emotion = turn.get("emotion")
        if isinstance(emotion, (int, np.integer)) and emotion == NO_LABEL:
            return NO_LABEL
        label = turn_label(turn, self.config.label_names, index)
        return NO_LABEL if label is None else label


def pad_rows(rows: Sequence[Sequence[int]], length: int, value: int) -> torch.Tensor:
    """Pad rows of whole numbers to a tensor (rows, length), filled with `value`."""
    tensor = torch.full((len(rows), length), value, dtype=torch.long)
    for index, row in enumerate(rows):
        if len(row):
            tensor[index, : len(row)] = torch.tensor(row, dtype=torch.long)
    return tensor
