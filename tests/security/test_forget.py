"""Remove a person from a checkpoint: no byte has the name, and the model loads."""

import gzip
import json
import struct
import zipfile
import zlib
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import LABELS, build
from tiny_prompted import prompted
from tiny_store import TinyEmbedder, corpus

from emonet.adapters.lora import LoraSettings, add_adapters, save_adapter
from emonet.cli.main import main
from emonet.errors import EmoNetError
from emonet.evaluation.metrics import emotion_metrics
from emonet.evaluation.report import write_predictions, write_run_report
from emonet.hub.card import write_card
from emonet.modeling_emonet import EmoNetForSequenceClassification
from emonet.prompted.configuration import PromptSettings
from emonet.prompted.demonstrations import Demonstration, DemonstrationBank
from emonet.runs.forget import forget_in_checkpoint
from emonet.runs.forget_files import Person, scrubber_of
from emonet.speakers.store.build import build_store
from emonet.speakers.store.queries import SpeakerStore

NAME = "Zoë Quartzfeld"
OTHER = "Ann Quartzfeld"  # shares a part of the name and stays
ROWS: list[dict[str, Any]] = [
    {
        "dialogue_id": "d1",
        "turn": 0,
        "speaker": NAME,
        "text": "I am here",
        "emotion": "Sad",
        "predicted": "Mad",
        "scores": {},
    },
    {
        "dialogue_id": "d1",
        "turn": 1,
        "speaker": OTHER,
        "text": f"Go, {NAME}! ZOË!",
        "emotion": "Mad",
        "predicted": "Mad",
    },
    {
        "dialogue_id": "d1",
        "turn": 2,
        "speaker": OTHER,
        "text": "Alone at last",
        "emotion": "Sad",
        "predicted": "Mad",
    },
]


def spellings(name: str) -> list[str]:
    in_xml = name.encode("ascii", "xmlcharrefreplace").decode()
    return [name, name.upper(), name.replace(" ", "_"), json.dumps(name)[1:-1], in_xml, name.split()[0]]


def everything(folder: Path) -> dict[str, bytes]:
    """All bytes of a folder by location, decompressed, including names of files."""
    found: dict[str, bytes] = {}
    for file in folder.rglob("*"):
        found[f"name of {file}"] = str(file.relative_to(folder)).encode()
        if not file.is_file():
            continue
        content = file.read_bytes()
        found[str(file)] = content
        if file.suffix == ".gz":
            found[f"{file} inside"] = gzip.decompress(content)
        if file.suffix == ".parquet":
            found[f"{file} inside"] = json.dumps(
                pq.read_table(file).to_pylist(), ensure_ascii=False, default=str
            ).encode()
            found[f"{file} schema"] = (
                str(pq.read_schema(file)).encode() + str(pq.read_schema(file).metadata).encode()
            )
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                found.update(
                    {f"{file} {name}": name.encode() + archive.read(name) for name in archive.namelist()}
                )
        if file.suffix == ".png":
            offset = 8
            while offset < len(content):
                size = int.from_bytes(content[offset : offset + 4], "big")
                data = content[offset + 8 : offset + 8 + size]
                if content[offset + 4 : offset + 8] == b"zTXt":
                    found[f"{file} {offset}"] = zlib.decompress(data.partition(b"\0")[2][1:])
                offset += size + 12
    return found


def occurrences(folder: Path, name: str = NAME) -> list[str]:
    return [
        location
        for location, content in everything(folder).items()
        for spelling in spellings(name)
        if spelling.encode() in content or spelling.encode("utf-16-le") in content
    ]


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_text(png: Path, *chunks: bytes) -> None:
    content = png.read_bytes()
    png.write_bytes(content[:33] + b"".join(chunks) + content[33:])


@pytest.fixture
def model(tokenizer: Any) -> Any:
    model, processor = build(tokenizer, "emonet-thesis")
    processor.speakers = {NAME: 1, OTHER: 2}
    model.processor = processor
    return model


@pytest.fixture
def run(model: Any, tmp_path: Path) -> Path:
    """A run's folder with the name in every kind of file that a run can have."""
    folder = tmp_path / "run"
    model.save_pretrained(folder)
    metrics = emotion_metrics([0, 1, 2], [0, 1, 1], LABELS)
    history = [{"epoch": 1, "loss": 1.0}, {"epoch": 1, "eval_weighted_f1": 0.5, "eval_macro_f1": 0.4}]
    write_run_report(folder, {**metrics, "by_speaker": {NAME: 0.5, OTHER: 0.6}}, LABELS, history)
    write_predictions(folder / "predictions.jsonl", ROWS)
    (folder / "test_predictions.jsonl.gz").write_bytes(
        gzip.compress("\n".join(map(json.dumps, ROWS)).encode())
    )
    with gzip.GzipFile(folder / f"{NAME}.txt.gz", "w") as file:  # gzip keeps the file's name inside
        file.write(NAME.encode())
    (folder / "run.json").write_text(
        json.dumps({"seed": 1, "epochs": [], "note": f"for {NAME}", "speakers": [NAME]}), "utf-8"
    )
    (folder / "turns.csv").write_text(
        f"speaker,text\n{NAME},hello\n{OTHER},bye zoë quartzfeld\n{OTHER},so long\n", "utf-8"
    )
    columns = {name: [row[name] for row in ROWS] for name in ("speaker", "text")}
    turns = [{"speaker": NAME, "text": "x"}, {"speaker": OTHER, "text": NAME}]
    table = pa.table({**columns, NAME: [1, 2, 3], "turns": [turns] * 3})
    pq.write_table(table.replace_schema_metadata({"by": NAME}), folder / "turns.parquet")
    with_text(
        folder / "confusion_matrix.png",
        chunk(b"tEXt", b"Title\0" + NAME.encode()),
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(NAME.encode())),
        chunk(b"iTXt", b"Title\0\0\0\0\0" + NAME.encode()),
    )
    (folder / "plots").mkdir()
    (folder / "plots" / "timeline.png").write_bytes((folder / "learning_curves.png").read_bytes())
    (folder / "plots" / f"{NAME.replace(' ', '_')}.svg").write_text("<svg/>", "utf-8")
    (folder / "report.html").write_text(f"<p>{NAME} and Zo&#235; Quartzfeld</p>", "utf-8")
    torch.save({"text": NAME}, folder / "training_args.bin")
    (folder / "notes.bin").write_bytes(b"\xff\0" + NAME.encode("utf-16-le"))
    (folder / "session.json").write_text(json.dumps({"local_ids": {NAME: 0}}), "utf-8")
    (folder / "session.safetensors").write_bytes(b"\0" * 8)
    write_card(folder)
    card = (folder / "README.md").read_text("utf-8")
    (folder / "README.md").write_text(f"{card}\nThanks to {NAME}.\n", "utf-8")
    copytree(folder, folder / "checkpoints" / "checkpoint-1")
    return folder


def test_nothing_of_the_name_is_left_and_the_model_loads(run: Path, capsys: Any) -> None:
    assert len(occurrences(run)) > 30
    before = EmoNetForSequenceClassification.from_pretrained(run)
    assert main(["forget", NAME, "--model", str(run)]) == 0
    assert occurrences(run) == []
    output = capsys.readouterr().out
    assert NAME not in output and "Cannot be removed" in output and "training again" in output
    for file in (
        "speakers.json",
        "predictions.jsonl",
        "turns.parquet",
        "model.safetensors",
        "plots/timeline.png",
        "checkpoints",
    ):
        assert file in output
    after = EmoNetForSequenceClassification.from_pretrained(run)  # digests are renewed
    table, old = after.emonet.speaker_embedding.weight, before.emonet.speaker_embedding.weight
    assert torch.equal(table[1], table[0]) and torch.equal(table[0], old[0]) and torch.equal(table[2], old[2])
    rest = [name for name in before.state_dict() if not name.endswith("speaker_embedding.weight")]
    assert all(torch.equal(before.state_dict()[name], after.state_dict()[name]) for name in rest)
    assert after.processor.speakers[OTHER] == 2 and NAME not in after.processor.speakers
    turn = [{"speaker": NAME, "text": "hello"}]
    assert (
        after.predict(turn)[0]["scores"]
        == after.predict([{"speaker": "Nobody", "text": "hello"}])[0]["scores"]
    )


def test_texts_of_others_stay_without_the_name(run: Path) -> None:
    forget_in_checkpoint(run, NAME)
    rows = [json.loads(line) for line in (run / "predictions.jsonl").read_text("utf-8").splitlines()]
    assert [row["text"] for row in rows] == ["Go, someone! someone!", "Alone at last"]
    assert {row["speaker"] for row in rows} == {OTHER}
    assert (run / "turns.csv").read_text("utf-8") == f"speaker,text\n{OTHER},bye someone\n{OTHER},so long\n"
    table = pq.read_table(run / "turns.parquet").to_pylist()
    assert len(table) == 2 and table[0]["turns"] == [{"speaker": OTHER, "text": "someone"}]
    assert json.loads((run / "metrics.json").read_text("utf-8"))["by_speaker"] == {OTHER: 0.6}


def test_forgetting_twice_finds_nothing_and_a_wrong_name_changes_nothing(run: Path) -> None:
    before = everything(run)
    with pytest.raises(EmoNetError, match="did you mean 'Zoë Quartzfeld'"):
        forget_in_checkpoint(run, "Zoe Quartzfild")
    assert everything(run) == before
    forget_in_checkpoint(run, NAME)
    with pytest.raises(EmoNetError, match="does not occur"):
        forget_in_checkpoint(run, NAME)


def test_an_interrupted_forgetting_is_completed_by_the_same_call(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from emonet.runs import forget

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    for step in ("forget_in", "forget_in_registry", "delete_unsearchable"):
        with monkeypatch.context() as patch:
            patch.setattr(forget._Removal, step, interrupted)
            with pytest.raises(KeyboardInterrupt):
                forget_in_checkpoint(run, NAME)
        EmoNetForSequenceClassification.from_pretrained(run)
    (run / "late.txt").write_text(NAME, "utf-8")
    forget_in_checkpoint(run, NAME)
    assert occurrences(run) == []


def test_sharded_weights_and_adapters_lose_the_vector_too(
    backbone: Path, tokenizer: Any, tmp_path: Path, model: Any
) -> None:
    model.save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    forget_in_checkpoint(tmp_path / "shards", NAME)
    table = EmoNetForSequenceClassification.from_pretrained(
        tmp_path / "shards"
    ).emonet.speaker_embedding.weight
    assert torch.equal(table[1], table[0]) and not torch.equal(table[2], table[0])
    fresh = EmoNetForSequenceClassification.from_backbone(
        str(backbone), num_speakers=3, id2label=model.config.id2label
    )
    with torch.no_grad():
        fresh.emonet.speaker_embedding.weight.normal_()
    fresh.processor = type(model.processor)(tokenizer, fresh.config, {NAME: 1, OTHER: 2})
    add_adapters(fresh, LoraSettings(rank=2))
    save_adapter(fresh, tmp_path / "adapter", {})
    forget_in_checkpoint(tmp_path / "adapter", NAME)
    again = EmoNetForSequenceClassification.from_pretrained(tmp_path / "adapter", backbone_path=str(backbone))
    table = again.emonet.speaker_embedding.weight
    assert (
        torch.equal(table[1], table[0])
        and not torch.equal(table[2], table[0])
        and occurrences(tmp_path) == []
    )


def test_biographies_and_demonstrations_of_a_prompted_model(decoder: Path, tmp_path: Path) -> None:
    settings = PromptSettings(window=1, biography=True, demonstrations=1)
    lm = prompted(decoder, settings, speakers={NAME: 1, OTHER: 2})
    facts = {"kind": "extractive", "model": "emonet", "prompt_digest": "", "utterances": []}
    texts = {NAME: "shy", OTHER: "likes Zoë", "Bob": "is a Quartzfeld friend"}
    lm.processor.biographies = {name: {**facts, "text": text} for name, text in texts.items()}
    turns = [Demonstration("a", "a", "d1"), Demonstration("b", "a", "d1"), Demonstration("c Zoë", "b", "d2")]
    lm.processor.demonstrations = DemonstrationBank(turns, np.eye(3, dtype=np.float32), "minilm", "minilm-1")
    lm.save_pretrained(tmp_path)
    with pytest.raises(EmoNetError, match="--dataset"):
        forget_in_checkpoint(tmp_path, NAME)
    forget_in_checkpoint(tmp_path, NAME, {("d1", "a")})
    assert list(json.loads((tmp_path / "biographies.json").read_text("utf-8"))["biographies"]) == ["Bob"]
    bank = DemonstrationBank.load(tmp_path)
    assert [turn.text for turn in bank.turns] == ["b"] and bank.vectors.tolist() == [[0, 1, 0]]
    assert occurrences(tmp_path) == []
    type(lm).from_pretrained(tmp_path)


def test_a_speaker_store_in_the_folder_is_cleaned(tokenizer: Any, tmp_path: Path) -> None:
    model, processor = build(tokenizer, "emonet-thesis")
    processor.speakers = {"Ann": 1, "Bob": 2}
    model.processor = processor
    model.save_pretrained(tmp_path / "run")
    store = build_store(tmp_path / "run" / "store", corpus(tmp_path / "corpus"), TinyEmbedder())
    assert store.utterances("Ann")
    report = forget_in_checkpoint(tmp_path / "run", "Ann")
    store = SpeakerStore(tmp_path / "run" / "store")
    assert "Ann" not in {row["name"] for row in store.speakers()}
    assert "the comet telescope is mine" not in {row.text for row in store.all_utterances()}
    assert any(file == "store" for file, _ in report.removed)
    # Bob's `sorry Ann` stays, and the report says so.
    assert any("name the person" in reason for reason in report.stays)


def test_a_name_that_is_a_label_leaves_the_labels_alone(tokenizer: Any, tmp_path: Path) -> None:
    model, processor = build(tokenizer, "emonet-thesis")
    processor.speakers = {"Sad": 1, "Bob": 2}
    model.processor = processor
    model.save_pretrained(tmp_path)
    forget_in_checkpoint(tmp_path, "Sad")
    again = EmoNetForSequenceClassification.from_pretrained(tmp_path)
    assert again.config.label_names == LABELS and "Sad" not in again.processor.speakers


def test_a_name_inside_another_name_is_somebody_else(tokenizer: Any, tmp_path: Path) -> None:
    model, processor = build(tokenizer, "emonet-thesis")
    processor.speakers = {"Ann": 1, "Ann Lee": 2}
    model.processor = processor
    model.save_pretrained(tmp_path)
    rows = [
        {**ROWS[1], "speaker": "Ann Lee", "text": "Ann?"},
        {**ROWS[1], "speaker": "Ann", "text": "Yes, Ann Lee."},
    ]
    write_predictions(tmp_path / "predictions.jsonl", rows)
    with pytest.raises(EmoNetError, match="is part of 'Ann Lee'"):
        forget_in_checkpoint(tmp_path, "Lee")
    forget_in_checkpoint(tmp_path, "Ann")
    (row,) = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text("utf-8").splitlines()]
    assert row["speaker"] == "Ann Lee" and row["text"] == "someone?"
    assert json.loads((tmp_path / "speakers.json").read_text("utf-8"))["speakers"] == [
        "#FORGOTTEN 1#",
        "Ann Lee",
    ]


def test_damaged_weights_get_no_new_digests(run: Path) -> None:
    content = bytearray((run / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (run / "model.safetensors").write_bytes(content)
    with pytest.raises(EmoNetError, match="damaged"):
        forget_in_checkpoint(run, NAME)
    with pytest.raises(EmoNetError, match="damaged"):
        EmoNetForSequenceClassification.from_pretrained(run, verify=True)


def test_links_and_folders_that_are_no_checkpoint_are_refused(run: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.txt"
    elsewhere.write_text(NAME, "utf-8")
    (run / "link.txt").symlink_to(elsewhere)
    with pytest.raises(EmoNetError, match="is a link"):
        forget_in_checkpoint(run, NAME)
    assert elsewhere.read_text("utf-8") == NAME and occurrences(run)
    with pytest.raises(EmoNetError, match="not a checkpoint"):
        forget_in_checkpoint(tmp_path, NAME)


@given(
    before=st.text(max_size=20),
    after=st.text(max_size=20),
    form=st.sampled_from(spellings(NAME)),
    kind=st.sampled_from([".txt", ".json", ".jsonl", ".csv", ".html", ".md", ".json.gz", ".txt.gz"]),
)
def test_no_text_around_a_name_hides_it(before: str, after: str, form: str, kind: str) -> None:
    text = f"{before} {form} {after}"
    content = (json.dumps([text, {"text": text}]) if ".json" in kind else text).encode("utf-8", "replace")
    content = gzip.compress(content) if kind.endswith(".gz") else content
    scrub = scrubber_of(f"file{kind}")
    assert scrub is not None
    clean, _, replaced = scrub(content, Person(NAME, [OTHER]))
    clean = gzip.decompress(clean) if kind.endswith(".gz") else clean
    assert replaced >= 1 and form.encode() not in clean
