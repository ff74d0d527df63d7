"""Remove a person from a checkpoint's folder, and report what cannot be removed."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import load_file, save_file

from ..checkpoint.adapters import DIGESTS_FILE
from ..checkpoint.files import SPEAKERS_FILE, read_speakers, write_speakers
from ..checkpoint.integrity import check_digests, write_digests
from ..checkpoint.run_record import write_json
from ..dialogue.anonymity import any_of_words
from ..errors import EmoNetError
from ..files.guard import parse_json, read_json
from ..pretrained.models import built_in_path, is_built_in
from ..prompted.demonstrations import BANK_FILE, DemonstrationBank
from ..prompted.processing import BIOGRAPHIES_FILE
from .forget_files import Person, scrubber_of, without_text_chunks

_IMAGES = (".bmp", ".gif", ".jpeg", ".jpg", ".pdf", ".png", ".svg", ".tif", ".tiff", ".webp")
# The run's own plots, which show only labels and numbers.
_LABEL_PLOTS = ("confusion_matrix.png", "learning_curves.png")
_SESSIONS = ("session.json", "session.safetensors", "prompted_session.json")
# Files with the backbone's vocabulary, which contains no information on persons.
_VOCABULARY = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
)
_EMBEDDING = "speaker_embedding.weight"
# Shorter names occur in millions of random bytes by chance.
_MIN_LETTERS_IN_BINARY = 5


@dataclass
class ForgetReport:
    """The result of [`forget_in_checkpoint`].

    Attributes:
        removed: (file, what was found and done), in order.
        stays: What cannot be removed, with the reason.
    """

    removed: list[tuple[str, str]] = field(default_factory=list)
    stays: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{file}: {action}" for file, action in self.removed]
        return "\n".join([*lines, "Cannot be removed:", *(f"- {reason}" for reason in self.stays)])


def forget_in_checkpoint(
    folder: str | Path, name: str, turns: set[tuple[str, str]] | None = None
) -> ForgetReport:
    """Remove a person from a run folder.

    Covers registry, speaker embedding, biographies, demonstrations, predictions, reports
    and card. The person's id stays without a name and with the unknown speaker's vector,
    so that other ids do not change. Rows about the person's turns are deleted; in other
    turns `someone` replaces the name. Digests are updated. If interrupted, the same call
    completes the work.

    Args:
        folder: The run folder, which is changed in place.
        name: The person's name, as in `speakers.json`.
        turns: (dialogue id, text) of the person's training turns, which identify their
            demonstrations.

    Raises:
        EmoNetError: If the folder is not a checkpoint, is damaged or contains links, if
            the name does not occur in it, if it has demonstrations and `turns` is
            missing, or if the name is still there at the end.
    """
    folder = Path(folder)
    if is_built_in(built_in_path(str(folder))):
        raise EmoNetError(
            f"{folder.name} is a built-in model, which every user of the package shares: save a copy "
            "(from_pretrained(NAME).save_pretrained(FOLDER)), and give its folder."
        )
    _check_folder(folder)
    config = read_json(folder / "config.json")
    known = read_speakers(folder / SPEAKERS_FILE) if (folder / SPEAKERS_FILE).is_file() else {}
    if (folder / BANK_FILE).is_file() and turns is None:
        raise EmoNetError(
            f"{folder}: its demonstrations do not name their speakers; give the training corpus "
            "(--dataset) to find the person's."
        )
    person = Person(name, known, (config.get("id2label") or {}).values())
    longer = [other for other in known if other != name and any_of_words([name]).search(other)]
    if longer and name not in known:
        raise EmoNetError(
            f"{folder}: {name!r} is part of {', '.join(map(repr, longer))}; give the full name of one person."
        )
    removal = _Removal(folder, person, turns or set())
    checkpoints = [path for path in removal.folders() if (path / SPEAKERS_FILE).is_file()]
    for checkpoint in checkpoints:
        check_digests(checkpoint)  # new digests, written below, would hide earlier damage
    for checkpoint in checkpoints:
        removal.reset_vectors(checkpoint)
    removal.forget_in_stores()
    for file in removal.files():
        removal.forget_in(file)
    for checkpoint in checkpoints:
        removal.forget_in_registry(checkpoint)
    if not removal.report.removed:
        raise EmoNetError(f"{folder}: {name!r} does not occur in it{_suggestion(name, known)}.")
    removal.delete_unsearchable()
    removal.rename()
    removal.update_cards()
    removal.update_digests()
    removal.check_removed()
    removal.report_remaining(config)
    return removal.report


class _Removal:
    """The steps of removing one person from one folder."""

    def __init__(self, folder: Path, person: Person, turns: set[tuple[str, str]]):
        self.folder, self.person, self.turns = folder, person, turns
        self.report = ForgetReport()

    def folders(self) -> Iterator[Path]:
        """The folder and its subfolders, except Trainer checkpoints and stores."""
        yield self.folder
        for path in sorted(self.folder.rglob("*")):
            if path.is_dir() and not self._is_separate(path):
                yield path

    def files(self) -> list[Path]:
        """The files of these folders."""
        return [file for folder in self.folders() for file in sorted(folder.iterdir()) if file.is_file()]

    def reset_vectors(self, folder: Path) -> None:
        """Give the person's id the unknown speaker's vector in a folder's weights."""
        row = read_speakers(folder / SPEAKERS_FILE).get(self.person.name)
        config = read_json(folder / "config.json") if (folder / "config.json").is_file() else {}
        if row is None or config.get("speaker_identity") != "global":
            return
        for file in sorted(folder.glob("*.safetensors")):
            if file.name not in _SESSIONS and _reset_row(file, row):
                self._report(file, f"the vector of id {row} is now the unknown speaker's")
                # At once, so that an interruption leaves a folder that loads.
                if (folder / DIGESTS_FILE).is_file():
                    write_digests(folder)

    def forget_in_stores(self) -> None:
        """Remove the person from the speaker stores in the folder."""
        for store in sorted({table.parent for table in self.folder.rglob("*.lance") if table.is_dir()}):
            from ..speakers.store.forget import forget_speaker

            try:
                forgotten = forget_speaker(store, self.person.name)
            except EmoNetError as error:
                if "no speaker" not in str(error):
                    raise
                continue
            counts = f"{forgotten.utterances} utterances and {forgotten.biographies} biographies"
            self._report(store, f"{counts} of the speaker store")
            if forgotten.mentions:
                self.report.stays.append(
                    f"{store.name}: {forgotten.mentions} utterances of others name the person; they are kept."
                )

    def forget_in(self, file: Path) -> None:
        """Remove the person from a file by the rules of its format."""
        if not file.exists():  # deleted together with another file
            return
        if file.name == SPEAKERS_FILE or _is_vocabulary(file) or file.suffix == ".py":
            return
        if file.name == BIOGRAPHIES_FILE:
            self._forget_biographies(file)
        elif file.name == BANK_FILE:
            self._forget_demonstrations(file)
        elif file.suffix == ".safetensors" and file.name not in _SESSIONS:
            self._forget_in_metadata(file)
        elif file.name in _LABEL_PLOTS:
            content, removed = without_text_chunks(file.read_bytes(), self.person)
            if removed:
                _write(file, content)
                self._report(file, f"{removed} text chunks of the image")
        elif file.suffix.lower() not in _IMAGES:
            self._scrub(file)

    def forget_in_registry(self, folder: Path) -> None:
        """Leave the person's id without a name."""
        file = folder / SPEAKERS_FILE
        names = list(read_speakers(file))
        if self.person.name in names:
            number = 1 + sum(name.startswith("#FORGOTTEN") for name in names)
            # The form of crowds (`#ALL#`), which are not persons.
            names[names.index(self.person.name)] = f"#FORGOTTEN {number}#"
            write_speakers(folder, names)
            self._report(file, "the name of the id")

    def delete_unsearchable(self) -> None:
        """Delete images, Trainer checkpoints and exported models."""
        for file in self.files():
            if file.suffix.lower() in _IMAGES and file.name not in _LABEL_PLOTS:
                file.unlink()
                self._report(file, "an image, which may show the name; deleted")
        for folder in [path for path in sorted(self.folder.rglob("*")) if path.is_dir()]:
            if folder.is_dir() and folder.name == "checkpoints":  # may be gone with its parent
                shutil.rmtree(folder)
                self._report(
                    folder,
                    "training checkpoints with the vector and its moments; deleted, "
                    "training cannot be resumed",
                )
            elif (folder / "onnx.json").is_file():
                shutil.rmtree(folder)
                self._report(folder, "an exported model with the vector; deleted, export the run again")

    def rename(self) -> None:
        """Remove the name from names of files and folders, the deepest first."""
        for path in sorted(self.folder.rglob("*"), key=lambda path: -len(path.parts)):
            name, count = self.person.without(path.name)
            if count and not self._is_separate(path):
                while (path.parent / name).exists():
                    name = f"_{name}"
                path.rename(path.parent / name)
                self.report.removed.append((name, "the name of the file"))

    def update_cards(self) -> None:
        """Generate the cards again from the current files."""
        from ..hub.card import CARD, write_card

        for folder in self.folders():
            if (folder / CARD).is_file() and (folder / "config.json").is_file():
                try:
                    write_card(folder)
                except EmoNetError as error:  # the old card no longer has the name
                    self.report.stays.append(f"{CARD} could not be updated: {error}")
                text, count = self.person.without((folder / CARD).read_text("utf-8"))
                if count:  # the name also occurs in an example of the template
                    _write(folder / CARD, text.encode())

    def update_digests(self) -> None:
        """Write the digests of the changed files."""
        for folder in self.folders():
            if (folder / DIGESTS_FILE).is_file():
                write_digests(folder)

    def check_removed(self) -> None:
        """Check that no file has the name, except in vocabulary, code or labels.

        Raises:
            EmoNetError: If a file still has the name.
        """
        for file in self.files():
            if file.suffix == ".safetensors" or not self.person.in_bytes(content := file.read_bytes()):
                continue  # only weights: the metadata was searched
            if _is_vocabulary(file) or file.suffix == ".py" or self.person.name in self.person.keep:
                self.report.stays.append(
                    f"{file.name}: the name is a word of the backbone's vocabulary, the code or the labels."
                )
            elif self._may_be_chance(content):
                self.report.stays.append(
                    f"{file.name}: the letters occur in it, perhaps by chance; delete it if you can."
                )
            else:
                raise EmoNetError(
                    f"{file}: the name is still in it; delete the file, and run the command again."
                )

    def report_remaining(self, config: dict[str, Any]) -> None:
        """Add to the report what no change of files can remove."""
        self.report.stays += [
            "What the weights learned from this person's turns and from turns addressed to them; "
            "only training again without those turns removes it.",
            "Copies elsewhere: published revisions, exports, speaker stores, $EMONET_CACHE and the "
            "cache of `datasets`.",
        ]
        if config.get("speaker_identity") == "name":
            self.report.stays.append(
                "The model read names as text (speaker_identity='name') and may react to this name."
            )

    def _forget_biographies(self, file: Path) -> None:
        document = read_json(file)
        biographies = document["biographies"]
        kept = {
            name: entry
            for name, entry in biographies.items()
            if name != self.person.name and not self.person.in_text(str(entry))
        }
        if len(kept) < len(biographies):
            document["biographies"] = kept
            write_json(file, document)
            removed = len(biographies) - len(kept)
            self._report(file, f"{removed} biographies, of the person or with the name")

    def _forget_demonstrations(self, file: Path) -> None:
        bank = DemonstrationBank.load(file.parent)
        kept = [
            index
            for index, turn in enumerate(bank.turns)
            if (turn.dialogue_id, turn.text) not in self.turns and not self.person.in_text(turn.text)
        ]
        removed = len(bank.turns) - len(kept)
        if removed:
            turns = [bank.turns[index] for index in kept]
            DemonstrationBank(turns, bank.vectors[kept], bank.embedder, bank.embedder_name).save(file.parent)
            self._report(file, f"{removed} demonstrations, of the person or with the name")

    def _forget_in_metadata(self, file: Path) -> None:
        with safe_open(file, framework="pt") as weights:
            metadata = weights.metadata() or {}
        clean = {
            self.person.without(key)[0]: self.person.without(value)[0] for key, value in metadata.items()
        }
        if clean != metadata:
            temporary = file.with_name(f".{file.name}.{os.getpid()}")
            save_file(load_file(file), temporary, clean)
            os.replace(temporary, file)
            self._report(file, "metadata")

    def _scrub(self, file: Path) -> None:
        content = file.read_bytes()
        count = self.person.in_bytes(content)
        scrub = scrubber_of(file.name)
        if scrub is not None and not (file.name in _SESSIONS and count):
            try:
                clean, deleted, replaced = scrub(content, self.person)
            except Exception as error:  # broken gzip, Parquet and CSV files have no common error
                if count:
                    raise EmoNetError(
                        f"{file}: cannot read it ({error}), and the name is in it; repair or delete the file."
                    ) from error
                return
            if deleted or replaced:
                _write(file, clean)
                self._report(file, f"{deleted} rows or entries deleted, the name replaced {replaced} times")
        elif count and not self._may_be_chance(content):
            # The files of a session belong together.
            for name in _SESSIONS if file.name in _SESSIONS else (file.name,):
                file.with_name(name).unlink(missing_ok=True)
            self._report(file, f"{count} times, in a format that cannot be edited; deleted")

    def _is_separate(self, path: Path) -> bool:
        """Whether a path is of Trainer checkpoints, which are deleted, or of a store."""
        parts = path.relative_to(self.folder).parts
        return any(part == "checkpoints" or part.endswith(".lance") for part in parts)

    def _may_be_chance(self, content: bytes) -> bool:
        """Whether the name is short enough to occur in binary content by chance."""
        try:
            content.decode()
        except UnicodeDecodeError:
            return len(self.person.name) < _MIN_LETTERS_IN_BINARY
        return False

    def _report(self, path: Path, action: str) -> None:
        self.report.removed.append((self.person.without(str(path.relative_to(self.folder)))[0], action))


def training_turns(dataset: str, data_dir: str | None, name: str) -> set[tuple[str, str]]:
    """(dialogue id, text) of a person's turns in a corpus's training split."""
    from ..data import load_conversations

    train = load_conversations(dataset, data_dir, history_scope="none")["train"]
    return {
        (row["dialogue_id"], turn["text"])
        for row in train
        for turn in row["turns"]
        if name == turn["speaker"] or name in turn.get("speakers", ())
    }


def _check_folder(folder: Path) -> None:
    if (folder / "onnx.json").is_file():
        raise EmoNetError(
            f"{folder}: an exported model; remove the person from its run, and export it again."
        )
    if not (folder / "config.json").is_file():
        raise EmoNetError(f"{folder}: not a checkpoint; give a run folder written by `emonet train`.")
    links = [path for path in [folder, *folder.rglob("*")] if path.is_symlink()]
    if links:
        raise EmoNetError(
            f"{links[0]} is a link, and others may use its target; work on a copy: cp -rL {folder} COPY."
        )


def _reset_row(file: Path, row: int) -> bool:
    """Copy row 0 of the id embedding over another, without loading other weights."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    changed = False
    try:
        shutil.copyfile(file, temporary)
        with temporary.open("r+b") as weights:
            size = int.from_bytes(weights.read(8), "little")
            header = parse_json(weights.read(size))
            for name, entry in header.items():
                if not name.endswith(_EMBEDDING) or row >= entry["shape"][0]:
                    continue
                begin, end = entry["data_offsets"]
                width = (end - begin) // entry["shape"][0]
                weights.seek(8 + size + begin)
                unknown = weights.read(width)
                weights.seek(8 + size + begin + row * width)
                changed = changed or weights.read(width) != unknown
                weights.seek(8 + size + begin + row * width)
                weights.write(unknown)
        if changed:
            os.replace(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)
    return changed


def _is_vocabulary(file: Path) -> bool:
    return file.name in _VOCABULARY or file.suffix == ".model"


def _write(file: Path, content: bytes) -> None:
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)


def _suggestion(name: str, known: dict[str, int]) -> str:
    similar = get_close_matches(name, known, 3)
    if similar:
        return f"; did you mean {', '.join(map(repr, similar))}?"
    return "; give the name as in speakers.json"
