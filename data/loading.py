"""Load a known corpus or your own files."""

import hashlib
import logging
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets

from ..dialogue.names import SpeakerKinds, Speakers, speaker_kinds
from ..dialogue.tables.columns import Columns
from ..dialogue.tables.datasets import SPLIT_NAMES
from ..dialogue.tables.labels import same_labels, spellings_note
from ..dialogue.tables.table import ENDINGS
from ..errors import DataFormatError
from ..files.text import clean, short
from ..speakers.registry import SpeakerRegistry
from .conversations import C1_DECODED, ConversationBuilder, digest_of
from .dailydialog import DailyDialog
from .emorynlp import EmoryNLP
from .emorynlp_aligned import EmoryNLPAligned
from .folds import Fold
from .iemocap import IEMOCAP, IEMOCAP4
from .imported import import_dataset, is_dataset_folder, is_hub_id, load_any
from .meld import MELD
from .own import own_builder, read_conversation_file
from .schema import EMORYNLP_LABELS, SPLITS

logger = logging.getLogger(__name__)

CORPORA: dict[str, tuple[type[ConversationBuilder], str]] = {
    "emorynlp": (EmoryNLP, "emorynlp"),
    "emorynlp-full": (EmoryNLP, "emorynlp"),
    "emorynlp-aligned": (EmoryNLPAligned, "emorynlp_aligned"),
    "iemocap": (IEMOCAP, "iemocap"),
    "iemocap-4": (IEMOCAP4, "iemocap"),
    "dailydialog": (DailyDialog, "dailydialog"),
    "meld": (MELD, "meld"),
}
VIEWS = ("dialogues", "utterances")


class Conversations(datasets.DatasetDict):  # type: ignore[misc]
    """A `DatasetDict` that knows its speakers, labels and version.

    Attributes:
        speakers: The registry of global ids.
        labels: Label names in order of their ids.
        dataset_version: Corpus and version, recorded with all results.
        files: The user's own files by split; empty for a known corpus.
        speaker_kinds: Which speakers are persons, and which are roles of their dialogue.
    """

    speakers: SpeakerRegistry
    labels: list[str]
    dataset_version: str
    files: dict[str, Path]
    speaker_kinds: SpeakerKinds
    _texts: list[str]

    def utterance_texts(self) -> list[str]:
        """Texts of all utterances of all splits, by `utterance_index`."""
        return self._texts

    def labelled_turns(self) -> dict[str, int]:
        """Count the turns with a label, by split."""
        return {
            name: sum(turn["emotion"] is not None for row in split for turn in row.get("turns", [row]))
            for name, split in self.items()
        }

    def restricted_to(self, splits: Iterable[str]) -> "Conversations":
        """Keep these splits only.

        The utterance table stays complete, because histories refer to it.
        """
        return _conversations({name: self[name] for name in splits}, self)


def load_conversations(
    name_or_path: str | Path | datasets.Dataset | datasets.DatasetDict,
    data_dir: str | Path | None = None,
    *,
    view: str = "dialogues",
    history_window: int = 10,
    history_scope: str = "corpus",
    cache_dir: str | Path | None = None,
    verify_counts: bool = True,
    labels: list[str] | None = None,
    interleaved: bool = False,
    speakers: Speakers = "auto",
    columns: Columns | None = None,
    fold: Fold | None = None,
) -> Conversations:
    """Load a corpus, ready to encode.

    Args:
        name_or_path: `emorynlp` (the full corpus), `emorynlp-aligned`, `iemocap` (six
            labels), `iemocap-4`, `dailydialog`, `meld`, `sample` (the embedded corpus);
            or a file of [`Table`], or a folder with `train`, `validation` (or `dev`) and
            `test` files. A single file becomes the split that its name gives, else
            `train`. Or a `datasets.Dataset` or `DatasetDict`, its id on the Hub
            (`owner/name`, `owner/name:config`), or its folder, such as
            [`push_dataset`] writes; see [`import_dataset`].
        data_dir: Folder with a known corpus's files, or its parent. Default:
            `$EMONET_DATA`, else the files are downloaded. IEMOCAP and DailyDialog are
            not: their licences have to be accepted first.
        view: `dialogues` or `utterances`.
        history_window: The largest number of utterances in a history.
        history_scope: Where a history comes from: `corpus`, `dialogue` or `none`; see
            [`speaker_histories`].
        cache_dir: Where `datasets` stores the built corpus.
        verify_counts: Refuse files of a known corpus that are not the published ones.
        labels: Label set of your own files. Default: the emotions that occur in them;
            those that differ in case only are one, in the most frequent spelling.
        interleaved: Whether the rows of a dialogue in your own files may stand between
            those of other dialogues.
        speakers: Who is the same person in every dialogue: `auto` (by the names: a
            `SPEAKER_00` is not), `persons` (all), `roles` (nobody), or names of persons.
        columns: Field (`dialogue_id`, `turn`, `speaker`, `text`, `emotion`) → column of
            your own data. Others are found by usual names. `{"speaker": None}` makes all
            speakers unknown.
        fold: Replace the splits by those of a fold of whole episodes, see [`in_fold`];
            your own data names them in a column `group`. Ids and histories then are made
            by the rules for the fold's splits.

    Raises:
        DataFormatError: for an unknown name, and for missing or wrong files.
    """
    if view not in VIEWS:
        raise DataFormatError(f"view={view!r} is not one of {', '.join(VIEWS)}.")
    if labels is not None and (
        len(set(labels)) < len(labels) or not all(label and clean(label) == label for label in labels)
    ):
        raise DataFormatError(
            f"labels={short(labels)}: label names must be distinct, not empty and without control characters."
        )
    try:
        given = speaker_kinds((), speakers)
    except ValueError as error:
        raise DataFormatError(str(error)) from error
    name = str(name_or_path) if isinstance(name_or_path, str | Path) else "dataset"
    directory: Path | None
    if name in CORPORA and columns:
        raise DataFormatError(f"{name}: its columns are known; columns is for your own data.")
    if name in CORPORA:
        builder, folder = CORPORA[name]
        directory = _corpus_folder(builder, folder, data_dir)
        version = f"{builder.corpus}-{builder.VERSION}"
    else:
        builder, paths = _own_builder(name_or_path, labels, interleaved, columns)
        digest = digest_of(paths)
        if columns:  # other columns are another corpus
            digest = hashlib.sha256(f"{digest} {builder.reading}".encode()).hexdigest()
        version = f"{builder.corpus}-{digest[:8]}"
        directory = next(iter(paths.values())).parent
    version += given.version
    instance = builder(
        cache_dir=str(cache_dir) if cache_dir else None,
        config_name=view,
        data_dir=str(directory) if directory else None,
        history_window=history_window,
        history_scope=history_scope,
        verify_counts=verify_counts,
        speakers=given.record,
        fold=(fold.index, fold.count) if fold else None,
    )
    with _quiet():
        try:
            instance.download_and_prepare(verification_mode="no_checks")
        except datasets.exceptions.DatasetGenerationError as error:  # its own text hides the cause
            raise DataFormatError(
                f"{name}: cannot build the dataset ({error.__cause__ or error!r})."
            ) from error
        except OSError as error:
            if directory:
                raise
            raise DataFormatError(
                f"{name}: cannot fetch the files from {builder.url} ({error}). Pass their folder as "
                "data_dir or set it in the environment variable EMONET_DATA."
            ) from error
        built = instance.as_dataset()
    result = _conversations(dict(built.items()))
    if C1_DECODED in (instance.info.description or ""):
        version += "+cp1252"
    if fold:
        version += fold.version
    result.labels, result.dataset_version = list(builder.labels), version
    result.files = {} if name in CORPORA else dict(paths)
    result.speakers, result._texts = _speakers_and_texts(result, view)
    every = dict.fromkeys(turn["speaker"] for split in result.values() for turn in _turns(split, view))
    result.speaker_kinds = speaker_kinds(every, given.record)
    if name not in (*CORPORA, "sample") and (note := result.speaker_kinds.note()):
        logger.warning(f"{name}: {note}.")
    return result


def primary_metric(dataset_version: str | None) -> str:
    """The metric by which the field ranks systems on a corpus, weighted F1 for most.

    Args:
        dataset_version: As in [`Conversations`].
    """
    corpus = re.sub(r"-\d+\.\d+\.\d+.*", "", dataset_version or "")
    builders = (builder for builder, _ in CORPORA.values() if builder.corpus == corpus)
    return next(builders, ConversationBuilder).primary_metric


def _conversations(splits: dict[str, Any], source: Conversations | None = None) -> Conversations:
    result = Conversations(splits)
    if source is not None:
        result.labels, result.dataset_version = source.labels, source.dataset_version
        result.speakers, result._texts, result.files = source.speakers, source._texts, source.files
        result.speaker_kinds = source.speaker_kinds
    return result


def _speakers_and_texts(splits: Conversations, view: str) -> tuple[SpeakerRegistry, list[str]]:
    """Read the registry and the utterance table back from the built rows."""
    rows = [turn for split in splits.values() for turn in _turns(split, view)]
    ids: dict[int, str] = {}
    for turn in rows:  # a person's first spelling is the registry's
        if turn["speaker_id"]:
            ids.setdefault(turn["speaker_id"], turn["speaker"])
    texts = [""] * len(rows)
    for turn in rows:
        texts[turn["utterance_index"]] = turn["text"]
    return SpeakerRegistry(ids[speaker_id] for speaker_id in sorted(ids)), texts


def _turns(split: Any, view: str) -> Iterable[dict[str, Any]]:
    if view == "utterances":
        yield from split.select_columns(["speaker", "speaker_id", "text", "utterance_index"])
    else:
        for row in split:
            yield from row["turns"]


def own_file(dataset: str | Path, split: str) -> Path | None:
    """The file of a split of your own data; None for other data.

    Raises:
        DataFormatError: for a path without data.
    """
    name = str(dataset)
    if name in CORPORA or name == "sample":
        return None
    return (_own_files(name) or {}).get(split)


def _sample() -> Path:
    return Path(__file__).parent / "sample"


def _path(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError as error:  # no home folder for a path like ~nobody
        raise DataFormatError(f"{name!r} is neither a corpus nor a path: {error}") from error


def _corpus_folder(
    builder: type[ConversationBuilder], folder: str, data_dir: str | Path | None
) -> Path | None:
    """Find the folder of a corpus; None where the builder downloads the files."""
    parent = data_dir or os.environ.get("EMONET_DATA")
    if parent:
        for name in ("", folder, builder.release, f"{folder}/{builder.release}"):
            if builder.is_in(Path(parent, name)):
                return Path(parent, name)
    if data_dir:
        names = builder.layout or ", ".join(builder.files.values())
        raise DataFormatError(
            f"{data_dir}: neither this folder nor {folder!r} in it has {names}; see {builder.homepage}."
        )
    if not builder.url:
        raise DataFormatError(builder.where_to_get(folder))
    return None


def _own_builder(
    source: Any, labels: list[str] | None, interleaved: bool, columns: Columns | None
) -> tuple[type[ConversationBuilder], dict[str, Path]]:
    """Make a builder of the user's own data, and map splits to files."""
    if str(source) == "sample":
        files = _own_files(str(_sample())) or {}
        return own_builder(files, labels or EMORYNLP_LABELS, "sample", chronological_ids=True), files
    is_text = isinstance(source, str | Path)
    own = _own_files(str(source)) if is_text else None
    if own is not None:
        labels = _labels_in(own, interleaved, columns) if labels is None else labels
        name = Path(source).expanduser().stem
        return own_builder(own, labels, name, interleaved=interleaved, columns=columns), own
    name = Path(str(source)).name if is_text else "dataset"
    found = import_dataset(load_any(str(source)) if is_text else source, name.replace(":", "-"), columns)
    if labels is None:
        labels = found.labels or _labels_in(found.files, interleaved)
    builder = own_builder(found.files, labels, found.name, interleaved=interleaved, order=found.order)
    return builder, found.files


def _own_files(name: str) -> dict[str, Path] | None:
    """Map splits to the user's own files; None for a dataset that `datasets` reads.

    Raises:
        DataFormatError: for neither of both.
    """
    path = _path(name)
    if path.is_file():
        return {SPLIT_NAMES.get(path.stem.lower(), "train"): path}
    if not path.is_dir():
        if is_hub_id(name):
            return None
        raise DataFormatError(
            f"{name!r} is neither a corpus ({', '.join([*CORPORA, 'sample'])}) nor a file, a folder, or a "
            "dataset's id on the Hub (owner/name)."
        )
    files: dict[str, Path] = {}
    for file in sorted(path.iterdir()):
        split = SPLIT_NAMES.get(file.stem.lower())
        if split is None or file.suffix.lower() not in ENDINGS:
            continue
        if split in files:
            raise DataFormatError(
                f"{path}: both {files[split].name} and {file.name} are the {split} split; keep one."
            )
        files[split] = file
    if files:
        return {split: files[split] for split in SPLITS if split in files}
    if is_dataset_folder(path):
        return None
    raise DataFormatError(
        f"{path}: no train, validation or test file with the ending {' or '.join(ENDINGS)}; add one."
    )


def _labels_in(files: Mapping[str, Path], interleaved: bool, columns: Columns | None = None) -> list[str]:
    """Find the labels of the user's files, one for all spellings that differ in case."""
    counts = Counter[str]()
    with warnings.catch_warnings():  # the builder reads the files again, and warns then
        warnings.simplefilter("ignore")
        for split, file in files.items():
            for dialogue in read_conversation_file(file, split, interleaved, columns):
                counts.update(turn.emotion for turn in dialogue.turns if turn.emotion is not None)
    spellings = same_labels(counts)
    if note := spellings_note(spellings, counts):
        warnings.warn(f"{', '.join(file.name for file in files.values())}: {note}.", stacklevel=2)
    return sorted(set(spellings.values())) or EMORYNLP_LABELS  # the label column needs names in any case


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide the progress bars of datasets."""
    enabled = datasets.utils.logging.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if enabled:
            datasets.enable_progress_bars()
