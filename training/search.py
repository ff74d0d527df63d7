"""Search hyperparameters, and keep the model that is best on validation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn
from transformers import Trainer, TrainerState

from ..errors import EmoNetError

Space = Callable[[Any], dict[str, Any]]


@dataclass
class _Finished:
    """The best trial so far."""

    objective: float
    model: nn.Module
    state: TrainerState


class SearchingTrainer(Trainer):
    """A `Trainer` whose search compares finished models, and ends with the best of them.

    `Trainer` compares the last epochs, not those that are kept; builds a trial's model
    with the seed of the trial before; minimises the sum of all metrics unless it is told
    otherwise; and drops the models.
    """

    trained_by: str | None = None  # what took the steps in the Trainer's place
    _space: Space | None = None  # during a search
    _direction = "maximize"
    _best: _Finished | None = None
    _best_trial: Any = None  # what `model_init` gets after a search

    def hyperparameter_search(
        self,
        hp_space: Space | None = None,
        compute_objective: Callable[[dict[str, float]], float] | None = None,
        n_trials: int = 20,
        direction: str | list[str] | None = None,
        backend: str | None = None,
        hp_name: Callable[[Any], str] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Train `n_trials` models of `model_init`, and keep the best on validation.

        Afterwards `model` and `state` are those of the best trial, and `args` holds its
        hyperparameters: `evaluate()` and `save_model()` use it, and `train()` trains the
        same again.

        Args:
            hp_space: Returns the training arguments of an optuna trial. Default: a
                learning rate from a tenth to ten times that of `args`, and a seed.
            compute_objective: Takes the validation metrics of a trial's finished model
                (its best epoch). Default: `metric_for_best_model`.
            n_trials: The number of trials.
            direction: `maximize` or `minimize`. Default: as `greater_is_better`.
            backend: `optuna` (extra `[search]`), or another of transformers, which then
                searches as in `Trainer`.
            hp_name: Returns the name of a trial's folder.
            kwargs: Those of `optuna.create_study` and `Study.optimize`.

        Returns:
            The `BestRun`: `run_id`, `objective` and `hyperparameters`.

        Raises:
            EmoNetError: without `model_init` or a validation set, for an objective
                without direction, or for trials at the same time.
        """
        if self.model_init is None:
            raise EmoNetError("A search needs a new model for each trial: pass model_init in place of model.")
        if self.eval_dataset is None:
            raise EmoNetError("A search compares models on validation: pass eval_dataset.")
        if compute_objective is not None and direction is None:
            raise EmoNetError("Say the direction of compute_objective: direction='maximize' or 'minimize'.")
        if kwargs.get("n_jobs", 1) != 1:
            raise EmoNetError(
                "n_jobs: the trials of a trainer run one after another; start several processes with one "
                "storage='sqlite:///FILE', study_name=NAME and load_if_exists=True instead."
            )
        metric = (self.args.metric_for_best_model or "loss").removeprefix("eval_")
        compute_objective = compute_objective or (lambda metrics: metrics[f"eval_{metric}"])
        direction = direction or ("maximize" if self.args.greater_is_better else "minimize")
        options: dict[str, Any] = {**kwargs, "hp_name": hp_name, "backend": backend}
        if backend not in (None, "optuna"):
            return super().hyperparameter_search(hp_space, compute_objective, n_trials, direction, **options)
        options["backend"] = "optuna"
        given: dict[str, Any] = {}
        space = hp_space or _around(float(self.args.learning_rate))

        def whole_space(trial: Any) -> dict[str, Any]:
            """Add the given value of what other trials have changed."""
            params = space(trial)
            for name in params:
                if hasattr(self.args, name):
                    given.setdefault(name, getattr(self.args, name))
            return {**given, **params}

        self._space, self._best, self._best_trial = whole_space, None, None
        self._direction = str(direction)
        try:
            best = super().hyperparameter_search(
                whole_space, compute_objective, n_trials, direction, **options
            )
            if self._best is not None and not isinstance(best, list):
                self._use(best.hyperparameters, whole_space)
            else:
                self._set_arguments(given)
        except BaseException:
            self._set_arguments(given)
            raise
        finally:
            self._space = self._best = self.hp_search_backend = None
        return best

    def train(
        self, resume_from_checkpoint: Any = None, trial: Any = None, ignore_keys_for_eval: Any = None
    ) -> Any:
        """Train, then finish the model; see `Trainer.train`."""
        is_trial = self._space is not None and trial is not None
        if self._space is not None and is_trial:
            # `Trainer` does so after it has built the model, which may depend on them.
            self._set_arguments(self._space(trial))
        output = super().train(resume_from_checkpoint, trial, ignore_keys_for_eval)
        self.finish()
        if is_trial:
            epochs = list(self.state.log_history)
            self.objective: Any = self.compute_objective(self.evaluate())
            self.state.log_history = epochs  # the evaluation was no epoch
            self._keep_best()
        return output

    def finish(self) -> None:
        """Fit what follows a training."""

    def call_model_init(self, trial: Any = None) -> Any:
        """Build and prepare a new model; after a search, that of the best trial."""
        model = super().call_model_init(self._best_trial if trial is None else trial)
        self.prepare(model)
        return model

    def prepare(self, model: Any) -> None:
        """Set up a new model as the arguments say."""

    def _keep_best(self) -> None:
        if not isinstance(self.objective, (int, float)):  # several objectives have no best
            return
        sign = 1 if self._direction == "maximize" else -1
        if self._best is None or sign * self.objective > sign * self._best.objective:
            model: nn.Module = self.accelerator.unwrap_model(self.model)
            self._best = _Finished(self.objective, model, self.state)

    def _use(self, hyperparameters: Mapping[str, Any], space: Space) -> None:
        """Take the model and the arguments of the best trial."""
        from optuna.trial import FixedTrial

        assert self._best is not None
        self._best_trial = FixedTrial(dict(hyperparameters))
        self._set_arguments(space(self._best_trial))
        self._train_batch_size = self.args.train_batch_size
        self.model = self.model_wrapped = self._best.model
        self.state = self._best.state
        self.prepare(self.model)  # a configuration that trials share is that of the last
        self.callback_handler.model = self.model
        self.create_accelerator_and_postprocess()

    def _set_arguments(self, params: Mapping[str, Any]) -> None:
        for name, value in params.items():
            if hasattr(self.args, name):
                setattr(self.args, name, value)


def _around(learning_rate: float) -> Space:
    """The default space: learning rates around the given one, and seeds."""

    def space(trial: Any) -> dict[str, Any]:
        return {
            "learning_rate": trial.suggest_float(
                "learning_rate", learning_rate / 10, learning_rate * 10, log=True
            ),
            "seed": trial.suggest_int("seed", 1, 40),
        }

    return space
