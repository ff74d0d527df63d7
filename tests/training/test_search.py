"""The search for hyperparameters: trials of their own, and the best model is kept."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from tiny_training import encoded
from transformers import TrainerCallback

from emonet.errors import EmoNetError
from emonet.fine_tuning.class_weights import class_weights
from emonet.fine_tuning.encoding import EncodedSplit
from emonet.modeling_emonet import EmoNetForSequenceClassification
from emonet.train_trainer import EmoNetTrainer, EmoNetTrainingArguments

optuna.logging.set_verbosity(optuna.logging.ERROR)
GOOD, BAD = 1e-2, 1e-7
STUDY = "study"


class Weights(TrainerCallback):
    """The class weights that each training begins with."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        self.seen.append((args.class_weighting, model.config.class_weights))


def searching(tokenizer: Any, folder: Path, preset: str = "context", **fields: Any) -> EmoNetTrainer:
    """A trainer that builds random models, with half of the dialogues for validation."""
    arguments = {
        key: fields.pop(key) for key in ("save_strategy", "logit_adjustment", "max_steps") if key in fields
    }
    own_config = fields.pop("own_config", True)
    model, processor, split, collator = encoded(tokenizer, preset, class_weights=None, **fields)
    config = model.config
    settings = {"save_strategy": "no", "num_train_epochs": 3, "per_device_train_batch_size": 4, **arguments}
    return EmoNetTrainer(
        model_init=lambda: EmoNetForSequenceClassification(deepcopy(config) if own_config else config),
        args=EmoNetTrainingArguments(
            output_dir=str(folder), use_cpu=True, disable_tqdm=True, report_to="none", **settings
        ),
        train_dataset=split,
        eval_dataset=EncodedSplit(split.rows[::2], processor),
        data_collator=collator,
        processing_class=processor,
    )


def trials(*params: dict[str, Any]) -> optuna.Study:
    """A study in memory that tries these in order."""
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(storage=storage, study_name=STUDY, direction="maximize")
    for values in params:
        study.enqueue_trial(values)
    return study


def search(trainer: EmoNetTrainer, study: optuna.Study, space: Any, **options: Any) -> Any:
    options = {"n_trials": len(study.trials), "backend": "optuna", **options}
    return trainer.hyperparameter_search(
        space, storage=study._storage, study_name=STUDY, load_if_exists=True, **options
    )


def rates_and_seeds(trial: Any) -> dict[str, Any]:
    return {
        "learning_rate": trial.suggest_float("learning_rate", BAD, GOOD, log=True),
        "seed": trial.suggest_int("seed", 1, 40),
    }


@pytest.mark.parametrize("save", [pytest.param("no", marks=pytest.mark.slow), "epoch"])
def test_the_best_trial_is_kept(tokenizer: Any, tmp_path: Path, save: str) -> None:
    trainer = searching(tokenizer, tmp_path / "run", save_strategy=save)
    given = [(GOOD, 3), (BAD, 3), (GOOD, 7)]
    study = trials(*[{"learning_rate": rate, "seed": seed} for rate, seed in given])
    best = search(trainer, study, rates_and_seeds)
    first, bad, second = (trial.value for trial in study.trials)
    assert bad < min(first, second) and first != second, "rates and seeds matter"
    assert best.objective == max(first, second)
    assert trainer.args.learning_rate == GOOD and trainer.args.seed == best.hyperparameters["seed"]
    assert trainer.evaluate()["eval_weighted_f1"] == pytest.approx(best.objective)
    weights = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    model: Any = trainer.model
    assert model.processor.config is model.config
    trainer.save_model(str(tmp_path / "saved"))
    saved = EmoNetForSequenceClassification.from_pretrained(tmp_path / "saved").state_dict()
    assert all(torch.equal(saved[name], weights[name]) for name in weights)
    trainer.train()  # the same again
    assert all(torch.equal(tensor, weights[name]) for name, tensor in trainer.model.state_dict().items())


@pytest.mark.slow
@pytest.mark.parametrize("own_config", [True, False])
def test_every_trial_has_its_own_class_weights(tokenizer: Any, tmp_path: Path, own_config: bool) -> None:
    trainer = searching(tokenizer, tmp_path, own_config=own_config, max_steps=1)
    trainer.add_callback(weights := Weights())

    def space(trial: Any) -> dict[str, Any]:
        scheme = trial.suggest_categorical("class_weighting", ["none", "inverse", "sqrt_inverse"])
        return {"class_weighting": scheme} if scheme != "sqrt_inverse" else {}

    schemes = ["inverse", "none", "inverse", "sqrt_inverse"]
    search(trainer, trials(*({"class_weighting": scheme} for scheme in schemes)), space)
    labels = trainer.train_dataset.labels()  # type: ignore[union-attr]
    inverse = class_weights(labels, 7, "inverse")
    assert weights.seen == [("inverse", inverse), ("none", None), ("inverse", inverse), ("none", None)]
    model: Any = trainer.model
    assert trainer.args.class_weighting == "inverse" and model.config.class_weights == inverse
    assert model.processor.config is model.config


@pytest.mark.slow
def test_frozen_heads_are_compared_with_their_bias(tokenizer: Any, tmp_path: Path) -> None:
    trainer = searching(tokenizer, tmp_path, "emonet-fast", head_members=2, logit_adjustment="validation")
    study = trials({"learning_rate": GOOD, "seed": 1}, {"learning_rate": BAD, "seed": 1})
    best = search(trainer, study, rates_and_seeds)
    assert trainer.class_bias is not None and any(trainer.class_bias)
    assert trainer.evaluate()["eval_weighted_f1"] == pytest.approx(best.objective)


def test_the_default_space_is_around_the_arguments(tokenizer: Any, tmp_path: Path) -> None:
    trainer = searching(tokenizer, tmp_path, max_steps=1)
    rate = trainer.args.learning_rate
    best = trainer.hyperparameter_search(n_trials=1, sampler=optuna.samplers.RandomSampler(0))
    assert set(best.hyperparameters) == {"learning_rate", "seed"}
    assert rate / 10 <= best.hyperparameters["learning_rate"] <= rate * 10


def test_an_interrupted_search_gives_the_arguments_back(tokenizer: Any, tmp_path: Path) -> None:
    trainer = searching(tokenizer, tmp_path, max_steps=1)
    rate = trainer.args.learning_rate

    def stop(metrics: Any) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(
            trainer,
            trials({"learning_rate": GOOD, "seed": 1}),
            rates_and_seeds,
            compute_objective=stop,
            direction="maximize",
        )
    assert trainer.args.learning_rate == rate and trainer.hp_search_backend is None


def test_a_search_that_cannot_compare_is_refused(tokenizer: Any, tmp_path: Path) -> None:
    trainer = searching(tokenizer, tmp_path)
    with pytest.raises(EmoNetError, match="Say the direction"):
        trainer.hyperparameter_search(compute_objective=lambda metrics: 0.0)
    with pytest.raises(EmoNetError, match=r"one after another.*storage"):
        trainer.hyperparameter_search(n_jobs=2)
    trainer.eval_dataset = None
    with pytest.raises(EmoNetError, match="pass eval_dataset"):
        trainer.hyperparameter_search()
    trainer.model_init = None
    with pytest.raises(EmoNetError, match="pass model_init"):
        trainer.hyperparameter_search()
