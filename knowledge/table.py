"""Build the concept table of a corpus's words and measure its coverage."""

from collections.abc import Sequence
from pathlib import Path

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from .affect import read_affect
from .concepts import ConceptTable, words_of
from .graphs import read_graph

PER_WORD = 8


def build_concepts(
    texts: Sequence[str], graph: str = "wordnet", affect: str = "vader", cache_dir: Path | None = None
) -> ConceptTable | None:
    """Build the table of the concepts next to the words of `texts`; None without any.

    Function words and words of one or two letters have no concepts. Each word keeps its
    eight most confident neighbours.

    Args:
        texts: The training texts; words of other splits have no concepts.
        graph: As in [`read_graph`].
        affect: As in [`read_affect`].
        cache_dir: In place of the cache folder.

    Raises:
        EmoNetError: where a source is missing, with the alternatives.
    """
    words = {word for text in texts for word in words_of(text) if _is_content_word(word)}
    lexicon = read_affect(affect, cache_dir)
    found = read_graph(graph, words)
    kept = {word: rows[:PER_WORD] for word, rows in sorted(found.neighbours.items()) if rows}
    concepts = sorted({concept for rows in kept.values() for concept, _ in rows})
    if not concepts:
        return None
    ids = {concept: index for index, concept in enumerate(concepts)}
    table = {
        word: [(ids[concept], round(weight, 6)) for concept, weight in rows] for word, rows in kept.items()
    }
    sources = [found.source, {**lexicon.source, "knows_concepts": round(lexicon.coverage(concepts), 4)}]
    return ConceptTable(concepts, lexicon.intensities(concepts), table, sources)


def coverage(table: ConceptTable, texts: Sequence[str]) -> dict[str, float]:
    """Measure the shares of a corpus that the table covers.

    Returns:
        `words`: of all words; `content_words`: of those that may have concepts; `turns`:
        of the turns, with at least one covered word.
    """
    tokens = [words_of(text) for text in texts]
    words = [word for turn in tokens for word in turn]
    covered_turns = [any(word in table.words for word in turn) for turn in tokens]
    return {
        "words": _share_covered(table, words),
        "content_words": _share_covered(table, [word for word in words if _is_content_word(word)]),
        "turns": sum(covered_turns) / max(1, len(covered_turns)),
    }


def _share_covered(table: ConceptTable, words: Sequence[str]) -> float:
    return sum(word in table.words for word in words) / max(1, len(words))


def _is_content_word(word: str) -> bool:
    return len(word) > 2 and word not in ENGLISH_STOP_WORDS
