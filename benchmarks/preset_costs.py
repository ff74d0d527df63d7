"""Measure what a turn costs each packed preset, with untrained heads.

`python -m emonet.benchmarks.preset_costs` prints milliseconds a turn as JSON. All presets
predict the same dialogues in turn, several rounds, so that a change of the machine's
speed meets all of them.
"""

import argparse
import json
import time
from statistics import median
from typing import Any

import torch

from ..backbones.embedded import resolve_backbone
from ..checkpoint.integrity import config_of
from ..checkpoint.run_record import versions
from ..configuration_emonet import EmoNetConfig, is_decoder_type
from ..data import load_conversations
from ..engines.auto_dtype import processor_name
from ..modeling_emonet import EmoNetForSequenceClassification
from ..pipeline_emonet import EmoNetPipeline
from ..processing_emonet import EmoNetProcessor
from ..training.presets import PRESETS, preset_config

Turns = list[dict[str, Any]]


def untrained(preset: str, backbone: str) -> EmoNetPipeline:
    """A preset's model on a backbone, with heads as initialised."""
    path = resolve_backbone(backbone)
    text_config = config_of(path)
    fields = preset_config(preset, is_decoder_type(text_config.model_type), text_config.num_hidden_layers)
    classes: dict[str, Any] = {"num_labels": 7}
    config = EmoNetConfig(text_config=text_config, backbone=backbone, num_speakers=400, **classes, **fields)
    model = EmoNetForSequenceClassification.from_backbone(backbone, config)
    model.processor = EmoNetProcessor.from_backbone(backbone, config)
    return EmoNetPipeline(model)


def costs(presets: list[str], backbone: str, dialogues: list[Turns], rounds: int) -> dict[str, float]:
    """Milliseconds of one processor for a turn, the median of the rounds."""
    turns = sum(map(len, dialogues))
    seconds: dict[str, list[float]] = {preset: [] for preset in presets}
    for index in range(rounds + 1):
        for preset in presets:
            pipeline = untrained(preset, backbone)
            started = time.process_time()
            pipeline(dialogues)
            if index:  # the first round prepares kernels and caches
                seconds[preset].append(time.process_time() - started)
    return {preset: round(1000 * median(of) / turns, 3) for preset, of in seconds.items()}


def main() -> None:
    """Print the costs on a backbone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", default="minilm")
    parser.add_argument("--preset", nargs="+", default=list(PRESETS))
    parser.add_argument("--dialogues", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    test = load_conversations("emorynlp")["test"].take(arguments.dialogues)
    dialogues = [
        [{"speaker": turn["speaker"], "text": turn["text"]} for turn in row["turns"]] for row in test
    ]
    figures: dict[str, Any] = {
        "backbone": arguments.backbone,
        "unit": "milliseconds of one processor a turn, float32",
        "turns": sum(map(len, dialogues)),
        "rounds": arguments.rounds,
        "processor": processor_name(),
        "threads": torch.get_num_threads(),
        "versions": versions(),
    }
    figures["presets"] = costs(arguments.preset, arguments.backbone, dialogues, arguments.rounds)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
