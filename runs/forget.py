"""Taking a person out of a checkpoint's folder, with a report of what was found where and
what can't be removed.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import load_file, save_file

from ..checkpoint.files import SPEAKERS_FILE, read_speakers, write_speakers
from ..checkpoint.integrity import DIGESTS_FILE, check_digests, write_digests
from ..checkpoint.run_record import write_json
from ..dialogue.anonymity import any_of_words
from ..errors import EmoNetError
from ..files.guard import parse_json, read_json
from ..prompted.demonstrations import BANK_FILE, DemonstrationBank
from ..prompted.processing import BIOGRAPHIES_FILE
from .forget_files import Person, scrubber_of, without_text_chunks

_PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".pdf", ".png", ".svg", ".tif", ".tiff", ".webp")
_PICTURES_OF_LABELS = (
    "confusion_matrix.png",
    "learning_curves.png",
)  # the run's own, which show figures by label alone
_SESSIONS = ("session.json", "session.safetensors", "prompted_session.json")
# Files whose words are the backbone's or the code's, and say nothing of anybody.
_VOCABULARY = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
)
_EMBEDDING = "speaker_embedding.weight"
_SHORTEST_IN_NUMBERS = 5  # letters that are no chance among some millions of bytes


@dataclass
class ForgetReport:
    """What `forget_in_checkpoint` found.

    Attributes:
        removed: (file, what was found and done), in order. stays: What can't be removed,
            with the reason.
    """

    removed: list[tuple[str, str]] = field(default_factory=list)
    stays: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{file}: {what}" for file, what in self.removed]
        return "\n".join([*lines, "What this can't remove:", *(f"- {reason}" for reason in self.stays)])


def forget_in_checkpoint(
    folder: str | Path, name: str, turns: set[tuple[str, str]] | None = None
) -> ForgetReport:
    """Take a person out of a run's folder: registry, id vector, biographies,
    demonstrations, predictions, reports, card.

    Their id stays, under no name and with the unknown speaker's vector, so that the ids
    of others do. Rows about their turns go; in what others said, `someone` stands in the
    place of the name. Digests are renewed. Interrupted, the same call completes it.

    Args:
        turns: (dialogue id, text) of what they said in training, by which demonstrations
            are found.

    Raises:
        EmoNetError: for a folder that is no checkpoint, is damaged or leads out by a
            link, a name that is nowhere in it, demonstrations without `turns`, or if the
            name is still there at the end.
    """
    folder = Path(folder)
    _check_folder(folder)
    config = read_json(folder / "config.json")
    known = read_speakers(folder / SPEAKERS_FILE) if (folder / SPEAKERS_FILE).is_file() else {}
    if (folder / BANK_FILE).is_file() and turns is None:
        raise EmoNetError(
            f"{folder}: its demonstrations do not say who said them; give the training corpus (--dataset), by which the person's "
            "are found."
        )
    person = Person(name, known, (config.get("id2label") or {}).values())
    longer = [other for other in known if other != name and any_of_words([name]).search(other)]
    if longer and name not in known:
        raise EmoNetError(
            f"{folder}: {name!r} is a part of {', '.join(map(repr, longer))}; give the whole name of the one you mean."
        )
    work = _Work(folder, person, turns or set())
    places = [place for place in work.folders() if (place / SPEAKERS_FILE).is_file()]
    for place in places:
        check_digests(place)  # digests are renewed below, which would hide a damage of before
    for place in places:
        work.reset_vectors(place)
    work.forget_in_stores()
    for file in work.files():
        work.forget_in(file)
    for place in places:
        work.forget_in_registry(place)
    if not work.report.removed:
        raise EmoNetError(f"{folder}: {name!r} is nowhere in it{_like(name, known)}.")
    work.delete_what_may_show_them()
    work.rename()
    work.renew_card()
    work.renew_digests()
    work.check_gone()
    work.say_what_stays(config)
    return work.report


class _Work:
    """The steps, on one folder."""

    def __init__(self, folder: Path, person: Person, turns: set[tuple[str, str]]):
        self.folder, self.person, self.turns = folder, person, turns
        self.report = ForgetReport()

    def folders(self) -> Iterator[Path]:
        """The folder and those below it, but for intermediate states of training and
        stores.
        """
        yield self.folder
        yield from (
            each for each in sorted(self.folder.rglob("*")) if each.is_dir() and not self._apart(each)
        )

    def files(self) -> list[Path]:
        return [file for place in self.folders() for file in sorted(place.iterdir()) if file.is_file()]

    def reset_vectors(self, place: Path) -> None:
        """Give the person's id the unknown speaker's vector, in all weights of a folder."""
        row = read_speakers(place / SPEAKERS_FILE).get(self.person.name)
        config = read_json(place / "config.json") if (place / "config.json").is_file() else {}
        if row is None or config.get("speaker_identity") != "global":
            return
        for file in sorted(place.glob("*.safetensors")):
            if file.name not in _SESSIONS and _reset_row(file, row):
                self._removed(file, f"the vector of id {row} is now the unknown speaker's")
                if (place / DIGESTS_FILE).is_file():
                    write_digests(place)

    def forget_in_stores(self) -> None:
        """Speaker stores that lie in the folder have a way of their own."""
        for store in sorted({each.parent for each in self.folder.rglob("*.lance") if each.is_dir()}):
            from ..store.forget import forget_speaker

            try:
                gone = forget_speaker(store, self.person.name)
            except EmoNetError as error:
                if "no speaker" not in str(error):
                    raise
                continue
            self._removed(
                store, f"{gone.utterances} utterances and {gone.biographies} biographies of the speaker store"
            )
            if gone.mentions:
                self.report.stays.append(
                    f"{store.name}: {gone.mentions} utterances of others name them; they are what others said."
                )

    def forget_in(self, file: Path) -> None:
        """Take the person out of a file by the rules of its format."""
        if not file.exists():  # it went with another
            return
        if file.name == SPEAKERS_FILE or _is_vocabulary(file) or file.suffix == ".py":
            return
        if file.name == BIOGRAPHIES_FILE:
            self._forget_biographies(file)
        elif file.name == BANK_FILE:
            self._forget_demonstrations(file)
        elif file.suffix == ".safetensors" and file.name not in _SESSIONS:
            self._forget_in_metadata(file)
        elif file.name in _PICTURES_OF_LABELS:
            content, gone = without_text_chunks(file.read_bytes(), self.person)
            if gone:
                _write(file, content)
                self._removed(file, f"{gone} texts beside the picture")
        elif file.suffix.lower() not in _PICTURES:
            self._scrub(file)

    def forget_in_registry(self, place: Path) -> None:
        """Leave their id without a name."""
        file = place / SPEAKERS_FILE
        names = list(read_speakers(file))
        if self.person.name in names:
            number = 1 + sum(name.startswith("#FORGOTTEN") for name in names)
            names[names.index(self.person.name)] = (
                f"#FORGOTTEN {number}#"  # a crowd's form: nobody in particular
            )
            write_speakers(place, names)
            self._removed(file, "the name of the id")

    def delete_what_may_show_them(self) -> None:
        """Delete pictures, whose pixels nobody can search, and the states between which
        training can be resumed.
        """
        for file in self.files():
            if file.suffix.lower() in _PICTURES and file.name not in _PICTURES_OF_LABELS:
                file.unlink()
                self._removed(file, "a picture, which may show the name; deleted")
        for place in [each for each in sorted(self.folder.rglob("*")) if each.is_dir()]:
            if place.is_dir() and place.name == "checkpoints":
                shutil.rmtree(place)
                self._removed(
                    place,
                    "states of training that hold the vector and its moments; deleted, it can't be resumed",
                )
            elif (place / "onnx.json").is_file():
                shutil.rmtree(place)
                self._removed(
                    place, "an exported model, which holds the vector; deleted, export the run again"
                )

    def rename(self) -> None:
        """Take the name out of the names of files and folders, the deepest first."""
        for path in sorted(self.folder.rglob("*"), key=lambda path: -len(path.parts)):
            name, places = self.person.without(path.name)
            if places and not self._apart(path):
                while (path.parent / name).exists():
                    name = f"_{name}"
                path.rename(path.parent / name)
                self.report.removed.append((name, "the name of the file"))

    def renew_card(self) -> None:
        """Generate the card's parts anew from the files as they are now."""
        from ..hub.card import CARD, write_card

        for place in self.folders():
            if (place / CARD).is_file() and (place / "config.json").is_file():
                try:
                    write_card(place)
                except EmoNetError as error:  # the name is out of it already
                    self.report.stays.append(f"{CARD} could not be brought up to date: {error}")
                text, named = self.person.without((place / CARD).read_text("utf-8"))
                if named:  # an example of the template has a name too
                    _write(place / CARD, text.encode())

    def renew_digests(self) -> None:
        for place in self.folders():
            if (place / DIGESTS_FILE).is_file():
                write_digests(place)

    def check_gone(self) -> None:
        """The proof: the name is in no byte of the folder, but for the words of a
        vocabulary, of code and of labels.
        """
        for file in self.files():
            if file.suffix == ".safetensors" or not self.person.in_bytes(content := file.read_bytes()):
                continue  # numbers, whose metadata was searched
            if _is_vocabulary(file) or file.suffix == ".py" or self.person.name in self.person.keep:
                self.report.stays.append(
                    f"{file.name}: the word is part of the backbone's vocabulary, the code or the labels."
                )
            elif self._may_be_chance(content):
                self.report.stays.append(
                    f"{file.name}: the letters are in it, which may be chance; delete it if you can."
                )
            else:
                raise EmoNetError(
                    f"{file}: the name is still in it; delete the file, and forget the person again."
                )

    def say_what_stays(self, config: dict[str, Any]) -> None:
        self.report.stays += [
            "The weights learnt from what this person said and from what was said to them: only training again, without them, "
            "undoes that.",
            "Copies elsewhere: published revisions, exports, speaker stores, $EMONET_CACHE and the cache of `datasets`.",
        ]
        if config.get("speaker_identity") == "name":
            self.report.stays.append(
                "The model read names as text (speaker_identity='name'), and may answer to this one."
            )

    # -- kinds of files
    # ---------------------------------------------------------------------------------------------

    def _forget_biographies(self, file: Path) -> None:
        document = read_json(file)
        written = document["biographies"]
        told = [
            who
            for who, entry in written.items()
            if who == self.person.name or self.person.in_text(str(entry))
        ]
        if told:
            document["biographies"] = {who: entry for who, entry in written.items() if who not in told}
            write_json(file, document)
            self._removed(file, f"{len(told)} biographies, theirs and others' that name them")

    def _forget_demonstrations(self, file: Path) -> None:
        bank = DemonstrationBank.load(file.parent)
        theirs = [
            (turn.dialogue_id, turn.text) in self.turns or self.person.in_text(turn.text) > 0
            for turn in bank.turns
        ]
        if any(theirs):
            kept = [place for place, gone in enumerate(theirs) if not gone]
            turns = [bank.turns[place] for place in kept]
            DemonstrationBank(turns, bank.vectors[kept], bank.embedder, bank.embedder_name).save(file.parent)
            self._removed(file, f"{sum(theirs)} demonstrations, theirs and others' that name them")

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
            self._removed(file, "metadata")

    def _scrub(self, file: Path) -> None:
        content = file.read_bytes()
        found = self.person.in_bytes(content)
        scrub = scrubber_of(file.name)
        if scrub is not None and not (file.name in _SESSIONS and found):
            try:
                clean, gone, places = scrub(content, self.person)
            except Exception as error:  # torn gzip, Parquet and CSV files have errors of no common class
                if found:
                    raise EmoNetError(
                        f"{file} can't be read ({error}), and the name is in it; mend or delete it."
                    ) from error
                return
            if gone or places:
                _write(file, clean)
                self._removed(file, f"{gone} rows or entries gone, the name replaced {places} times")
        elif found and not self._may_be_chance(content):
            for each in [file.with_name(name) for name in _SESSIONS] if file.name in _SESSIONS else [file]:
                each.unlink(missing_ok=True)
            self._removed(file, f"{found} times, in a format that can't be edited; deleted")

    def _apart(self, path: Path) -> bool:
        return any(
            part == "checkpoints" or part.endswith(".lance") for part in path.relative_to(self.folder).parts
        )

    def _may_be_chance(self, content: bytes) -> bool:
        """Whether so few letters turn up in numbers anyway."""
        try:
            content.decode()
        except UnicodeDecodeError:
            return len(self.person.name) < _SHORTEST_IN_NUMBERS
        return False

    def _removed(self, path: Path, what: str) -> None:
        self.report.removed.append((self.person.without(str(path.relative_to(self.folder)))[0], what))


def training_turns(dataset: str, data_dir: str | None, name: str) -> set[tuple[str, str]]:
    """(dialogue id, text) of what a person said in a corpus's training split."""
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
            f"{folder}: an exported model; forget the person in its run, and export that again."
        )
    if not (folder / "config.json").is_file():
        raise EmoNetError(f"{folder}: no checkpoint; give the run folder that `emonet train` wrote.")
    links = [path for path in [folder, *folder.rglob("*")] if path.is_symlink()]
    if links:
        raise EmoNetError(
            f"{links[0]} is a link, and what it leads to may be others' too; work on a copy: cp -rL {folder} COPY."
        )


def _reset_row(file: Path, row: int) -> bool:
    """Copy row 0 of the table of ids over another, without reading the other weights."""
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


def _like(name: str, known: dict[str, int]) -> str:
    near = get_close_matches(name, known, 3)
    return (
        f"; did you mean {', '.join(map(repr, near))}?" if near else "; names are written as in speakers.json"
    )
