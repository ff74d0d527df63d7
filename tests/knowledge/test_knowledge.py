"""Knowledge sources in small files: what is read, what is refused, and coverage."""

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import DIALOGUE, build

from emonet.data.features import set_concept_vectors
from emonet.errors import EmoNetError
from emonet.files.guard import file_digest
from emonet.hub.push import check_complete
from emonet.knowledge import affect as affect_module
from emonet.knowledge.affect import read_affect
from emonet.knowledge.concepts import ConceptTable, collate_concepts, words_of
from emonet.knowledge.graphs import base_forms, read_graph
from emonet.knowledge.table import build_concepts, coverage

LICENCE = "  1 This software is WordNet 3.0 Copyright 2006.\n"
WORDNET = {
    "index.noun": "news n 1 1 @ 1 1 00000100\nfelt n 1 0 1 0 00000300\n",
    "data.noun": (
        "00000100 10 n 02 news 0 tidings 0 001 @ 00000200 n 0000 | fresh information\n"
        "00000200 10 n 01 information 0 000 | a message\n00000300 06 n 01 felt 0 000 | a cloth\n"
    ),
    "noun.exc": "",
    "index.verb": "feel v 2 1 ! 2 2 00000400 00000500\n",
    "data.verb": (
        "00000400 31 v 02 feel 0 experience 0 001 ! 00000500 v 0000 01 + 08 00 | undergo\n"
        "00000500 31 v 02 feel 1 sense 0 000 | perceive\n"
    ),
    "verb.exc": "felt feel\n",
    "index.adj": "great a 1 1 & 1 1 00000600\n",
    "data.adj": (
        "00000600 00 s 01 great(p) 0 001 & 00000700 s 0000 | big\n00000700 00 a 01 Wonderful 0 000 | good\n"
    ),
    "index.adv": "",
    "data.adv": "",
}
ASSERTIONS = [
    ("/r/RelatedTo", "/c/en/news", "/c/en/paper/n", 2.0),
    ("/r/IsA", "/c/en/news", "/c/en/information", 1.0),
    ("/r/Antonym", "/c/en/great", "/c/en/small", 9.0),
    ("/r/RelatedTo", "/c/en/joy", "/c/en/great", 3.0),
    ("/r/RelatedTo", "/c/fr/nouvelles", "/c/en/news", 5.0),
]


@pytest.fixture
def wordnet(tmp_path: Path) -> str:
    folder = tmp_path / "wordnet"
    folder.mkdir()
    for name, lines in WORDNET.items():
        (folder / name).write_text(lines if name.endswith(".exc") else LICENCE + lines)
    return str(folder)


@pytest.fixture
def nrc(tmp_path: Path) -> str:
    file = tmp_path / "NRC-VAD.txt"
    file.write_text("Word\tValence\tArousal\tDominance\ntidings\t0.9\t0.6\t0.5\nwonderful\t0.5\t0.5\t0.5\n")
    return str(file)


def test_wordnet_weights_neighbours_by_sense_rank(wordnet: str) -> None:
    graph = read_graph(wordnet, {"news", "felt", "great", "nothing"})
    assert graph.neighbours["news"] == [("tidings", 1.0), ("information", 0.5)]
    assert graph.neighbours["felt"] == [("experience", 1.0), ("sense", 0.5)], (
        "as a form of `feel`; antonyms are left out"
    )
    assert graph.neighbours["great"] == [("wonderful", 0.5)] and "nothing" not in graph.neighbours
    assert graph.source["graph"] == "WordNet 3.0" and graph.source["shareable"]


@pytest.mark.parametrize("ending", ["csv", "csv.gz"])
def test_conceptnet_scales_english_assertions_by_word(tmp_path: Path, ending: str) -> None:
    lines = [
        f"/a\t{relation}\t{a}\t{b}\t{json.dumps({'weight': weight})}" for relation, a, b, weight in ASSERTIONS
    ]
    file = tmp_path / f"assertions.{ending}"
    file.write_bytes(
        gzip.compress("\n".join(lines).encode()) if ending.endswith("gz") else "\n".join(lines).encode()
    )
    graph = read_graph(str(file), {"news", "great", "greater"})
    assert graph.neighbours["news"] == [("paper", 1.0), ("information", 0.5)]
    assert graph.neighbours["great"] == graph.neighbours["greater"] == [("joy", 1.0)]
    assert graph.source["licence"] == "CC BY-SA 4.0"


def test_intensity_is_the_distance_from_neutral(nrc: str) -> None:
    lexicon = read_affect(nrc)
    raw = {"tidings": (0.4**2 + 0.3**2) ** 0.5, "wonderful": 0.25, "unknown": 0.25}
    assert lexicon.intensities(list(raw)) == [1.0, 0.0, 0.0] and raw["tidings"] == pytest.approx(0.5)
    assert lexicon.coverage(list(raw)) == pytest.approx(2 / 3)
    assert lexicon.intensities([]) == [] and lexicon.intensities(["tidings"]) == [0.0]


def test_vader_is_downloaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = tmp_path / "vader.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("vaderSentiment/vader_lexicon.txt", "great\t3.2\t0.7\t[3]\nhate\t-2.0\t1.0\t[-2]\n")
    monkeypatch.setattr(affect_module, "download_wheel_of", lambda requirement, folder: wheel)
    with pytest.raises(EmoNetError, match="not the file it should be: expected SHA-256"):
        read_affect("vader", tmp_path)
    monkeypatch.setattr(affect_module, "_VADER_WHEEL_SHA256", file_digest(wheel))
    assert read_affect("vader", tmp_path).intensities(["great", "hate", "of"]) == pytest.approx(
        [1.0, 0.625, 0.0]
    )

    def unreachable(requirement: str, folder: Path) -> Path:
        raise OSError("no index")

    monkeypatch.setattr(affect_module, "download_wheel_of", unreachable)
    assert read_affect("vader", tmp_path).values["hate"] == (0.25, 0.0)
    with pytest.raises(
        EmoNetError, match=r"could not be downloaded .no index.*vader_lexicon.txt as .*--affect FILE"
    ):
        read_affect("vader", tmp_path / "empty")


def test_bad_sources_are_named(tmp_path: Path, nrc: str) -> None:
    for call, message in (
        (lambda: read_graph("nowhere", set()), "nor a WordNet folder nor a file"),
        (lambda: read_graph(str(tmp_path), set()), "no WordNet database, it lacks index"),
        (lambda: read_graph(nrc, {"news"}), "no English assertion"),
        (lambda: read_affect("nowhere"), "neither `vader` nor an NRC-VAD file"),
    ):
        with pytest.raises(EmoNetError, match=message):
            call()
    (tmp_path / "bad.txt").write_text("a\t0.5\t0.5\t0.5\nb\tno\n")
    with pytest.raises(EmoNetError, match=r"bad.txt, line 2"):
        read_affect(str(tmp_path / "bad.txt"))


def test_table_and_coverage(wordnet: str, nrc: str, tmp_path: Path) -> None:
    table = build_concepts(["Great NEWS, and", "no"], wordnet, nrc)
    assert (
        table is not None
        and table.concepts == ["information", "tidings", "wonderful"]
        and table.affect == [0.0, 1.0, 0.0]
    )
    assert table.of("The news!") == ([1, 0], [1.0, 0.5])
    assert table.of("felt") == ([], []), "not a word of training"
    assert coverage(table, ["great news is here", "no"]) == {"words": 0.4, "content_words": 1.0, "turns": 0.5}
    assert table.sources[1]["licence"] == "research only" and table.sources[1]["knows_concepts"] == 0.6667
    table.save(tmp_path)
    assert ConceptTable.read(tmp_path / "concepts.json") == table
    assert build_concepts(["no"], wordnet, nrc) is None


def test_words_and_forms() -> None:
    assert words_of("Don’t call Ms. Geller-Bing 2 times…") == ["don't", "call", "ms", "geller-bing", "times"]
    assert (
        {"cry", "cries"} <= set(base_forms("cries"))
        and "make" in base_forms("making")
        and list(base_forms("is")) == ["is"]
    )


def test_turns_without_concepts_are_padding() -> None:
    batch = collate_concepts([[([], []), ([4], [0.5])], [([], [])]], 2)
    assert batch["concept_ids"].tolist() == [[[-1], [4]], [[-1], [-1]]]
    assert batch["concept_confidences"].tolist() == [[[0.0], [0.5]], [[0.0], [0.0]]]


def test_concept_vectors_are_the_backbones(tokenizer: Any, tmp_path: Path) -> None:
    table = ConceptTable(["great", "wonderful_news"], [0.5, 1.0], {"great": [(1, 1.0)]})
    model, processor = build(tokenizer, "ket", num_concepts=2, concepts=table)
    set_concept_vectors(model, processor, tmp_path, progress=False)
    tokens = [torch.tensor([ids]) for ids in processor.encode_memory(["great", "wonderful news"])]
    with torch.no_grad():
        expected = torch.cat([model.emonet.encode_utterances(ids, torch.ones_like(ids)) for ids in tokens])
    assert torch.allclose(model.emonet.context.concept_vectors, expected, atol=1e-5)
    assert model.emonet.context.affect.tolist() == [0.5, 1.0]
    assert processor([DIALOGUE])["concept_ids"][0, 1].tolist() == [1]


def test_unshareable_knowledge_is_not_published(tokenizer: Any, tmp_path: Path) -> None:
    table = ConceptTable(
        ["joy"], [1.0], {}, [{"lexicon": "NRC-VAD", "licence": "research only", "shareable": False}]
    )
    model, model.processor = build(tokenizer, "ket", num_concepts=1, concepts=table)
    model.save_pretrained(tmp_path)
    with pytest.raises(EmoNetError, match=r"parts of NRC-VAD, whose licence .research only. does not allow"):
        check_complete(tmp_path)


def test_real_wordnet_covers_most_turns(corpora: Path, tmp_path: Path, nrc: str) -> None:
    from emonet.data import load_conversations

    corpus = load_conversations("emorynlp", corpora, history_scope="none", cache_dir=tmp_path)
    texts = {
        split: [turn["text"] for row in corpus[split] for turn in row["turns"]] for split in ("train", "test")
    }
    try:
        table = build_concepts(texts["train"], "wordnet", nrc)
    except EmoNetError as error:
        pytest.skip(str(error))
    assert table is not None
    reach = coverage(table, texts["test"])
    assert reach["turns"] > 0.8 and reach["content_words"] > 0.65
