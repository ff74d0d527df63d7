"""Read valence and arousal of words from VADER's wheel or a user's NRC-VAD file."""

import math
import os
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..backbones.wheels import download_wheel_of
from ..errors import EmoNetError
from ..files.cache import cache_root
from ..files.guard import file_digest

_VADER, _VADER_VERSION = "vaderSentiment", "3.3.2"
_VADER_MEMBER = "vaderSentiment/vader_lexicon.txt"
_VADER_WHEEL_SHA256 = "3bf1d243b98b1afad575b9f22bc2cb1e212b94ff89ca74f8a23a588d024ea311"


@dataclass(frozen=True)
class AffectLexicon:
    """Valence and arousal of words, each from 0 to 1.

    Attributes:
        values: (valence, arousal) by word.
        neutral: The values of an unknown word.
        source: Name, version, licence and digest, and whether a checkpoint with it may be
            shared.
    """

    values: Mapping[str, tuple[float, float]]
    neutral: tuple[float, float]
    source: dict[str, object]

    def intensities(self, concepts: Sequence[str]) -> list[float]:
        """‖[V - ½, A / 2]‖ of each concept, scaled to 0 to 1 (KET, section 3.3)."""
        raw = [
            math.hypot(v - 0.5, a / 2)
            for v, a in (self.values.get(concept, self.neutral) for concept in concepts)
        ]
        low, high = (min(raw), max(raw)) if raw else (0.0, 0.0)
        return [round((value - low) / (high - low), 6) if high > low else 0.0 for value in raw]

    def coverage(self, concepts: Sequence[str]) -> float:
        """The share of the concepts that the lexicon contains."""
        return sum(concept in self.values for concept in concepts) / max(1, len(concepts))


def read_affect(source: str, cache_dir: Path | None = None) -> AffectLexicon:
    """Read a lexicon.

    Args:
        source: `vader` (downloaded once; valence only, so unknown and neutral words have
            intensity 0), or an NRC-VAD file of word, valence, arousal and dominance,
            separated by tabs; its licence allows research only.
        cache_dir: In place of the cache folder.

    Raises:
        EmoNetError: where the file is missing or the download fails, with the
            alternatives.
    """
    if source == "vader":
        return _vader(cache_dir)
    path = Path(source).expanduser()
    if not path.is_file():
        raise EmoNetError(f"--affect {source}: neither `vader` nor an NRC-VAD file; name one of them.")
    return _nrc_vad(path)


def _vader(cache_dir: Path | None) -> AffectLexicon:
    file = (cache_dir or cache_root()) / "knowledge" / f"vader-{_VADER_VERSION}.txt"
    if not file.is_file():
        _fetch_vader(file)
    values = {}
    for line in file.read_text("utf-8").splitlines():
        word, mean, *_ = line.split("\t")
        values[word.lower().replace(" ", "_")] = ((float(mean) + 4) / 8, 0.0)
    source: dict[str, object] = {
        "lexicon": f"VADER {_VADER_VERSION}",
        "licence": "MIT",
        "shareable": True,
        "sha256": file_digest(file),
    }
    return AffectLexicon(values, (0.5, 0.0), source)


def _fetch_vader(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    requirement = f"{_VADER}=={_VADER_VERSION}"
    with tempfile.TemporaryDirectory(dir=file.parent) as scratch:
        try:
            wheel = download_wheel_of(requirement, Path(scratch))
        except OSError as error:
            raise EmoNetError(
                f"VADER's lexicon is not in the cache, and {requirement} could not be downloaded ({error}). "
                f"Save its vader_lexicon.txt as {file}, or name an NRC-VAD file: --affect FILE."
            ) from error
        if (found := file_digest(wheel)) != _VADER_WHEEL_SHA256:
            raise EmoNetError(
                f"{requirement} is not the file it should be: expected SHA-256 {_VADER_WHEEL_SHA256}, found "
                f"{found}. It is not used; check the package index that pip uses."
            )
        ready = Path(scratch, "lexicon")
        with zipfile.ZipFile(wheel) as archive:
            ready.write_bytes(archive.read(_VADER_MEMBER))
        os.replace(ready, file)


def _nrc_vad(path: Path) -> AffectLexicon:
    values = {}
    for line_number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        fields = line.split("\t")
        try:
            values[fields[0].lower().replace(" ", "_")] = (float(fields[1]), float(fields[2]))
        except (IndexError, ValueError) as error:
            if line_number > 1 and line.strip():  # the first line may be a header
                raise EmoNetError(
                    f"{path}, line {line_number}: expected word, valence and arousal separated by tabs."
                ) from error
    if values and min(min(pair) for pair in values.values()) < 0:  # the second edition has -1 to 1
        values = {word: ((valence + 1) / 2, (arousal + 1) / 2) for word, (valence, arousal) in values.items()}
    if not values:
        raise EmoNetError(f"{path}: no words; expected an NRC-VAD file.")
    source: dict[str, object] = {
        "lexicon": f"NRC-VAD ({path.name})",
        "licence": "research only",
        "shareable": False,
        "sha256": file_digest(path),
    }
    return AffectLexicon(values, (0.5, 0.5), source)
