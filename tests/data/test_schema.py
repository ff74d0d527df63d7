"""The features of the two views."""

import datasets
import pytest

from emonet.data.schema import EMORYNLP_LABELS, MELD_LABELS, view_features
from emonet.errors import DataFormatError


def test_the_views_have_the_documented_columns() -> None:
    utterances = view_features("utterances", EMORYNLP_LABELS)
    assert {
        name: getattr(utterances[name], "dtype", None)
        for name in ("dialogue_id", "turn", "speaker_id", "utterance_index")
    } == {
        "dialogue_id": "string",
        "turn": "int32",
        "speaker_id": "int32",
        "utterance_index": "int64",
    }
    assert {"speaker", "speakers", "text", "emotion", "speaker_history", "speaker_history_index"} < set(
        utterances
    )
    dialogues = view_features("dialogues", MELD_LABELS)
    assert set(dialogues) == {"dialogue_id", "turns"}
    # A list of dicts, not a dict of lists.
    turn = {
        "speaker": "A",
        "speakers": ["A"],
        "speaker_id": 0,
        "text": "",
        "emotion": None,
        "utterance_index": 0,
        "speaker_history_index": [],
    }
    table = datasets.Dataset.from_list([{"dialogue_id": "d", "turns": [turn, turn]}], features=dialogues)
    assert table[0]["turns"] == [turn, turn]


@pytest.mark.parametrize("labels", [EMORYNLP_LABELS, MELD_LABELS])
def test_labels_are_alphabetical(labels: list[str]) -> None:
    assert labels == sorted(labels) and len(labels) == 7
    assert view_features("utterances", labels)["emotion"].names == labels


def test_the_error_is_a_value_error() -> None:
    assert issubclass(DataFormatError, ValueError)
