"""Read the neighbours of words in WordNet or ConceptNet."""

import csv
import gzip
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import EmoNetError
from ..files.guard import file_digest, parse_json

WORDNET_FOLDERS = ("/usr/share/wordnet", "/usr/local/WordNet-3.0/dict", "/usr/local/share/wordnet")
_PARTS = ("noun", "verb", "adj", "adv")
_LETTERS = {"n": "noun", "v": "verb", "a": "adj", "s": "adj", "r": "adv"}
# Hypernym, instance, similar, see also, entailment, cause, derivationally related,
# attribute. Hyponyms are too many; antonyms have the opposite emotion.
_POINTERS = ("@", "@i", "&", "^", "*", ">", "+", "=")
_ONE_STEP = 0.5  # confidence of a neighbouring synset; the word's own synset has 1
# Endings of regular forms, and of their base forms (as in WordNet's morphy).
_ENDINGS = (
    ("ies", ("y",)),
    ("ches", ("ch",)),
    ("shes", ("sh",)),
    ("ses", ("s",)),
    ("xes", ("x",)),
    ("zes", ("z",)),
    ("men", ("man",)),
    ("es", ("e", "")),
    ("s", ("",)),
    ("ed", ("e", "")),
    ("ing", ("e", "")),
    ("er", ("", "e")),
    ("est", ("", "e")),
)


@dataclass(frozen=True)
class ConceptGraph:
    """The neighbours of a corpus's words in a graph.

    Attributes:
        neighbours: Word → its neighbours and their confidence (0 to 1), the most
            confident first.
        source: Name, version, licence and digest, and whether a checkpoint with parts of
            it may be shared.
    """

    neighbours: dict[str, list[tuple[str, float]]]
    source: dict[str, object]


def read_graph(source: str, words: set[str]) -> ConceptGraph:
    """Read the neighbours of `words`.

    Args:
        source: `wordnet` (the installed one), a folder with its `data.noun` and other
            files, or ConceptNet's assertions (`conceptnet-assertions-5.7.0.csv.gz`, or
            unpacked).
        words: The words to look up.

    Raises:
        EmoNetError: where the source is missing, with the ways to get it.
    """
    if source == "wordnet":
        return _wordnet(_installed_wordnet(), words)
    path = Path(source).expanduser()
    if path.is_dir():
        return _wordnet(path, words)
    if path.is_file():
        return _conceptnet(path, words)
    raise EmoNetError(
        f"--concepts {source}: neither `wordnet` nor a WordNet folder nor a file of ConceptNet assertions; "
        "name one of them."
    )


def base_forms(word: str) -> Iterator[str]:
    """Yield the word and its possible base forms by English endings."""
    yield word
    for ending, replacements in _ENDINGS:
        if word.endswith(ending) and len(word) > len(ending) + 1:
            yield from (word.removesuffix(ending) + replacement for replacement in replacements)


def _installed_wordnet() -> Path:
    folders = [
        *filter(None, (os.environ.get("EMONET_WORDNET"), os.environ.get("WNSEARCHDIR"))),
        *WORDNET_FOLDERS,
    ]
    for folder in folders:
        if Path(folder, "data.noun").is_file():
            return Path(folder)
    raise EmoNetError(
        f"No WordNet in {', '.join(folders)}. Install it (Debian, Ubuntu: apt-get install wordnet-base), or "
        "unpack its database files (https://wordnet.princeton.edu) and set EMONET_WORDNET to their folder; "
        "or use another graph (--concepts FILE, ConceptNet's assertions) or none (--concepts none)."
    )


def _wordnet(folder: Path, words: set[str]) -> ConceptGraph:
    """Read synonyms and direct relations, weighted by the rank of the word's sense.

    The first sense is the most frequent.
    """
    missing = [
        name for part in _PARTS for name in (f"index.{part}", f"data.{part}") if not (folder / name).is_file()
    ]
    if missing:
        raise EmoNetError(f"{folder}: no WordNet database, it lacks {', '.join(missing)}; copy them there.")
    senses: dict[str, list[tuple[int, str, str]]] = {}  # lemma → (rank, part of speech, offset)
    for part in _PARTS:
        for line in _entries(folder / f"index.{part}"):
            fields = line.split()
            offsets = fields[-int(fields[2]) :]
            senses.setdefault(fields[0], []).extend(
                (rank, part, offset) for rank, offset in enumerate(offsets, 1)
            )
    irregular = {form: lemma for part in _PARTS for form, lemma in _irregular(folder / f"{part}.exc")}
    synsets = {(part, line[:8]): line for part in _PARTS for line in _entries(folder / f"data.{part}")}
    neighbours = {}
    for word in sorted(words):
        regular = next((form for form in base_forms(word) if form in senses), None)
        # A word may be both a form and a lemma: `felt` is a form of `feel` and a cloth.
        lemmas = {lemma for lemma in (irregular.get(word), regular) if lemma in senses}
        if not lemmas:
            continue
        found: dict[str, float] = {}
        for rank, part, offset in (sense for lemma in sorted(lemmas) for sense in senses[lemma]):
            members, linked = _synset(synsets[part, offset])
            steps = [(member, 1.0) for member in members]
            steps += [(_synset(synsets[key])[0][0], _ONE_STEP) for key in linked if key in synsets]
            for concept, confidence in steps:
                if concept not in lemmas and concept != word:
                    found[concept] = max(confidence / rank, found.get(concept, 0.0))
        neighbours[word] = _by_confidence(found)
    header = (folder / "data.noun").read_text("utf-8", errors="replace")[:2000]
    version = re.search(r"WordNet (\d[\d.]*)", header)
    digest = hashlib.sha256(
        "".join(file_digest(folder / f"data.{part}") for part in _PARTS).encode()
    ).hexdigest()
    name = f"WordNet {version[1].rstrip('.')}" if version else "WordNet"
    return ConceptGraph(
        neighbours, {"graph": name, "licence": "WordNet licence", "shareable": True, "sha256": digest}
    )


def _entries(file: Path) -> Iterator[str]:
    """Yield the lines after the licence, whose lines begin with blanks."""
    with file.open(encoding="utf-8", errors="replace") as lines:
        yield from (line for line in lines if not line.startswith(" "))


def _irregular(file: Path) -> Iterator[tuple[str, str]]:
    if file.is_file():
        for line in file.read_text("utf-8").splitlines():
            form, *lemmas = line.split()
            yield form, lemmas[0]


def _synset(line: str) -> tuple[list[str], list[tuple[str, str]]]:
    """Parse a line of a data file: its words, and its links (part of speech, offset)."""
    fields = line.split("|")[0].split()
    count = int(fields[3], 16)
    members = [re.sub(r"\(\w+\)$", "", word).lower() for word in fields[4 : 4 + 2 * count : 2]]
    pointers = fields[5 + 2 * count :]
    links = zip(pointers[::4], pointers[1::4], pointers[2::4], strict=False)
    return members, [
        (_LETTERS[letter], offset)
        for symbol, offset, letter in links
        if symbol in _POINTERS and letter in _LETTERS
    ]


def _conceptnet(file: Path, words: set[str]) -> ConceptGraph:
    """Read English assertions between concepts.

    Weights are scaled to the largest of each word: the paper's min-max scaling would give
    zero to a word's weakest neighbour.

    Raises:
        EmoNetError: for a file without English assertions.
    """
    forms: dict[str, list[str]] = {}
    for word in words:
        for form in base_forms(word):
            forms.setdefault(form, []).append(word)
    weights: dict[str, dict[str, float]] = {}
    english = 0
    with (
        gzip.open(file, "rt", encoding="utf-8")
        if file.suffix == ".gz"
        else file.open(encoding="utf-8") as lines
    ):
        for row in csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            if len(row) < 5 or not (row[2].startswith("/c/en/") and row[3].startswith("/c/en/")):
                continue
            english += 1
            first, second = (uri.split("/")[3] for uri in row[2:4])
            if (
                first == second
                or row[1] in ("/r/ExternalURL", "/r/Antonym", "/r/DistinctFrom")
                or row[1].startswith("/r/Not")
            ):
                continue
            weight = float(parse_json(row[4]).get("weight", 1.0))
            for concept, neighbour in ((first, second), (second, first)):
                for word in forms.get(concept, ()):
                    found = weights.setdefault(word, {})
                    found[neighbour] = max(weight, found.get(neighbour, 0.0))
    if not english:
        raise EmoNetError(
            f"{file}: no English assertion; expected ConceptNet's lines of URI, relation, start, end and "
            "JSON, separated by tabs."
        )
    neighbours = {
        word: _by_confidence({concept: weight / max(found.values()) for concept, weight in found.items()})
        for word, found in weights.items()
    }
    source: dict[str, object] = {
        "graph": f"ConceptNet ({file.name})",
        "licence": "CC BY-SA 4.0",
        "shareable": True,
        "sha256": file_digest(file),
    }
    return ConceptGraph(neighbours, source)


def _by_confidence(found: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(found.items(), key=lambda item: (-item[1], item[0]))
