"""Train with a push after every epoch, push the result, and push a dataset.

    python train_and_push.py OUTPUT_DIR MODEL_REPOSITORY DATASET_REPOSITORY

Prints what the model said whenever it was pushed, as JSON.
"""

import json
import sys
from pathlib import Path
from typing import Any

from tiny import DIALOGUE, make_tokenizer
from tiny_training import encoded, trainer_for
from transformers import TrainerCallback

from emonet.hub.push_dataset import push_dataset


class Pushes(TrainerCallback):
    """Notes what the model says at every push, and waits for each push to end, so that
    none is skipped.
    """

    def __init__(self, trainer: Any):
        self.trainer = trainer
        self.said: list[Any] = []

    def on_save(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        self.trainer.push_in_progress.wait_until_done()
        self.said.append(model.predict(DIALOGUE))


def main(folder: Path, repository: str, dataset: str) -> None:
    trainer = trainer_for(
        encoded(make_tokenizer(), "emonet-thesis"),
        folder,
        push_to_hub=True,
        hub_model_id=repository,
        hub_strategy="every_save",
        eval_strategy="epoch",
        save_strategy="epoch",
        num_train_epochs=2,
        learning_rate=0.01,
        metric_for_best_model="loss",
        greater_is_better=True,  # the first epoch is the best one, and the last two pushes differ
    )
    pushes = Pushes(trainer)
    trainer.add_callback(pushes)
    trainer.train()
    trainer.push_to_hub()
    push_dataset("sample", dataset)
    print("RESULT " + json.dumps({"epochs": pushes.said, "end": trainer.model.predict(DIALOGUE)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
