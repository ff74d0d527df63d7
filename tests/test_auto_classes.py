"""What `import emonet` imports, and what transformers knows after it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny import build

import emonet

KNOWN = """
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoProcessor, pipeline
assert type(AutoConfig.from_pretrained(FOLDER)).__module__ == "emonet.configuration_emonet"
for auto_class in (AutoModel, AutoModelForSequenceClassification):
    assert type(auto_class.from_pretrained(FOLDER)).__module__ == "emonet.modeling_emonet"
assert type(AutoProcessor.from_pretrained(FOLDER)).__module__ == "emonet.processing_emonet"
assert len(pipeline("emotion-in-conversation", model=FOLDER)("Ann: hello\\nBob: we won!")) == 2
"""


def run(code: str, folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", f"FOLDER = {str(folder)!r}\n{code}"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_imports_need_no_torch(tmp_path: Path) -> None:
    run(
        "import sys, emonet.cli.main\nassert not {'torch', 'transformers', 'datasets'} & set(sys.modules)\n"
        # Reading a script needs nothing of tables either.
        "import emonet.engines.prediction_input\n"
        "assert not {'openpyxl', 'pyarrow', 'torch'} & set(sys.modules)",
        tmp_path,
    )


@pytest.mark.parametrize(
    "first",
    [
        "import emonet",
        *(
            pytest.param(first, marks=pytest.mark.slow)
            for first in (
                "import transformers.pipelines, emonet",
                "from emonet import EmoNetForSequenceClassification",
                "from emonet import EmoNetPipeline",
            )
        ),
    ],
)
def test_import_order_does_not_matter(first: str, tokenizer: Any, tmp_path: Path) -> None:
    model, model.processor = build(tokenizer, "emonet-thesis")
    model.save_pretrained(tmp_path)
    run(f"{first}\n{KNOWN}", tmp_path)


def test_every_public_name_exists() -> None:
    assert set(emonet.__all__) <= set(dir(emonet))
    for name in emonet.__all__:
        assert getattr(emonet, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'EmoNetModle'"):
        _ = emonet.EmoNetModle
