"""Train with pushes that are whole repositories, each in one commit."""

from concurrent.futures import Future
from pathlib import Path
from shutil import copy
from typing import Any

from huggingface_hub import HfApi
from transformers import Trainer
from transformers.trainer_utils import HubStrategy
from transformers.utils import logging
from transformers.utils.hub import PushInProgress

from ..files.guard import refuse_outside_links
from .card import write_card
from .push import published_files, push_run

logger = logging.get_logger(__name__)


class PushingTrainer(Trainer):
    """A `Trainer` that pushes with `push_run`.

    The pushes of `Trainer` itself upload weights without the code during a training,
    overwrite a card that was edited on the Hub, and may take several commits.
    """

    push_in_progress: Any

    def push_to_hub(
        self,
        commit_message: str | None = "End of training",
        blocking: bool = True,
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
        **card_options: Any,
    ) -> Any:
        """Push the model in its current state.

        Returns:
            The commit (`CommitInfo`), or with `blocking=False` its future; None on all
            processes but the first.
        """
        self._finish_current_push()  # which reads the files that are written next
        if self.hub_model_id is None:
            self.init_hf_repo(token=token, private=private)
        self.save_model(_internal_call=True)
        if not self.is_world_process_zero():
            return None
        job = self._push_in_background(commit_message, revision, private=private, token=token)
        return job.result() if blocking else job

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Update the card's generated parts and keep edits."""
        write_card(Path(self.args.output_dir or "."), self.hub_model_id)

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        # The other strategies push optimizer states too, or nothing.
        if self.args.hub_strategy != HubStrategy.EVERY_SAVE:
            super()._push_from_checkpoint(checkpoint_folder)
            return
        busy = self.push_in_progress is not None and not self.push_in_progress.is_done()
        if not self.is_world_process_zero() or (busy and not self.args.hub_always_push):
            return
        self._finish_current_push()
        refuse_outside_links(checkpoint_folder)
        for path in published_files(Path(checkpoint_folder)).values():
            if path.suffix != ".py":
                copy(path, str(self.args.output_dir))
        self.accelerator.unwrap_model(self.model).save_code(self.args.output_dir)
        job = self._push_in_background(f"Training in progress, epoch {self.state.epoch or 0:g}")
        job.add_done_callback(_warn_of_failure)
        self.push_in_progress = PushInProgress([job])  # type: ignore[arg-type] # it takes a list

    def _push_in_background(
        self, message: str | None, revision: str | None = None, **options: Any
    ) -> Future[Any]:
        return HfApi().run_as_future(
            push_run,
            str(self.args.output_dir),
            str(self.hub_model_id),
            revision=revision or self.args.hub_revision,
            commit_message=message,
            **options,
        )


def _warn_of_failure(job: Future[Any]) -> None:
    if job.exception() is not None:
        logger.warning(
            f"A push during the training failed; the next one follows the next checkpoint. {job.exception()}"
        )
