"""Build the two views of a corpus from its files: the base of all corpora."""

import hashlib
import os
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import datasets

from ..dialogue.history import named_alike, speaker_histories, turn_rows
from ..dialogue.names import SpeakerKinds, Speakers, speaker_kinds
from ..dialogue.tables.rows import Dialogue
from ..errors import DataFormatError
from ..files.text import c1_note
from ..speakers.registry import SpeakerRegistry
from .folds import Fold, in_fold
from .schema import SPLITS, view_features

_SPLIT_NAMES = {
    "train": datasets.Split.TRAIN,
    "validation": datasets.Split.VALIDATION,
    "test": datasets.Split.TEST,
}
C1_DECODED = "Decoded as cp1252"  # in the description of a corpus with such characters
_HERE = Path(__file__).parent
# The code that determines the rows. A loading script has all of it in its own folder.
_CODE = (_HERE, *(_HERE.parent / room for room in ("dialogue", "files", "speakers")))


@dataclass
class ConversationConfig(datasets.BuilderConfig):  # type: ignore[misc]
    """Configuration of a corpus view.

    Args:
        view: `utterances` or `dialogues`.
        history_window: See [`speaker_histories`].
        history_scope: See [`speaker_histories`].
        verify_counts: Refuse files whose counts differ from the published ones.
        speakers: Which speakers are persons: `auto`, `persons`, `roles`, or a list of
            names; see [`speaker_kinds`].
        fold: Index and number of folds of whole episodes, which replace the splits; see
            [`in_fold`].
        source_digest: Digest of source files, labels and code, set by the builder so that
            a change invalidates the cache.
    """

    view: str = "dialogues"
    history_window: int = 10
    history_scope: str = "corpus"
    verify_counts: bool = True
    speakers: str | list[str] = "auto"
    fold: tuple[int, int] | None = None
    source_digest: str = ""


class ConversationBuilder(datasets.GeneratorBasedBuilder):  # type: ignore[misc]
    """Base of all corpora.

    A subclass sets files, labels and counts, and reads a file into dialogues. One whose
    splits are not a file each says where they are (`find_files`, `source_files`).
    """

    BUILDER_CONFIG_CLASS = ConversationConfig
    BUILDER_CONFIGS: ClassVar = [
        ConversationConfig(name=view, view=view) for view in ("dialogues", "utterances")
    ]
    DEFAULT_CONFIG_NAME = "dialogues"
    VERSION = datasets.Version("1.0.0")

    corpus: str = ""  # the name in all results
    labels: ClassVar[list[str]] = []
    files: ClassVar[Mapping[str, str]] = {}  # split → file name
    url: str = ""  # public home; a file name follows it. Without one, nothing is downloaded
    release: str = ""  # the folder's name as its owners give it
    layout: str = ""  # the files that belong into the folder, for messages
    primary_metric: str = "weighted_f1"  # chooses the epoch and comes first in tables
    sizes: ClassVar[Mapping[str, tuple[int, int]]] = {}  # split → dialogues, turns
    # split → label → turns, where they are published
    label_counts: ClassVar[Mapping[str, Mapping[str, int]]] = {}
    description: str = ""
    homepage: str = ""
    licence: str = ""
    reading: str = ""  # how else your own files are read, as a part of the cache's key
    episode_parts: int = 0  # the first parts of a dialogue's order that name its episode
    interleaved: bool = False  # whether rows of a dialogue may stand between those of others

    def __init__(self, *args: Any, **kwargs: Any):
        # datasets keys a data_dir by its path alone, and would return stale rows after
        # its files changed.
        if kwargs.get("data_dir"):
            kwargs["source_digest"] = self.cache_digest(self.find_files(Path(kwargs["data_dir"])))
        super().__init__(*args, **kwargs)

    @staticmethod
    def read(path: Path, split: str) -> list[Dialogue]:
        """Read the dialogues of a split from its path, each with its turns in order."""
        raise NotImplementedError

    @classmethod
    def decoded_c1(cls, paths: Mapping[str, Path]) -> int:
        """Count the C1 characters that were decoded, which makes a version of its own."""
        return 0

    @classmethod
    def is_in(cls, folder: Path) -> bool:
        """Whether `folder` has files of the corpus; some may be missing."""
        return (folder / next(iter(cls.files.values()))).is_file()

    @classmethod
    def find_files(cls, data_dir: Path) -> dict[str, Path]:
        """Find the path of each split in `data_dir`.

        Raises:
            DataFormatError: if some are missing; it names them.
        """
        paths = {split: data_dir / name for split, name in cls.files.items()}
        missing = [path.name for path in paths.values() if not path.is_file()]
        if missing:
            raise DataFormatError(
                f"{data_dir} lacks {', '.join(missing)}; get the files from {cls.homepage}."
            )
        return paths

    @classmethod
    def source_files(cls, path: Path, split: str) -> list[Path]:
        """List the files that `read` reads."""
        return [path]

    @classmethod
    def where_to_get(cls, folder: str) -> str:
        """Say how to get a corpus that is not downloaded."""
        return (
            f"{cls.corpus} is not downloaded, because you have to accept its licence. Get it from "
            f"{cls.homepage}. Then pass its folder as data_dir, or put it as {folder!r} into the folder "
            f"that the environment variable EMONET_DATA names. It must hold {cls.layout}."
        )

    def _info(self) -> datasets.DatasetInfo:
        features = view_features(self.config.view, self.labels, self.config.fold is not None)
        return datasets.DatasetInfo(
            description=self.description, features=features, homepage=self.homepage, license=self.licence
        )

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        if self.config.data_dir:
            paths = self.find_files(Path(self.config.data_dir))
        elif not self.url:
            raise DataFormatError(self.where_to_get(self.release))
        else:
            fetched = dl_manager.download({split: self.url + name for split, name in self.files.items()})
            paths = {split: Path(path) for split, path in fetched.items()}
        rows = list(self.rows(paths, self.config))
        if count := self.decoded_c1(paths):  # kept with the built rows
            self.info.description += f" {C1_DECODED}: {count} characters U+0080 to U+009F."
            warnings.warn(f"{self.corpus}: {c1_note(count)}.", stacklevel=2)
        present = [split for split in SPLITS if split in paths or self.config.fold]
        return [
            datasets.SplitGenerator(
                name=_SPLIT_NAMES[split],
                gen_kwargs={"rows": tuple(row for owner, row in rows if owner == split)},
            )
            for split in present
        ]

    def _generate_examples(self, rows: tuple[dict[str, Any], ...]) -> Iterator[tuple[int, dict[str, Any]]]:
        yield from enumerate(rows)

    @classmethod
    def dialogues(cls, paths: Mapping[str, Path], verify_counts: bool = True) -> list[Dialogue]:
        """Read and check the dialogues of all splits, in chronological order.

        Raises:
            DataFormatError: for a repeated dialogue id, an unknown label, or other counts
                than the published ones.
        """
        found = [dialogue for split, path in paths.items() for dialogue in cls.read(path, split)]
        owners: dict[str, str] = {}
        for dialogue in found:
            file, name = paths[dialogue.split].name, dialogue.dialogue_id
            if name in owners:
                raise DataFormatError(
                    f"{file}: dialogue_id {name!r} is used already in {owners[name]}. Ids must be "
                    "unique over all splits, or a dialogue could leak from one into another. "
                    "Rename one of the two."
                )
            owners[name] = file
            for number, turn in enumerate(dialogue.turns, 1):
                if turn.emotion is not None and turn.emotion not in cls.labels:
                    raise DataFormatError(
                        f"{file}, dialogue {name!r}: unknown label {turn.emotion!r} "
                        f"in turn {number}, emotion; the labels are {', '.join(cls.labels)}."
                    )
        if verify_counts:
            cls._verify(found)
        return sorted(found, key=lambda dialogue: dialogue.order)

    @classmethod
    def rows(
        cls, paths: Mapping[str, Path], config: ConversationConfig
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield (split, row) of the configured view."""
        dialogues = cls.dialogues(paths, config.verify_counts)
        episodes: Sequence[str] = ()
        if config.fold:  # before histories and ids are made, which then keep to its splits
            episodes = cls.episodes(paths, dialogues)
            dialogues = in_fold(dialogues, episodes, Fold(*config.fold))
        kinds = cls.speaker_kinds(dialogues, config.speakers)
        # Names of published corpora are spelled alike.
        named = dialogues if cls.sizes else named_alike(dialogues, kinds)
        registry = SpeakerRegistry.from_dialogues(named, kinds)
        histories = speaker_histories(named, config.history_window, config.history_scope, kinds)
        texts = [turn.text for dialogue in dialogues for turn in dialogue.turns]
        every_turn = turn_rows(dialogues, histories, cls.labels)
        for index, (dialogue, turns) in enumerate(zip(dialogues, every_turn, strict=True)):
            for turn in turns:
                turn["speaker_id"] = registry.id_of(turn["speaker"])
            if config.view == "dialogues":
                episode = {"episode": episodes[index]} if episodes else {}
                yield dialogue.split, {"dialogue_id": dialogue.dialogue_id, **episode, "turns": turns}
                continue
            for turn_index, turn_row in enumerate(turns):
                yield (
                    dialogue.split,
                    {
                        "dialogue_id": dialogue.dialogue_id,
                        "turn": turn_index,
                        **turn_row,
                        "speaker_history": [texts[i] for i in turn_row["speaker_history_index"]],
                    },
                )

    @classmethod
    def episodes(cls, paths: Mapping[str, Path], dialogues: Sequence[Dialogue]) -> list[str]:
        """Name the episode, session or group of each dialogue, which folds keep together.

        Raises:
            DataFormatError: for a corpus that does not tell.
        """
        if not cls.episode_parts:
            raise DataFormatError(
                f"{cls.corpus} does not tell which dialogues belong to one episode, so it has no folds of "
                "whole episodes."
            )
        return ["-".join(map(str, dialogue.order[: cls.episode_parts])) for dialogue in dialogues]

    @classmethod
    def speaker_kinds(cls, dialogues: Sequence[Dialogue], speakers: Speakers = "auto") -> SpeakerKinds:
        """Decide which of the primary speakers of all splits are persons."""
        names = dict.fromkeys(turn.speakers[0] for dialogue in dialogues for turn in dialogue.turns)
        return speaker_kinds(names, speakers)

    @classmethod
    def cache_digest(cls, paths: Mapping[str, Path]) -> str:
        """Digest of the files, the labels and the code that determine the rows."""
        sources = {
            f"{split}/{os.path.relpath(file, path)}": file
            for split, path in paths.items()
            for file in cls.source_files(path, split)
        }
        key = (cls.corpus, cls.labels, cls.interleaved, cls.reading, digest_of(sources))
        digest = hashlib.sha256(repr(key).encode())
        for code in sorted(path for room in _CODE for path in room.rglob("*.py")):
            digest.update(code.read_bytes())
        return digest.hexdigest()[:16]

    @classmethod
    def _verify(cls, dialogues: list[Dialogue]) -> None:
        """Refuse a corpus whose counts are not the published ones."""
        for split, size in cls.sizes.items():
            part = [dialogue for dialogue in dialogues if dialogue.split == split]
            published = cls.label_counts.get(split)
            cls._check_counts(split, part, size, *([] if published is None else [published]))

    @classmethod
    def _check_counts(
        cls, name: str, dialogues: Sequence[Dialogue], size: tuple[int, int], *published: Mapping[str, int]
    ) -> None:
        """Compare a part of the corpus with its published counts.

        Args:
            name: The part's name, for the message.
            dialogues: Its dialogues.
            size: The published numbers of dialogues and turns.
            published: Label → turns; of several versions, any may match. Turns without a
                label are not compared.
        """
        emotions = [turn.emotion for dialogue in dialogues for turn in dialogue.turns]
        labels = Counter(emotion for emotion in emotions if emotion is not None)
        if (len(dialogues), len(emotions)) == size and (
            not published or any(labels == Counter(counts) for counts in published)
        ):
            return
        expected = f", labels {' or '.join(str(dict(counts)) for counts in published)}" if published else ""
        found = f", labels {dict(labels)}" if published else ""
        raise DataFormatError(
            f"{cls.corpus} {name}: expected {size[0]} dialogues and {size[1]} turns{expected}; found "
            f"{len(dialogues)} and {len(emotions)}{found}. These are not the published files; get them "
            "again, or pass verify_counts=False to use them."
        )


def digest_of(paths: Mapping[str, Path]) -> str:
    """Digest of the contents of files (split → path), in order of their splits.

    Instead of a split there may be any name.
    """
    digest = hashlib.sha256()
    for split in sorted(paths):
        digest.update(split.encode() + b"\0" + hashlib.sha256(paths[split].read_bytes()).digest())
    return digest.hexdigest()[:16]


def by_label(labels: Sequence[str], *counts: int) -> dict[str, int]:
    """Map labels to their numbers of turns."""
    return dict(zip(labels, counts, strict=True))
