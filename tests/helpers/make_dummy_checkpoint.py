"""Make the checkpoint in `tests/checkpoint/dummy_checkpoint`.

    python tests/helpers/make_dummy_checkpoint.py

It is a tiny EmoNet with random weights, and the scores it gives. It is committed and not
made again with later versions: `tests/checkpoint/test_dummy_checkpoint.py` checks that
they still load it and get the same scores.
"""

import json
from pathlib import Path
from shutil import rmtree

from tiny import DIALOGUE, build, make_tokenizer

FOLDER = Path(__file__).parents[1] / "checkpoint" / "dummy_checkpoint"
TURNS = [{"speaker": turn["speaker"], "text": turn["text"]} for turn in DIALOGUE]


def main() -> None:
    """Write the checkpoint without code and card, and `expected.json`."""
    rmtree(FOLDER, ignore_errors=True)
    model, model.processor = build(
        make_tokenizer(),
        "emonet-thesis",
        memory_hidden_size=16,
        backbone={"hidden_size": 16, "num_hidden_layers": 2, "max_position_embeddings": 128},
    )
    model.save_pretrained(FOLDER)
    for path in [*FOLDER.glob("*.py"), FOLDER / "README.md", FOLDER / "requirements.txt"]:
        path.unlink()
    (FOLDER / "expected.json").write_text(json.dumps(model.predict(TURNS), indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
