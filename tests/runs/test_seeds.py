"""Several seeds in one process end as each would alone."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from tiny_training import frozen

from emonet.inference.predict import predict_logits
from emonet.runs.seeds import train_seeds

TRAINING = {
    "save_strategy": "no",
    "num_train_epochs": 3,
    "per_device_train_batch_size": 3,
    "learning_rate": 1e-2,
    "logit_adjustment": "out_of_fold",
    "class_weighting": "inverse",
    "use_cpu": True,
}


def fitted(tokenizer: Any, folder: Path, *seeds: int) -> dict[int, np.ndarray]:
    """The logits of the last four dialogues, after training on the others."""
    model, processor, split, collator = frozen(tokenizer, head_dropout=0.5, speaker_dropout=0.2)
    model.processor, split.collator = processor, collator
    train, test = split.subset(range(12)), split.subset(range(12, 16))
    return {
        trainer.args.seed: np.concatenate(predict_logits(model, processor, test.windows, collator.memory))
        for trainer in train_seeds(model, train, test, TRAINING, seeds, folder)
    }


def test_a_seed_ends_as_alone(tokenizer: Any, tmp_path: Path) -> None:
    together, alone = fitted(tokenizer, tmp_path, 1, 2), fitted(tokenizer, tmp_path, 2)
    assert np.array_equal(together[2], alone[2]) and not np.allclose(together[1], together[2], atol=1e-3)
    assert not list(tmp_path.iterdir())


def test_a_subset_is_independent_of_the_whole(tokenizer: Any) -> None:
    split = frozen(tokenizer)[2]
    part = split.subset([3, 1])
    assert [row["dialogue_id"] for row in part.rows] == ["3", "1"]
    assert torch.equal(
        torch.from_numpy(part.labels()[: len(split.windows[3][0]["labels"])]),
        torch.tensor(split.windows[3][0]["labels"]),
    )
    part.examples[0]["fold"] = 7
    assert split.windows[3][0]["fold"] != 7 and len(part) == 2
