"""The store benchmark builds, queries and clears a store of the given size."""

import json
from pathlib import Path
from typing import Any

from emonet.benchmarks.speaker_store import SyntheticCorpus, main, measure


def test_measures_a_store_of_the_given_size(tmp_path: Path, capsys: Any) -> None:
    figures = measure(4000, tmp_path / "store")
    assert figures["utterances"] == 4000 and figures["speakers"] == len(SyntheticCorpus(4000).speakers) == 4
    assert all(
        figures[name] > 0 for name in ("build_seconds", "query_seconds", "forget_seconds", "megabytes")
    )
    main(["--utterances", "400"])
    assert json.loads(capsys.readouterr().out)["utterances"] == 400
