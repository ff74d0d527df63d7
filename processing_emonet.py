"""EmoNetProcessor: turns → tensors (markers, packing, windows, padding) and tensors →
turns.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers.utils import cached_file, logging

from .checkpoint.files import (
    backbone_tokenizer,
    hub_options,
    labelled,
    speakers_of,
    tokenizer_of,
    write_speakers,
)
from .configuration_emonet import EmoNetConfig
from .context.base import context_module_class
from .dialogue.turns import clean_text, turn_speaker, turn_text
from .files.guard import refuse_outside_links

logger = logging.get_logger(__name__)

NO_LABEL = -100


class EmoNetProcessor:
    """Turns dialogues into the tensors of [`EmoNetModel.forward`], and logits back into
    labelled turns.

    Args:
        tokenizer: The backbone's fast tokenizer.
        config: The model's configuration; markers, windows and memory follow it.
        speakers: Global id of each known speaker's name; other names are id 0.
        concepts: What a knowledge graph says of words, where the model has
            `num_concepts`; the context module's `concept_table`.
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
                f"The model has num_concepts={config.num_concepts}: give its processor the table they were made from."
            )

    @classmethod
    def register_for_auto_class(cls, auto_class: str = "AutoProcessor") -> None:
        """Called by `AutoProcessor` on a class out of a repository; the code travels with
        the model that needs it.
        """

    @classmethod
    def from_backbone(
        cls,
        backbone: str,
        config: EmoNetConfig,
        speakers: Mapping[str, int] | None = None,
        concepts: Any = None,
        **kwargs: Any,
    ) -> "EmoNetProcessor":
        """The processor of a new model: the backbone's tokenizer (Hub id, folder,
        `minilm`, `smollm2`).
        """
        return cls(backbone_tokenizer(backbone, **kwargs), config, speakers, concepts)

    @classmethod
    def from_pretrained(cls, checkpoint: str | os.PathLike[str], **kwargs: Any) -> "EmoNetProcessor":
        """The processor saved beside a checkpoint (a folder or a Hub id).

        Raises:
            ValueError: where the tokenizer or `speakers.json` is missing, with the way to
                mend it.
        """
        checkpoint, kwargs = str(checkpoint), hub_options(kwargs)
        config = EmoNetConfig.from_pretrained(checkpoint, **kwargs)
        tokenizer, speakers = tokenizer_of(checkpoint, config, **kwargs), speakers_of(checkpoint, **kwargs)
        concepts = None
        if config.num_concepts:
            module: Any = context_module_class(config.context_module)
            table = module.concept_table
            try:
                concepts = table.read(str(cached_file(checkpoint, table.file_name, **kwargs)))
            except OSError as error:
                raise ValueError(
                    f"{checkpoint!r} has no {table.file_name}, which holds the concepts of words that its model knows: copy it "
                    "from the training run."
                ) from error
        return cls(tokenizer, config, speakers, concepts)

    def save_pretrained(self, folder: str | os.PathLike[str], **kwargs: Any) -> None:
        """Write the tokenizer, `speakers.json` and, with knowledge, `concepts.json` into
        `folder`.
        """
        refuse_outside_links(folder)
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.tokenizer.save_pretrained(folder)
        write_speakers(folder, sorted(self.speakers, key=lambda name: self.speakers[name]))
        if self.concepts is not None:
            self.concepts.save(folder)

    def __call__(self, dialogues: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, torch.Tensor]:
        """A padded batch of dialogues (lists of `{"speaker", "text"}`) that each fit one
        sequence.

        Each turn's memory is what its speaker said earlier in the same dialogue. For
        longer dialogues, or histories from other dialogues, use `encode` and `collate`.
        """
        if not isinstance(dialogues, (list, tuple)) or not dialogues:
            raise ValueError("Give a list with at least one dialogue.")
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
        self, turns: Sequence[Mapping[str, Any]], memory_index: Sequence[Sequence[int]] | None = None
    ) -> list[dict[str, Any]]:
        """One dialogue → its windows, each an example for `collate`.

        A dialogue that fits is one window. A longer one is split at turn borders; each
        later window carries over the latest turns that fill up to half of it, and reads
        out only its new turns (`read_from` on).

        Args:
            turns: `{"speaker", "text"}` or `{"role", "content"}`; `speaker_id` and
                `emotion` (name or id) are optional.
            memory_index: For each turn, rows of the memory table with its speaker's
                earlier utterances, oldest first.

        Raises:
            ValueError: for an empty dialogue, a turn without text or speaker, or an
                unknown label.
        """
        if not turns:
            raise ValueError('A dialogue needs at least one turn: [{"speaker": "Ann", "text": "Hi."}].')
        names = [_turn_speaker(turn, place) for place, turn in enumerate(_listed(turns))]
        texts = [turn_text(turn, place) for place, turn in enumerate(turns)]
        order: dict[str, int] = {}
        local = [order.setdefault(name, len(order)) for name in names]
        rows: dict[str, list[Any]] = {
            "speaker_ids": [self._speaker_id(turn, names[place], place) for place, turn in enumerate(turns)],
            "local_speaker_ids": local,
            "labels": [self._label(turn.get("emotion"), place) for place, turn in enumerate(turns)],
            "memory_index": [
                list(row)[-self.config.memory_window :] for row in memory_index or [[]] * len(turns)
            ],
        }
        if self.concepts is not None:
            rows["concepts"] = [self.concepts.of(text) for text in texts]
        pieces = self.turn_tokens(texts, names, local)
        if self.config.context_mode == "per_turn":
            windows = self._per_turn(pieces)
        else:
            windows = self._packed(pieces, self.read_masks(pieces, names, local))
        for window in windows:
            first, end = window["first_turn"], window.pop("end_turn")
            window.update({key: values[first:end] for key, values in rows.items()})
            carried = window["read_from"]
            window["labels"] = [NO_LABEL] * carried + window["labels"][carried:]
        return windows

    def encode_memory(self, texts: Sequence[str]) -> list[list[int]]:
        """History utterances → token ids, each as a sequence of its own."""
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
        """Examples of `encode` → one padded batch.

        Args:
            examples: Windows; where they hold `turn_embeds` (T, H), these stand in for
                tokens.
            memory: The memory table: token ids a row (`encode_memory`), or vectors (N, H)
                computed before.
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
        """(T, C) logits → for each turn `label`, `score` and all `scores` by label,
        calibrated.
        """
        return labelled(logits, self.config)

    # -- tokens
    # -----------------------------------------------------------------------------------------------------

    def _tokenize(self, strings: list[str]) -> list[list[int]]:
        return self.tokenizer(strings, add_special_tokens=False, verbose=False)["input_ids"]

    def _edges(self) -> tuple[list[int], list[int]]:
        """Tokens around a packed turn of an encoder: its first-token marker and its
        separator.
        """
        tokenizer = self.tokenizer
        start = tokenizer.cls_token_id if tokenizer.cls_token_id is not None else tokenizer.bos_token_id
        end = tokenizer.sep_token_id if tokenizer.sep_token_id is not None else tokenizer.eos_token_id
        return [token for token in (start,) if token is not None], [
            token for token in (end,) if token is not None
        ]

    @property
    def sink(self) -> list[int]:
        """The token in front of a decoder's sequence. It belongs to no turn: a decoder
        dumps attention on its first token, whose state could otherwise dominate the mean
        of the first turn."""
        token = self.tokenizer.bos_token_id
        if not self.config.is_decoder_backbone or token is None:
            return []
        return [token]

    def _marker(self, name: str, local: int) -> str:
        """The speaker marker as text. CoMPM's form is `<s1>`, `<s2>` … in order of
        appearance.
        """
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
        """Cleaned texts, speakers' names and local numbers of the turns from `start` on →
        the tokens of each turn.
        """
        strings = []
        for place, (text, name, speaker) in enumerate(zip(texts, names, local, strict=True), start):
            string = f"{self._marker(name, speaker)} {text}".strip()
            if self.config.is_decoder_backbone:
                string += "\n"
            elif self.config.context_mode == "per_turn" and place:
                string = " " + string  # tokenised as inside the whole string
            strings.append(string)
        pieces = self._tokenize(strings)
        packed = self.config.context_mode == "packed"
        before, after = self._edges() if packed and not self.config.is_decoder_backbone else ([], [])
        longest = self.config.sequence_limit - len(self.sink)
        limit = min(self.config.max_turn_tokens, longest) if packed else longest
        room = limit - len(before) - len(after)
        for place, ids in enumerate(pieces, start):
            if packed and len(ids) > room:
                logger.warning(
                    f"Turn {place} has {len(ids)} tokens and is cut to its first {room} (max_turn_tokens="
                    f"{self.config.max_turn_tokens}, the backbone's limit {self.config.sequence_limit})."
                )
        return [before + ids[:room] + after if packed else ids for ids in pieces]

    def read_masks(
        self, pieces: Sequence[Sequence[int]], names: list[str], local: list[int]
    ) -> list[list[int]]:
        """For the tokens of each packed turn, 0 where they are its speaker's marker and
        `pool_marker` is off, else 1.
        """
        if self.config.pool_marker:
            return [[1] * len(piece) for piece in pieces]
        before = 0 if self.config.is_decoder_backbone else len(self._edges()[0])
        markers = self._tokenize(
            [self._marker(name, speaker) for name, speaker in zip(names, local, strict=True)]
        )
        masks = []
        for piece, marker in zip(pieces, markers, strict=True):
            hidden = max(0, min(len(marker), len(piece) - before - 1))  # the last token is read in any case
            masks.append([1] * before + [0] * hidden + [1] * (len(piece) - before - hidden))
        return masks

    def carried_turns(self, pieces: Sequence[Sequence[int]], piece: Sequence[int]) -> int:
        """How many of a window's turns (`pieces`, as tokens) `piece` sees: all where it
        still fits; else a new window starts with the latest of them, up to half of it. It
        depends on earlier turns only, so causality holds."""
        limit = self.config.sequence_limit - len(self.sink)
        if sum(map(len, pieces)) + len(piece) <= limit:
            return len(pieces)
        room = min(limit // 2, limit - len(piece))
        carried = 0
        while carried < len(pieces) and len(pieces[-1 - carried]) <= room:
            room -= len(pieces[-1 - carried])
            carried += 1
        return carried

    def _packed(self, pieces: list[list[int]], read_masks: list[list[int]]) -> list[dict[str, Any]]:
        """Windows of whole turns."""
        sink = self.sink
        windows: list[tuple[int, int, int]] = []
        first, read_from = 0, 0
        for place, piece in enumerate(pieces):
            start = place - self.carried_turns(pieces[first:place], piece)
            if start > first:
                windows.append((first, read_from, place))
                first, read_from = start, place
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

    def _per_turn(self, pieces: list[list[int]]) -> list[dict[str, Any]]:
        """One sequence a turn, see `turn_sequence`."""
        # Sequences do not see each other: long dialogues go in portions, unless a module
        # runs over all turns.
        portion = 64 if self.config.context_module == "none" else len(pieces)
        windows = []
        for begin in range(0, len(pieces), portion):
            end = min(begin + portion, len(pieces))
            sequences, turn_ids = [], []
            for turn in range(begin, end):
                ids, owners = self.turn_sequence(pieces[: turn + 1])
                sequences.append(ids)
                turn_ids.append([owner if owner < 0 else owner - begin for owner in owners])
            windows.append(
                {
                    "first_turn": begin,
                    "end_turn": end,
                    "read_from": 0,
                    "input_ids": sequences,
                    "turn_ids": turn_ids,
                }
            )
        return windows

    def turn_sequence(self, pieces: Sequence[list[int]]) -> tuple[list[int], list[int]]:
        """Tokens of turns → one sequence with the last turn's past and itself, and the
        turn that each token belongs to.

        It holds the latest tokens that fit (CoMPM: the last 511 behind [CLS]).
        """
        start = self.sink if self.config.is_decoder_backbone else self._edges()[0]
        room = self.config.sequence_limit - len(start)
        last = len(pieces) - 1
        earliest = 0 if self.config.context_window is None else max(0, last - self.config.context_window)
        ids: list[int] = []
        owners: list[int] = []
        for place in range(last, earliest - 1, -1):
            if len(ids) >= room:
                break
            ids = pieces[place] + ids
            owners = [place] * len(pieces[place]) + owners
        return start + ids[-room:], [-1] * len(start) + owners[-room:]

    def sequence_turns(self, pieces: Sequence[Sequence[int]], piece: Sequence[int]) -> int:
        """How many of the turns before it the sequence of `piece` reaches, whole or in
        part.
        """
        room, reached = self.config.sequence_limit - len(piece), 0
        while reached < len(pieces) and room > 0:
            reached += 1
            room -= len(pieces[-reached])
        return reached

    # -- tensors
    # ----------------------------------------------------------------------------------------------------

    def _collate_tokens(self, examples: Sequence[Mapping[str, Any]], turns: int) -> dict[str, torch.Tensor]:
        sequences = [example["input_ids"] for example in examples]
        turn_ids = [example["turn_ids"] for example in examples]
        batch = {}
        if self.config.context_mode == "per_turn":
            index, count = [], 0
            for example in examples:
                index.append(list(range(count, count + len(example["input_ids"]))))
                count += len(example["input_ids"])
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
        used = sorted({place for row in histories for place in row})
        if used and memory is None:
            raise ValueError(
                f"speaker_memory={self.config.speaker_memory!r}: the collator needs the memory table."
            )
        position = {place: row for row, place in enumerate(used)}
        width = max((len(row) for row in histories), default=0) or 1
        index = torch.full((len(examples), turns, width), -1, dtype=torch.long)
        for dialogue, example in enumerate(examples):
            for turn, row in enumerate(example["memory_index"]):
                if row:
                    index[dialogue, turn, : len(row)] = torch.tensor([position[place] for place in row])
        batch = {"memory_index": index}
        if isinstance(memory, np.ndarray):
            batch["memory_embeds"] = torch.from_numpy(np.array(memory[used], dtype=np.float32))
            return batch
        rows = [list(memory[place]) for place in used] if memory is not None else []
        rows = rows or [[self.tokenizer.pad_token_id]]  # a row that no turn points to keeps shapes regular
        length = max(len(ids) for ids in rows)
        batch["memory_input_ids"] = pad_rows(rows, length, self.tokenizer.pad_token_id)
        batch["memory_attention_mask"] = pad_rows([[1] * len(ids) for ids in rows], length, 0)
        return batch

    def _speaker_id(self, turn: Mapping[str, Any], name: str, place: int) -> int:
        given = turn.get("speaker_id")
        if given is not None and not isinstance(given, (int, np.integer)):
            raise ValueError(
                f"Turn {place}: speaker_id {given!r} is no id; give a whole number, or none to go by the name."
            )
        identity = self.speakers.get(name, 0) if given is None else int(given)
        return identity if 0 <= identity < self.config.num_speakers else 0

    def _label(self, emotion: Any, place: int) -> int:
        names = self.config.label_names
        if emotion is None:
            return NO_LABEL
        if isinstance(emotion, str):
            if emotion not in names:
                raise ValueError(f"Turn {place}: unknown emotion {emotion!r}; the labels are {names}.")
            return names.index(emotion)
        if not isinstance(emotion, (int, np.integer)) or not (
            0 <= emotion < len(names) or emotion == NO_LABEL
        ):
            raise ValueError(f"Turn {place}: label {emotion!r} is no name and outside 0..{len(names) - 1}.")
        return int(emotion)


def dialogue_memory_index(
    turns: Sequence[Mapping[str, Any]], window: int, start: int = 0, said: dict[str, list[int]] | None = None
) -> list[list[int]]:
    """For each turn, the places (from `start` on) of what its speaker said before, oldest
    first, at most `window`.

    `said` carries what people said in earlier dialogues and is extended; without it the
    dialogue stands alone.
    """
    said = {} if said is None else said
    index = []
    for place, turn in enumerate(_listed(turns)):
        earlier = said.setdefault(_turn_speaker(turn, place), [])
        index.append(earlier[-window:])
        earlier.append(start + place)
    return index


def _listed(turns: Any) -> Any:
    if not isinstance(turns, (list, tuple)):
        raise TypeError(f"A dialogue is a list of turns; got {type(turns).__name__}.")
    return turns


def _turn_speaker(turn: Mapping[str, Any], place: int) -> str:
    return clean_text(turn_speaker(turn, place))


def pad_rows(rows: Sequence[Sequence[int]], length: int, value: int) -> torch.Tensor:
    """Rows of whole numbers → one tensor (rows, length), filled up with `value`."""
    tensor = torch.full((len(rows), length), value, dtype=torch.long)
    for number, row in enumerate(rows):
        if len(row):
            tensor[number, : len(row)] = torch.tensor(row, dtype=torch.long)
    return tensor
