"""The table of concepts of a corpus's words, and how much of a corpus it reaches."""

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
    """The concepts beside the words of `texts` (of training: words of other splits alone
    have none), or None without any.

    Function words and words of one or two letters have none. Each word keeps its eight
    most confident neighbours.

    Args:
        graph / affect: As in [`read_graph`] and [`read_affect`].

    Raises:
        EmoNetError: where a source is missing, with the ways out.
    """
    words = {
        word for text in texts for word in words_of(text) if len(word) > 2 and word not in ENGLISH_STOP_WORDS
    }
    lexicon = read_affect(affect, cache_dir)
    found = read_graph(graph, words)
    kept = {word: rows[:PER_WORD] for word, rows in sorted(found.neighbours.items()) if rows}
    concepts = sorted({concept for rows in kept.values() for concept, _ in rows})
    if not concepts:
        return None
    number = {concept: place for place, concept in enumerate(concepts)}
    table = {
        word: [(number[concept], round(weight, 6)) for concept, weight in rows] for word, rows in kept.items()
    }
    sources = [found.source, {**lexicon.source, "knows_concepts": round(lexicon.coverage(concepts), 4)}]
    return ConceptTable(concepts, lexicon.intensities(concepts), table, sources)


def coverage(table: ConceptTable, texts: Sequence[str]) -> dict[str, float]:
    """Shares of a corpus that the table reaches: of all words, of its content words, and
    of its turns (one concept at least).
    """
    tokens = [words_of(text) for text in texts]
    everything = [word for words in tokens for word in words]
    content = [word for word in everything if len(word) > 2 and word not in ENGLISH_STOP_WORDS]
    reached = [any(word in table.words for word in words) for words in tokens]
    return {
        "words": sum(word in table.words for word in everything) / max(1, len(everything)),
        "content_words": sum(word in table.words for word in content) / max(1, len(content)),
        "turns": sum(reached) / max(1, len(reached)),
    }
