"""Code for cards and pages: what users type first."""

import json


def fine_tune_snippet(name: str, frozen: bool = True) -> str:
    """Return at most twelve lines that fine-tune a repository with the plain Trainer.

    They need no emonet: `train.csv` and `validation.csv` have the columns `dialogue_id`,
    `speaker`, `text` and `emotion`.

    Args:
        name: Hub id, or a folder.
        frozen: Whether the backbone is frozen, and the layers after it are trained alone.
    """
    rate, epochs = ("1e-3", 10) if frozen else ("5e-5", 3)
    model = json.dumps(name, ensure_ascii=False)
    return f"""\
from datasets import load_dataset
from transformers import AutoModelForSequenceClassification, Trainer, TrainingArguments

data = load_dataset("csv", data_files={{"train": "train.csv", "validation": "validation.csv"}})
names = sorted(filter(None, data["train"].unique("emotion")))
new = {{"id2label": dict(enumerate(names)), "ignore_mismatched_sizes": True}}
model = AutoModelForSequenceClassification.from_pretrained({model}, trust_remote_code=True, **new)
data = model.prepare(data)
args = TrainingArguments("fine-tuned", learning_rate={rate}, num_train_epochs={epochs}, eval_strategy="epoch")
trainer = Trainer(model, args, data.collator, data["train"], data["validation"],
                  compute_metrics=data.compute_metrics)
trainer.train()
trainer.save_model()
"""
