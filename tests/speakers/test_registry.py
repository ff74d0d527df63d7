"""The registry of global speaker ids."""

from pathlib import Path

import pytest

from emonet.dialogue.tables.rows import Dialogue, Turn
from emonet.errors import DataFormatError
from emonet.speakers.registry import SpeakerRegistry


def test_a_name_is_found_after_others_were_looked_up() -> None:
    registry = SpeakerRegistry(["Ann"])
    assert (registry.id_of("Bob"), registry.add("Bob"), registry.id_of("BOB")) == (0, 2, 2)


def test_ids_follow_first_appearance_in_train() -> None:
    def dialogue(name: str, split: str, *speakers: str) -> Dialogue:
        return Dialogue(name, split, (name,), [Turn((speaker,), "x") for speaker in speakers])

    registry = SpeakerRegistry.from_dialogues(
        [
            dialogue("1", "test", "Zoe"),
            dialogue("2", "train", "Bob", "Man", "Ann"),
            dialogue("3", "train", "Ann", "Cat"),
        ]
    )
    assert registry.ids() == {"Bob": 1, "Ann": 2, "Cat": 3}
    assert len(registry) == 4
    assert [registry.id_of(name) for name in ("Zoe", "Man", "Cat")] == [0, 0, 3]
    assert [registry.name_of(speaker_id) for speaker_id in range(4)] == [None, "Bob", "Ann", "Cat"]
    for wrong in (-1, 4):
        with pytest.raises(IndexError):
            registry.name_of(wrong)


def test_a_person_that_is_added_later_is_found() -> None:
    registry = SpeakerRegistry(["Bob"])
    assert registry.id_of("ann") == 0
    assert registry.add("Ann") == registry.id_of("ANN") == 2


@pytest.mark.parametrize("target", ["", "my speakers.json"])
def test_save_and_load(tmp_path: Path, target: str) -> None:
    registry = SpeakerRegistry(["Ines Calderón", "李", "Bob"])
    file = registry.save(tmp_path / target)
    assert file.name == (target or "speakers.json")
    assert SpeakerRegistry.load(tmp_path / target).ids() == registry.ids()


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"speakers": "Bob"}', '{"speakers": ["A", "A"]}', '{"speakers": [1]}', None]
)
def test_broken_registries_are_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "speakers.json").write_text(content)
    with pytest.raises(DataFormatError, match=r"speakers\.json"):
        SpeakerRegistry.load(tmp_path)
