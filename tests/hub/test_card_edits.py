"""A new card keeps what was written by hand."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from run_folder import MARKER, TEST, VERSION, body, change, fill, metadata, percent

from emonet.errors import EmoNetError
from emonet.hub.card import card_text, is_edited, merge_card, write_card

PROSE = "\n## From its author\n\nWritten by hand: 100 % | $5.\n"


def test_edits_survive_new_figures(folder: Path) -> None:
    write_card(folder, "user/name")
    card = (folder / "README.md").read_text("utf-8")
    changed = re.sub(r"^## Limits.*?$", "## Caveats of mine", card, count=1, flags=re.MULTILINE) + PROSE
    assert changed.count("Caveats of mine") == 1, (
        "the template's own headings are outside the generated parts"
    )
    (folder / "README.md").write_text(changed, "utf-8")
    change(folder, "test_metrics.json", weighted_f1=0.987654)
    text = write_card(folder, "user/name").read_text("utf-8")
    assert "Caveats of mine" in text and PROSE in text
    assert "98.77" in text and "98.77" not in card
    assert metadata(text)["model-index"] == metadata(card_text(folder, "user/name"))["model-index"]


def test_figures_join_a_card_that_was_written_before_them(tmp_path: Path) -> None:
    folder = fill(tmp_path / "run", "config.json")
    write_card(folder)
    fill(folder)
    assert write_card(folder).read_text("utf-8") == card_text(folder)


@pytest.mark.parametrize("name", sorted({name for _, name in MARKER.findall(card_text(Path("nowhere")))}))
def test_a_deleted_part_stays_deleted(folder: Path, name: str) -> None:
    generated = card_text(folder)
    block = re.compile(rf"<!-- emonet:begin {name} -->.*?<!-- emonet:end {name} -->\n", re.DOTALL)
    without = block.sub("", generated)
    assert merge_card(without, generated) == without != generated


def test_metadata_by_hand_survives(folder: Path) -> None:
    generated = card_text(folder)
    front = metadata(generated)
    front |= {
        "license": "cc-by-4.0",
        "language": ["en", "de"],
        "thumbnail": "x.png",
        "tags": [*front["tags"], "mine"],
    }
    front |= {"model-index": [{"name": "old", "results": []}], "datasets": [VERSION, "user/extra"]}
    edited = f"---\n{yaml.safe_dump(front)}---\n{body(generated)}"
    merged = metadata(merge_card(edited, generated))
    assert (merged["license"], merged["language"], merged["thumbnail"]) == (
        "cc-by-4.0",
        ["en", "de"],
        "x.png",
    )
    assert (
        "mine" in merged["tags"]
        and "emonet" in merged["tags"]
        and len(merged["tags"]) == len(set(merged["tags"]))
    )
    assert merged["datasets"] == ["user/extra"]
    assert merged["model-index"] == metadata(generated)["model-index"]


@pytest.mark.parametrize(
    "front", ["", "---\nlicense: mit\n---\n", "---\n---\n", "---\r\nlicense: mit\r\n---\r\n"]
)
def test_a_card_without_generated_parts_stays_whole(folder: Path, front: str) -> None:
    text = "# My own\n\n---\n\nAll by hand.\n"
    merged = merge_card(front + text, card_text(folder))
    assert merged.endswith("---\n" + text) and merged.count(text) == 1
    assert metadata(merged)["license"] == ("mit" if "mit" in front else "apache-2.0")
    assert metadata(merged)["model-index"]


def test_another_training_replaces_the_data_set_in_the_metadata(folder: Path) -> None:
    generated = card_text(folder)
    # As version 0.1 wrote it.
    before = generated.replace("library_name:", "datasets:\n- emorynlp-full-1.0.0\nlibrary_name:", 1)
    assert metadata(before)["datasets"] == ["emorynlp-full-1.0.0"]
    assert "datasets" not in metadata(merge_card(before, generated))
    change(folder, "run.json", dataset_id="user/talk")
    assert metadata(merge_card(before, card_text(folder)))["datasets"] == ["user/talk"]


@pytest.mark.parametrize("text", ["I'm so sorry.", "My own example."])
def test_widgets_are_renewed_unless_edited(folder: Path, text: str) -> None:
    generated = card_text(folder)
    widget = [{"text": text, "output": [{"label": "Mad", "score": 0.5}]}]
    before = f"---\n{yaml.safe_dump({**metadata(generated), 'widget': widget})}---\n{body(generated)}"
    merged = metadata(merge_card(before, generated))
    # This folder has no model that made an example.
    assert merged.get("widget") == (widget if text.startswith("My own") else None)


@pytest.mark.parametrize("existing", ["", "# By hand\n", "---\ntags: mine\n---\n", "whole"])
def test_merging_twice_is_merging_once(folder: Path, existing: str) -> None:
    generated = card_text(folder, "user/name")
    old = (generated + PROSE).replace(percent(TEST["accuracy"]), "0.00") if existing == "whole" else existing
    once = merge_card(old, generated)
    assert merge_card(once, generated) == once


@pytest.mark.parametrize("kind", ["begin", "end"])
def test_an_unpaired_marker_is_refused_by_name(folder: Path, kind: str) -> None:
    generated = card_text(folder)
    name = MARKER.findall(generated)[0][1]
    with pytest.raises(EmoNetError, match=name):
        merge_card(generated.replace(f"<!-- emonet:{kind} {name} -->", ""), generated)


@pytest.mark.parametrize("front", ["---\n: [\n---\n", "---\n- a\n---\n"])
def test_metadata_that_cannot_be_read_is_refused(folder: Path, front: str) -> None:
    with pytest.raises(EmoNetError, match=r"metadata"):
        merge_card(front + "text\n", card_text(folder))


def test_whether_a_card_was_edited(folder: Path) -> None:
    generated = card_text(folder)
    part = MARKER.findall(generated)[0][1]
    inside = generated.replace(f"<!-- emonet:end {part} -->", f"inside\n<!-- emonet:end {part} -->")
    assert not is_edited(generated, generated) and not is_edited(inside, generated)
    assert not is_edited(generated.replace("\n", "\r\n"), generated)
    assert is_edited(generated + PROSE, generated) and is_edited("# By hand\n", generated)
    assert is_edited(
        re.sub(rf"<!-- emonet:begin {part}.*?end {part} -->", "", generated, flags=re.DOTALL), generated
    )


def test_a_card_is_replaced_whole_or_not_at_all(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = write_card(folder).read_text("utf-8")
    change(folder, "test_metrics.json", weighted_f1=0.5)
    names = set(os.listdir(folder))

    def fail(*paths: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_card(folder)
    assert (folder / "README.md").read_text("utf-8") == before and set(os.listdir(folder)) == names
