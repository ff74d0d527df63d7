"""The store's benchmark builds, asks and forgets a store of the size that it names."""

import json
from pathlib import Path
from typing import Any

from emonet.benchmarks.speaker_store import MadeUpCorpus, main, measure


def test_it_measures_a_store_of_that_size(tmp_path: Path, capsys: Any) -> None:
    figures = measure(4000, tmp_path / "store")
    assert figures["utterances"] == 4000 and figures["speakers"] == len(MadeUpCorpus(4000).speakers) == 4
    assert all(
        figures[name] > 0 for name in ("build_seconds", "query_seconds", "forget_seconds", "megabytes")
    )
    main(["--utterances", "400"])
    assert json.loads(capsys.readouterr().out)["utterances"] == 400
