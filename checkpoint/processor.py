"""What the processors of both kinds of model share: calls, files and pushes."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any, ClassVar

import torch
from huggingface_hub import HfApi
from transformers import BatchFeature, ProcessorMixin
from transformers.utils import logging

from ..constants import NO_LABEL
from ..dialogue.known_emotions import NO_EVIDENCE, known_distribution
from ..dialogue.names import KnownNames
from ..dialogue.reader import read_dialogues
from ..dialogue.spellings import SpeakerNames
from ..dialogue.turns import turn_label
from ..errors import EmoNetError
from ..files.guard import read_json, refuse_outside_links
from .adapters import fetched
from .export import SavedCode, auto_name, exported_class, source_of, write_code
from .files import HUB_OPTIONS, hub_options, labelled, package, speakers_of, tokenizer_of, write_speakers

logger = logging.get_logger(__name__)

CONFIG_FILE, PROCESSOR_FILE = "config.json", "processor_config.json"
# What transformers passes to `from_pretrained`, beside the options of a download.
_LOADING = ("trust_remote_code", "code_revision", "use_fast", "_from_auto", "_from_pipeline", "_commit_hash")
_PUSHING = ("commit_message", "commit_description", "create_pr", "private", "revision", "tags", "token")
_CONVERSIONS: dict[str | None, Callable[[torch.Tensor], Any]] = {
    "pt": lambda tensor: tensor,
    "np": torch.Tensor.numpy,
    None: torch.Tensor.tolist,
}


class DialogueProcessor(SavedCode, ProcessorMixin):
    """A processor of dialogues, with the configuration and the speakers of its model.

    Beside a model, `config.json` is the one configuration. A folder that holds a
    processor alone has its configuration in `processor_config.json`, and the code that
    loads it without emonet.

    Attributes:
        tokenizer: The backbone's fast tokenizer.
        config: The model's configuration: the model's own object, once this is its
            processor.
        speakers: Global ids by speaker name; other names have id 0.
    """

    config_class: ClassVar[Any]
    config: Any
    tokenizer: Any
    _is_beside_model = False  # in the repository that a push goes to
    _indexed: tuple[Any, int, KnownNames] = (None, 0, KnownNames())  # `speakers`, how many, their index

    def __init__(self, tokenizer: Any, speakers: Mapping[str, int] | None = None):
        super().__init__(tokenizer)  # type: ignore[no-untyped-call]
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        self.speakers = dict(speakers or {})

    def __call__(
        self,
        dialogues: Any = None,
        *,
        text: Any = None,
        return_tensors: Any = "pt",
        padding: bool | str = True,
        **unknown: Any,
    ) -> BatchFeature:
        """Encode one dialogue or several into a padded batch: `model(**processor(...))`.

        Args:
            dialogues: A dialogue: a list of `{"speaker", "text"}` or `{"role",
                "content"}`, with `emotion` and `speaker_id` where known; a text in any
                form that `emonet predict` reads; `{"turns": [...]}`; a table of turns.
                Several: a list of them. A list of strings is a list of texts.
            text: The same, under the name that transformers uses.
            return_tensors: `pt`, `np`, or None for lists.
            padding: True or `longest`: dialogues are padded to the longest.
            unknown: Refused.

        Returns:
            The tensors that the model's `forward` takes; with `labels` if a turn has an
            emotion. `.to(device)` moves them, `.to(dtype)` casts those that are floats.

        Raises:
            EmoNetError: for an unknown argument or value of one.
            TypeError: for what is not a dialogue, naming dialogue and turn.
            ValueError: for an empty dialogue, or a turn without text or speaker.
        """
        kind = _checked_call(type(self).__name__, return_tensors, padding, unknown)
        if (dialogues is None) == (text is None):
            raise EmoNetError('Give one dialogue or several: processor([{"speaker": "Ann", "text": "Hi."}]).')
        found, notes = read_dialogues(text if dialogues is None else dialogues)
        for note in notes:
            logger.warning(f"Input {note}.")
        turns_of = self.names().turns
        batch = self.batch([[*turns_of(turns)] for turns in found])
        if (batch["labels"] == NO_LABEL).all():
            del batch["labels"]
        convert = _CONVERSIONS[kind]
        return BatchFeature({name: convert(tensor) for name, tensor in batch.items()})

    def batch(self, dialogues: list[list[Mapping[str, Any]]]) -> dict[str, torch.Tensor]:
        """Encode lists of turns into a padded batch with `labels`."""
        raise NotImplementedError

    @property
    def known(self) -> KnownNames:
        """The index of `speakers`, made anew when a person was added or removed."""
        speakers, count, index = self._indexed
        if speakers is not self.speakers or count != len(self.speakers):
            index = KnownNames(self.speakers)
            self._indexed = self.speakers, len(self.speakers), index
        return index

    def names(self) -> SpeakerNames:
        """Return the names of a new input, which find the known persons."""
        return SpeakerNames(self.known, warn=False)

    def labels_of(self, logits: Any) -> list[dict[str, Any]]:
        """Convert logits (T, C) to calibrated `label`, `score` and `scores` by turn."""
        return labelled(logits, self.config)

    def label_of(self, turn: Mapping[str, Any], index: int = 0) -> int:
        """The label id of a turn, -100 without one."""
        emotion = turn.get("emotion")
        if emotion is None or emotion == NO_LABEL:
            return NO_LABEL
        label = turn_label(turn, self.config.label_names, index)
        return NO_LABEL if label is None else label

    def known_labels(self, turns: Sequence[Mapping[str, Any]], start: int = 0) -> list[list[float] | None]:
        """The distribution (C) under `known_emotion` of each turn; None for none.

        Args:
            turns: Turns of one dialogue.
            start: The index of the first.

        Raises:
            EmoNetError: for what is no label or distribution, and for a model that takes
                no known labels.
        """
        labels = self.config.label_names
        known = [known_distribution(turn, labels, index) for index, turn in enumerate(turns, start)]
        if not getattr(self.config, "label_evidence", False):
            for index, distribution in enumerate(known, start):
                if distribution is not None:
                    raise EmoNetError(f"Turn {index} has a known_emotion. {NO_EVIDENCE}")
        return known

    @classmethod
    def parts_of(
        cls, checkpoint: str | os.PathLike[str], kwargs: Mapping[str, Any]
    ) -> tuple[str, dict[str, Any], Any, Any, dict[str, int]]:
        """Load what every processor is made of.

        Args:
            checkpoint: A folder, a Hub id or the name of a built-in model.
            kwargs: The other arguments of `from_pretrained`.

        Returns:
            The checkpoint, the options of its downloads, the configuration, the tokenizer
            and the speakers.

        Raises:
            EmoNetError: for an unknown argument.
            ValueError: where the tokenizer or `speakers.json` is missing, with the fix.
        """
        options = hub_options(kwargs)
        if unknown := sorted(set(kwargs) - set(options) - set(_LOADING)):
            raise EmoNetError(
                f"{cls.__name__}.from_pretrained takes no {unknown[0]!r}: the model's configuration decides "
                f"how dialogues are encoded. It takes {', '.join((*HUB_OPTIONS, *_LOADING[:2]))}."
            )
        checkpoint = package.built_in_path(str(checkpoint))
        config = cls._config_beside(checkpoint, options)
        tokenizer = tokenizer_of(checkpoint, config, **options)
        return checkpoint, options, config, tokenizer, speakers_of(checkpoint, **options)

    @classmethod
    def _config_beside(cls, checkpoint: str, options: dict[str, Any]) -> Any:
        """The model's configuration, else that of a processor alone."""
        own = fetched(checkpoint, PROCESSOR_FILE, **options)
        if own is not None and not cls._is_model(fetched(checkpoint, CONFIG_FILE, **options)):
            fields = read_json(own).get("config")
            if isinstance(fields, dict):
                return cls.config_class.from_dict(fields)
        return cls.config_class.from_pretrained(checkpoint, **options)

    @classmethod
    def _is_model(cls, config_file: str | os.PathLike[str] | None) -> bool:
        """Whether a `config.json` is there and is that of such a model."""
        if config_file is None or not Path(config_file).is_file():
            return False
        try:
            fields = read_json(config_file)
        except ValueError:
            return True  # loading will say what is wrong with it
        return isinstance(fields, dict) and fields.get("model_type") == cls.config_class.model_type

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `processor_config.json` in a folder of its own."""
        own = {"AutoProcessor": auto_name(exported_class(type(self)))}
        return {
            "processor_class": type(self).__name__,
            "auto_map": getattr(self, "auto_map", own),
            "config": self.config.to_dict(),
        }

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], push_to_hub: bool = False, **kwargs: Any
    ) -> list[str]:
        """Write what `from_pretrained` reads, beside a model or alone.

        That is the tokenizer, `speakers.json`, `processor_config.json` and the files of
        the subclass. A folder without a model gets the configuration and the code too.

        Args:
            save_directory: The folder.
            push_to_hub: Whether to push it afterwards.
            kwargs: `repo_id` and the other arguments of `push_to_hub`.

        Returns:
            The path of `processor_config.json`.

        Raises:
            EmoNetError: for a folder with a symbolic link that leads out of it.
        """
        folder = Path(save_directory)
        refuse_outside_links(folder)
        folder.mkdir(parents=True, exist_ok=True)
        is_beside_model = self._is_beside_model or self._is_model(folder / CONFIG_FILE)
        if not is_beside_model:
            file = source_of(exported_class(type(self)))
            assert file is not None
            write_code(folder, file, self.code_lookups)
        paths: list[str] = super().save_pretrained(str(folder))
        if is_beside_model:
            self._leave_to_model(folder)
        write_speakers(folder, sorted(self.speakers, key=lambda name: self.speakers[name]))
        self.save_parts(folder)
        if push_to_hub:
            options = {name: kwargs[name] for name in _PUSHING if name in kwargs}
            self.push_to_hub(kwargs.get("repo_id", folder.name), **options)
        return paths

    def _leave_to_model(self, folder: Path) -> None:
        """Take what the model's own files say out of `processor_config.json`."""
        document = self.to_dict()
        del document["config"]
        module = document["auto_map"]["AutoProcessor"].rpartition(".")[0]
        if not self._is_beside_model and not (folder / f"{module}.py").is_file():
            del document["auto_map"]  # an exported graph has no code beside it
        (folder / PROCESSOR_FILE).write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", "utf-8")

    def save_parts(self, folder: Path) -> None:
        """Write the files that only this kind of processor has."""

    @property
    def code_lookups(self) -> dict[Callable[..., Any], type]:
        """Functions of the code that import by name: see [`flat_code`]."""
        return {}

    def push_to_hub(self, repo_id: str, **options: Any) -> Any:
        """Push the files of `save_pretrained` in one commit.

        In the repository of a model, its code and configuration stay: they belong to the
        weights.

        Args:
            repo_id: The repository; it is created if it does not exist.
            options: Those of `PushToHubMixin.push_to_hub`.

        Returns:
            The commit.
        """
        api = HfApi(token=options.get("token"))
        repo_id = api.create_repo(repo_id, private=options.get("private"), exist_ok=True).repo_id
        source = {name: options[name] for name in ("token", "revision") if options.get(name) is not None}
        pushed = copy(self)
        pushed._is_beside_model = self._is_model(fetched(repo_id, CONFIG_FILE, **source))
        return ProcessorMixin.push_to_hub(pushed, repo_id, **options)


def _checked_call(name: str, return_tensors: Any, padding: Any, unknown: Mapping[str, Any]) -> str | None:
    """Check the arguments of a call; return the kind of tensors."""
    kind: str | None = getattr(return_tensors, "value", return_tensors)
    if unknown:
        raise EmoNetError(
            f"{name} takes no {', '.join(sorted(unknown))}: it reads dialogues (text alone), and the model's "
            "configuration decides lengths. It takes dialogues, return_tensors and padding."
        )
    if kind not in _CONVERSIONS:
        raise EmoNetError(f"return_tensors={return_tensors!r} is not one of 'pt', 'np', None (lists).")
    if padding not in (True, "longest"):
        raise EmoNetError(
            f"padding={padding!r}: a batch is padded to its longest dialogue (True or 'longest'); for rows "
            "without padding call processor.encode(turns)."
        )
    return kind
