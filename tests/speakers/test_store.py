"""The speaker store: contents, views, updates, interruptions, forgetting, Parquet."""

import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from filelock import FileLock
from tiny_store import TEST, TRAIN, VALIDATION, TinyEmbedder, corpus

from emonet.errors import EmoNetError
from emonet.speakers.store import build as store_build
from emonet.speakers.store import forget as store_forget
from emonet.speakers.store.build import build_store
from emonet.speakers.store.forget import forget_speaker
from emonet.speakers.store.parquet import export_store, import_store
from emonet.speakers.store.queries import Biography, SpeakerStore, View


@pytest.fixture
def store(tmp_path: Path) -> SpeakerStore:
    return build_store(tmp_path / "store", corpus(tmp_path / "corpus"), TinyEmbedder())


def texts(found: Any) -> list[str]:
    return [item.text for item in found]


def snapshot(store: SpeakerStore) -> Any:
    utterances = store.all_utterances()
    return [(item.key, item.position, item.emotion, item.text) for item in utterances], store.speakers()


# -- contents and views


def test_utterances_and_totals(store: SpeakerStore) -> None:
    assert len(store.all_utterances()) == 11
    assert texts(store.utterances("Ann")) == [
        "the comet telescope is mine",
        "i saw the comet again",
        "the telescope broke",
        "validation comet secret",
    ]
    ann = next(row for row in store.speakers() if row["speaker"] == "Ann")
    totals = {"utterances": 4, "training_utterances": 3, "dialogues": 3, "is_person": True}
    assert ann.items() >= totals.items()
    assert texts(store.utterances("Ann", limit=2)) == ["the telescope broke", "validation comet secret"]
    assert store.utterances("Nobody") == []


def test_roles_are_different_speakers_in_each_dialogue(store: SpeakerStore) -> None:
    assert texts(store.utterances("The Waiter@d1")) == ["your table is ready"]
    assert store.utterances("The Waiter") == []


def test_labels_of_diarizers_are_other_speakers_in_each_dialogue(tmp_path: Path) -> None:
    roles = ("SPEAKER_00", "user", "A")
    calls = [(name, [(role, f"secret of {name}", "Mad") for role in roles]) for name in ("c1", "c2")]
    made = build_store(tmp_path / "store", corpus(tmp_path / "corpus", [*TRAIN, *calls]), TinyEmbedder())
    for role in roles:
        assert made.utterances(role) == []
        assert texts(made.utterances(f"{role}@c1")) == ["secret of c1"]
        assert texts(made.utterances(f"{role}@c2")) == ["secret of c2"]
    assert not any(row["is_person"] for row in made.speakers() if row["speaker"].partition("@")[0] in roles)


def test_names_and_texts_with_quotes(store: SpeakerStore) -> None:
    assert texts(store.utterances("O'Hara")) == ["i'm new here"]
    assert texts(store.utterances("Cat")) == ["o'hara said it's fine"]
    assert store.utterances("x' OR '1'='1") == []


def test_only_training_labels_are_stored(store: SpeakerStore) -> None:
    assert {item.emotion for item in store.all_utterances() if item.split != "train"} == {None}
    counted = sum(sum(row["emotions"]) for row in store.speakers())
    assert counted == sum(len(turns) for _, turns in TRAIN)
    assert store.emotions("Ann")["Scared"] == 0 and store.emotions("Bob")["Powerful"] == 0


def test_views_see_earlier_turns_of_train_and_their_split(store: SpeakerStore) -> None:
    position = {item.text: item.position for item in store.all_utterances()}
    before = View("train", position["i saw the comet again"])
    assert texts(store.utterances("Ann", before)) == ["the comet telescope is mine"]
    assert store.emotions("Ann", before)["Joyful"] == 1, "not the label of the turn itself"
    assert "validation comet secret" not in texts(store.utterances("Ann", View("train")))
    assert "validation comet secret" not in texts(store.utterances("Ann", View("test")))
    assert "validation comet secret" in texts(store.utterances("Ann", View("validation")))
    reader = View("test", position["test sandwich secret"])
    assert texts(store.utterances("Bob", reader)) == ["nobody touches my sandwich", "sorry Ann"]


def test_similar_utterances_of_speaker_and_view(store: SpeakerStore) -> None:
    found = store.similar("Ann", "comet", count=2)
    assert {"comet" in text for text in texts(found)} == {True}
    assert found[0].similarity is not None and found[0].similarity >= (found[1].similarity or 0)
    assert "validation comet secret" not in texts(
        store.similar("Ann", "validation comet secret", 9, View("train"))
    )
    assert texts(store.similar("Bob", "comet telescope", 1, View("train"))) != ["the comet telescope is mine"]
    with pytest.raises(EmoNetError, match="embedder="):
        SpeakerStore(store.tables.uri).similar("Ann", "comet")


# -- updates


def test_building_again_embeds_nothing(store: SpeakerStore, tmp_path: Path) -> None:
    embedder = TinyEmbedder()
    assert snapshot(build_store(store.tables.uri, corpus(tmp_path / "corpus"), embedder)) == snapshot(store)
    assert embedder.encoded == 0


def test_updates_equal_a_fresh_build(store: SpeakerStore, tmp_path: Path) -> None:
    train = [("d0", [("Dan", "a new scene", "Neutral")]), TRAIN[0], ("d2", TRAIN[1][1][:2])]
    train[1] = ("d1", [*TRAIN[0][1][:3], ("The Waiter", "your table is gone", "Neutral")])
    newer = corpus(tmp_path / "corpus", train=train)
    with pytest.raises(EmoNetError, match="--update"):
        build_store(store.tables.uri, newer, TinyEmbedder())
    embedder = TinyEmbedder()
    updated = build_store(store.tables.uri, newer, embedder, update=True)
    assert embedder.encoded == 2
    fresh = build_store(tmp_path / "fresh", newer, TinyEmbedder())
    assert snapshot(updated) == snapshot(fresh) and updated.dataset_version == newer.dataset_version
    assert texts(updated.similar("Ann", "comet", 3)) == texts(fresh.similar("Ann", "comet", 3))


def test_stores_of_another_model_or_corpus_are_refused(store: SpeakerStore, tmp_path: Path) -> None:
    uri = store.tables.uri
    with pytest.raises(EmoNetError, match="vectors are by tiny-1, not by tiny-2"):
        SpeakerStore(uri, TinyEmbedder("tiny-2"))
    with pytest.raises(EmoNetError, match="vectors are by tiny-1"):
        build_store(uri, corpus(tmp_path / "corpus"), TinyEmbedder("tiny-2"), update=True)
    with pytest.raises(EmoNetError, match="not emorynlp-full"):
        SpeakerStore(uri, dataset_version="emorynlp-full-1.0.0")
    with pytest.raises(EmoNetError, match="each corpus needs a store of its own"):
        build_store(uri, corpus(tmp_path / "another"), TinyEmbedder(), update=True)
    with pytest.raises(EmoNetError, match="no speaker store; make it"):
        SpeakerStore(tmp_path / "nothing")


# -- crashes and locks


def test_interrupted_builds_are_refused_and_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_build, "PORTION", 4)
    conversations = corpus(tmp_path / "corpus")

    class FailingEmbedder(TinyEmbedder):
        def __call__(self, texts: Any, progress: bool = False) -> Any:
            if self.encoded >= 8:
                raise KeyboardInterrupt
            return super().__call__(texts)

    with pytest.raises(KeyboardInterrupt):
        build_store(tmp_path / "store", conversations, FailingEmbedder())
    with pytest.raises(EmoNetError, match="was interrupted"):
        SpeakerStore(tmp_path / "store")
    embedder = TinyEmbedder()
    again = build_store(tmp_path / "store", conversations, embedder)
    assert embedder.encoded == 3, "committed utterances are not embedded again"
    assert snapshot(again) == snapshot(build_store(tmp_path / "whole", conversations, TinyEmbedder()))


def test_deleted_stores_are_reported(store: SpeakerStore) -> None:
    shutil.rmtree(store.tables.uri)
    for query in (lambda: store.utterances("Ann"), lambda: store.similar("Ann", "comet"), store.speakers):
        with pytest.raises(EmoNetError, match="was deleted or moved while it was in use"):
            query()


def test_damaged_stores_are_reported(store: SpeakerStore) -> None:
    for file in Path(store.tables.uri).rglob("utterances.lance/data/*"):
        file.write_bytes(b"no data")
    with pytest.raises(EmoNetError, match="could not be read or written"):
        SpeakerStore(store.tables.uri).utterances("Ann")


def test_one_writer_does_not_block_readers(store: SpeakerStore) -> None:
    with FileLock(Path(store.tables.uri) / ".lock"):
        assert len(store.all_utterances()) == 11
        with pytest.raises(EmoNetError, match="another process is writing"), store.tables.writing(wait=0.05):
            pass


# -- forgetting


def biography(speaker: str, text: str, key: str = "d1#0") -> Biography:
    return Biography(speaker, "extractive", "emonet", "p", View("train", 3), False, text, (key,))


def on_disk(uri: str, words: bytes) -> list[str]:
    return [str(path) for path in Path(uri).rglob("*") if path.is_file() and words in path.read_bytes()]


def test_forgetting_removes_a_speaker_from_every_file(store: SpeakerStore) -> None:
    uri = store.tables.uri
    store.keep(biography("Ann", "stargazer by night"))
    store.keep(biography("Bob", "argues with Ann a lot"))
    store.keep(biography("Bob", "likes food", "d1#1"))
    for words in (b"telescope", b"stargazer", b"Ann"):
        assert on_disk(uri, words), "the search finds what is there"
    result = forget_speaker(uri, "Ann")
    assert (result.utterances, result.biographies, result.mentions) == (4, 2, 1) and result.files
    for words in (b"telescope", b"stargazer", b"argues with"):
        assert on_disk(uri, words) == []
    left = SpeakerStore(uri, TinyEmbedder())
    assert left.utterances("Ann") == [] and "Ann" not in {row["speaker"] for row in left.speakers()}
    assert texts(left.utterances("Bob")) == texts(store.utterances("Bob"))
    assert texts(left.biographies("Bob")) == ["likes food"]


def test_forgetting_finds_parts_of_the_name(tmp_path: Path) -> None:
    turns = [
        ("Ross Geller", "hi", "Joyful"),
        ("Monica Geller", "ROSS is a rossignol", "Mad"),
        ("Monica Geller", "the Rosses", "Mad"),
        ("The Waiter", "Ross", "Mad"),
    ]
    conversations = corpus(tmp_path / "corpus", train=[("d1", turns)])
    store = build_store(tmp_path / "store", conversations, TinyEmbedder())
    store.keep(biography("Monica Geller", "the sister of Ross"))
    store.keep(biography("Monica Geller", "Monica Geller cooks", "d1#1"))
    result = forget_speaker(store.tables.uri, "Ross Geller")
    assert (result.biographies, result.mentions) == (1, 2)
    left = SpeakerStore(store.tables.uri)
    assert texts(left.biographies("Monica Geller")) == ["Monica Geller cooks"]


def test_later_builds_leave_forgotten_speakers_out(store: SpeakerStore, tmp_path: Path) -> None:
    uri = store.tables.uri
    forget_speaker(uri, "Ann")
    embedder = TinyEmbedder()
    again = build_store(uri, corpus(tmp_path / "corpus"), embedder)
    assert again.utterances("Ann") == [] and embedder.encoded == 0 and len(again.all_utterances()) == 7
    assert b"Ann" not in b"".join(
        path.read_bytes() for path in Path(uri).rglob("facts.lance/**/*") if path.is_file()
    )


@pytest.mark.parametrize("step", ["_rewrite", "_purge", "_check_gone"])
def test_interrupted_forgetting_is_completed(store: SpeakerStore, monkeypatch: Any, step: str) -> None:
    uri = store.tables.uri
    with monkeypatch.context() as patch:
        patch.setattr(store_forget, step, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            forget_speaker(uri, "Ann")
    forget_speaker(uri, "Ann")
    assert on_disk(uri, b"telescope") == [] and SpeakerStore(uri).utterances("Ann") == []


def test_unknown_speakers_cannot_be_forgotten(store: SpeakerStore) -> None:
    with pytest.raises(EmoNetError, match="no speaker 'Zoe'"):
        forget_speaker(store.tables.uri, "Zoe")


# -- Parquet


def test_parquet_round_trip(store: SpeakerStore, tmp_path: Path) -> None:
    store.keep(biography("Ann", "stargazer"))
    folder = export_store(store.tables.uri, tmp_path / "parquet")
    assert pq.read_table(folder / "utterances.parquet").num_rows == 11
    again = import_store(folder, tmp_path / "again")
    assert snapshot(again) == snapshot(store) and again.biographies("Ann") == store.biographies("Ann")
    again.embedder = TinyEmbedder()
    assert texts(again.similar("Ann", "comet", 2)) == texts(store.similar("Ann", "comet", 2))
    with pytest.raises(EmoNetError, match="there is a speaker store already"):
        import_store(folder, tmp_path / "again")
    (folder / "speakers.parquet").unlink()
    with pytest.raises(EmoNetError, match=r"lacks speakers\.parquet"):
        import_store(folder, tmp_path / "third")


def test_biographies_are_kept_by_their_provenance(store: SpeakerStore) -> None:
    kept = biography("Ann", "first")
    store.keep(kept)
    store.keep(biography("Ann", "second"))
    assert texts(store.biographies("Ann")) == ["second"]
    found = store.biography("Ann", "extractive", "p", View("train", 3), ["d1#0"])
    assert found is not None and found.text == "second"
    for kind, digest, before, keys in (
        ("llm", "p", 3, ["d1#0"]),
        ("extractive", "q", 3, ["d1#0"]),
        ("extractive", "p", 4, ["d1#0"]),
    ):
        assert store.biography("Ann", kind, digest, View("train", before), keys) is None
    assert store.biography("Ann", "extractive", "p", View("train", 3), []) is None


def test_speakers_without_training_turns(tmp_path: Path) -> None:
    """A view may reach nothing of a speaker."""
    store = build_store(
        tmp_path / "s", corpus(tmp_path / "c", validation=VALIDATION, test=TEST), TinyEmbedder()
    )
    assert store.utterances("O'Hara", View("test", 10)) == [] and sum(store.emotions("O'Hara").values()) == 0
