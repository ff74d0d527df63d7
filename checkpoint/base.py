"""Load and save a checkpoint: weights, code, tokenizer and speakers."""

import os
import re
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from shutil import copyfile
from typing import Any, ClassVar, Protocol

import torch
from transformers import AutoModel, PretrainedConfig, PreTrainedModel
from transformers.initialization import no_init_weights
from transformers.utils import logging

from ..errors import EmoNetError
from ..files.guard import refuse_outside_links
from ..files.old_labels import drop_saved, label_names, tell_dropped
from .adapters import DIGESTS_FILE, Adapter, Base, delete_learnt, fetched, weights_digest, write_learnt
from .export import SavedCode, auto_name, exported_class, source_of, write_code
from .files import hub_options, package
from .integrity import WeightsHeader, check_digests, write_digests

logger = logging.get_logger(__name__)

_LABELS = ("num_labels", "id2label", "label2id")


class SavedProcessor(Protocol):
    """What a checkpoint needs of its processor."""

    config: Any

    def save_pretrained(self, folder: str | os.PathLike[str]) -> Any:
        """Save the tokenizer and the speakers."""
        ...


class EmoNetCheckpoint(SavedCode, PreTrainedModel):  # type: ignore[no-untyped-call]
    """A model with its processor, whose folder works for users without emonet installed.

    Attributes:
        auto_map: The entries of `auto_map` in `config.json`, apart from `AutoModel`: the
            class that was saved.
        processor_class: The class of the processor that is saved beside the weights.
        has_new_labels: Whether it was loaded with other labels than the saved ones.
        fine_tuned_from: What it was loaded from, if `prepare` set it up for a training
            without emonet installed.
    """

    auto_map: ClassVar[dict[str, str]] = {}
    processor_class: Any = None
    accepts_loss_kwargs = False
    has_new_labels = False  # since it was loaded
    fine_tuned_from: str | None = None
    _processor: SavedProcessor | None = None
    _base: Base | None = None  # the published weights of a frozen backbone

    @classmethod
    def from_pretrained(
        cls, *args: Any, backbone_path: str | None = None, verify: bool | None = None, **kwargs: Any
    ) -> Any:
        """Load a whole model, or what was learnt on top of a published backbone.

        Args:
            args: Those of `PreTrainedModel.from_pretrained`.
            backbone_path: The backbone of heads or adapters, if it is no longer under its
                name in training.
            verify: Whether files must be the saved ones (`digests.json`). By default,
                other weights are a warning, because other tools write them anew; another
                tokenizer, or another backbone of heads or adapters, is an error. False
                checks nothing and only warns of another backbone.
            kwargs: Those of `PreTrainedModel.from_pretrained`.

        Raises:
            EmoNetError: for files that fail that check, or a configuration that asks for
                more than the weights hold.
        """
        checkpoint = args[0] if args else kwargs.get("pretrained_model_name_or_path")
        if checkpoint is not None:
            checkpoint = package.built_in_path(str(checkpoint))
        if checkpoint is not None and Path(checkpoint).is_dir() and verify is not False:
            check_digests(checkpoint, verify_weights=bool(verify))
        adapter = None if checkpoint is None else Adapter.find(checkpoint, kwargs)
        saved = {} if checkpoint is None else cls._saved_fields(checkpoint, kwargs)
        if adapter is not None:
            model = cls._from_adapter(str(checkpoint), adapter, backbone_path, verify, kwargs)
            model.drop_old_labels(saved)
            return model
        if checkpoint is not None:
            cls._check_header(checkpoint, kwargs)
        loaded = super().from_pretrained(*args, **{"use_safetensors": True, **kwargs})
        if checkpoint is not None and not Path(checkpoint).is_dir() and verify is not False:
            digests = fetched(checkpoint, DIGESTS_FILE, **hub_options(kwargs))
            if digests is not None:
                check_digests(Path(digests).parent, verify_weights=bool(verify))
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        model.drop_old_labels(saved)
        model.freeze()
        return loaded

    @classmethod
    def _saved_fields(cls, checkpoint: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        config_class: Any = cls.config_class
        try:
            fields: dict[str, Any] = config_class.get_config_dict(checkpoint, **hub_options(kwargs))[0]
        except OSError:  # weights alone, beside a config that was given
            return {}
        return fields

    @classmethod
    def _counts_other_labels(cls, config: Any, checkpoint: Any, kwargs: dict[str, Any]) -> bool:
        saved = label_names(cls._saved_fields(checkpoint, kwargs))
        return saved is not None and len(saved) != config.num_labels

    @torch.no_grad()
    def drop_old_labels(self, saved: dict[str, Any]) -> None:
        """Drop what belongs to the labels of a checkpoint, if this model has others.

        Args:
            saved: The content of its `config.json`.
        """
        config: Any = self.config
        if label_names(saved) in (None, config.label_names):
            return
        self.has_new_labels = True
        tell_dropped(drop_saved(config, saved))
        for name, buffer in self.named_buffers():
            if name.endswith("class_bias"):
                buffer.zero_()

    @classmethod
    def _check_header(cls, checkpoint: Any, kwargs: dict[str, Any]) -> None:
        if (
            kwargs.get("state_dict") is not None
            or kwargs.get("gguf_file") is not None
            or kwargs.get("use_safetensors") is False
        ):
            return
        header = WeightsHeader.find(checkpoint, kwargs)
        if header is None:
            return
        config = kwargs.get("config")
        if not isinstance(config, PretrainedConfig):
            config_class: Any = cls.config_class
            options = {name: value for name, value in kwargs.items() if name == "subfolder"}
            config = config_class.from_pretrained(config or checkpoint, **options, **hub_options(kwargs))
        renamed = kwargs.get("key_mapping") is not None or kwargs.get("ignore_mismatched_sizes", False)
        # For a classifier of other labels, transformers has its own error.
        renamed = renamed or config.num_labels != len(
            label_names(cls._saved_fields(checkpoint, kwargs)) or ()
        )
        exact = not renamed and getattr(config, "quantization_config", None) is None
        header.check(config, cls._from_config, exact)

    @classmethod
    def _from_adapter(
        cls,
        checkpoint: str,
        adapter: Adapter,
        backbone_path: str | None,
        verify: bool | None,
        kwargs: dict[str, Any],
    ) -> Any:
        if kwargs.get("quantization_config") is not None:
            raise EmoNetError(
                f"{checkpoint}: holds what was learnt on full weights, which 4-bit ones can't stand for; "
                "save the whole model first: model.save_pretrained(FOLDER, merge=True), or "
                "emonet train --merge-backbone."
            )
        config_class: Any = cls.config_class
        fields = {
            name: value for name, value in kwargs.items() if name in (*_LABELS, *config_class.own_defaults())
        }
        config = kwargs.get("config") or config_class.from_pretrained(
            checkpoint, **hub_options(kwargs), **fields
        )
        load = {"dtype": adapter.base_dtype}
        if kwargs.get("attn_implementation") is not None:
            load["attn_implementation"] = kwargs["attn_implementation"]
        learnt_on = f"holds what was learnt on the backbone {adapter.facts['backbone']!r}"
        try:
            backbone = backbone_path or adapter.backbone
            header = WeightsHeader.find(resolve_backbone(backbone)[0], {})
            if header is not None:
                exact = not cls._counts_other_labels(config, checkpoint, kwargs)
                header.beside(adapter.state).check(config, cls._from_config, exact, own=True)
        except EmoNetError:
            raise
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise EmoNetError(
                f"{checkpoint}: {learnt_on}, which can't be loaded here ({reason}); {adapter.remedy}"
            ) from error
        ignore_sizes = kwargs.get("ignore_mismatched_sizes", False)
        try:
            # Every weight is read from a file, except those that start anew.
            with nullcontext() if ignore_sizes else no_init_weights():
                model = cls.on_backbone(backbone, config, **load)
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise EmoNetError(
                f"{checkpoint}: {learnt_on}, which can't be loaded here from {backbone} ({reason}); "
                f"{adapter.remedy}"
            ) from error
        adapter.merge_into(
            model,
            checkpoint,
            backbone_path,
            ignore_sizes=ignore_sizes,
            verify=verify is not False,
        )
        if words := package.introduction(checkpoint):
            logger.warning_once(words)
        if "rank" not in adapter.facts:
            model._base = adapter.base
        model.name_or_path = checkpoint
        dtype = kwargs.get("dtype")
        if dtype not in (None, "auto"):
            model = model.to(getattr(torch, dtype) if isinstance(dtype, str) else dtype)
        return model.eval()

    @classmethod
    def on_backbone(cls, backbone: str, config: Any, **load: Any) -> Any:
        """Build a new model of a configuration on pretrained weights."""
        raise NotImplementedError

    @property
    def adapted(self) -> Any:
        """The backbone, which carries adapters."""
        raise NotImplementedError

    @property
    def backbone_prefixes(self) -> tuple[str, ...]:
        """Prefixes of the backbone's weights, which files of adapters leave out."""
        raise NotImplementedError

    def freeze(self) -> None:
        """Freeze the parts that the configuration calls frozen.

        `from_pretrained` does not keep `requires_grad`.
        """

    @property
    def device(self) -> torch.device:
        """The device of the inputs: offloaded weights themselves are on `meta`."""
        device: torch.device = super().device
        if device.type != "meta":
            return device
        hooks = (getattr(module, "_hf_hook", None) for module in self.modules())
        devices = (getattr(hook, "execution_device", None) for hook in hooks)
        return torch.device(next((found for found in devices if found is not None), device))

    @property
    def processor(self) -> Any:
        """The processor attached to this model, or saved beside its checkpoint.

        Raises:
            ValueError: where there is neither.
        """
        if self._processor is None:
            if not self.name_or_path:
                name = self.processor_class.__name__
                raise ValueError(
                    f"This model has no processor yet: set model.processor = {name}.from_backbone(...)."
                )
            self.processor = self.processor_class.from_pretrained(
                self.name_or_path, revision=getattr(self.config, "_commit_hash", None)
            )
        return self._processor

    @processor.setter
    def processor(self, value: Any) -> None:
        if value is not None and value.config is not self.config:
            value.config = self.config
        self._processor = value

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], *args: Any, merge: bool | None = None, **kwargs: Any
    ) -> None:
        """Save the weights and everything that a repository needs to work for others.

        On a frozen backbone that others can fetch, the weights are those that were
        learnt: some megabytes instead of the backbone over again. The rest is the code,
        the entries of the Auto classes and the pipeline in `config.json`, the tokenizer
        and `speakers.json`; where emonet is installed, also the card and the handler for
        Inference Endpoints. Files of an earlier save that this model does not use are
        deleted.

        Args:
            save_directory: The folder.
            args: Those of `PreTrainedModel.save_pretrained`.
            merge: Whether to save the backbone too. Default: where it was trained, has no
                public name, or the folder is a Trainer's checkpoint.
            kwargs: Those of `PreTrainedModel.save_pretrained`.

        Raises:
            EmoNetError: for `merge=False` on such a backbone, a file in place of the
                folder, or a folder with a symbolic link that leads out of it; nothing is
                written then.
        """
        if Path(save_directory).is_file():
            raise EmoNetError(f"{save_directory} is a file: name a folder.")
        refuse_outside_links(save_directory)
        self._set_auto_map()
        push = (
            {"repo_id": kwargs.pop("repo_id", Path(save_directory).name)}
            if kwargs.pop("push_to_hub", False)
            else None
        )
        if push is not None:
            names = ("commit_message", "create_pr", "private", "revision", "token")
            push.update({name: kwargs.pop(name) for name in names if name in kwargs})
        base = self._base_of_save(save_directory, merge, kwargs)
        is_main_process = args[0] if args else kwargs.get("is_main_process", True)
        if base is None:
            super().save_pretrained(save_directory, *args, **kwargs)
            if is_main_process:
                delete_learnt(save_directory)
                self._save_companions(save_directory, kwargs.get("state_dict") is None)
        elif is_main_process:
            self.save_learnt(save_directory, base)
        if push is not None:  # last, because the base class would push without the companions
            self.push_to_hub(**push)

    def _base_of_save(
        self, folder: str | os.PathLike[str], merge: bool | None, kwargs: dict[str, Any]
    ) -> Base | None:
        """The backbone that a save leaves out, None where it saves the whole model."""
        base, prefixes = self._base, self.backbone_prefixes
        # A Trainer resumes from the whole model.
        whole = kwargs.get("state_dict") is not None or is_trainer_checkpoint(folder)
        if merge or (merge is None and (whole or base is None)):
            return None
        trained = any(
            parameter.requires_grad and name.startswith(prefixes)
            for name, parameter in self.named_parameters()
        )
        if base is None and is_public(resolve_backbone(self.config.backbone or "")[0]):
            base = Base.of(self.config.backbone, self.on_backbone(self.config.backbone, self.config).adapted)
        if base is not None and not trained and weights_digest(self.adapted) == base.digest:
            return base
        if merge is None:
            return None
        raise EmoNetError(
            "The backbone can't be left out: it was trained or changed, or has no public name; "
            "save the whole model (merge=True)."
        )

    def save_learnt(
        self, folder: str | os.PathLike[str], base: Base, settings: dict[str, Any] | None = None
    ) -> None:
        """Save everything that `save_pretrained` saves, without the backbone.

        Args:
            folder: The folder, which is made where it is missing.
            base: The backbone.
            settings: Those of adapters that are not merged.
        """
        refuse_outside_links(folder)
        self._set_auto_map()
        Path(folder).mkdir(parents=True, exist_ok=True)
        write_learnt(self, folder, base, settings)
        config: Any = self.config
        config.save_pretrained(folder)
        self._save_companions(folder)

    @property
    def code_lookups(self) -> dict[Callable[..., Any], type]:
        """Functions that import a part of the model by name, with the class of the part.

        See `checkpoint/flatten.py`.
        """
        return {}

    def save_code(self, folder: str | os.PathLike[str]) -> None:
        """Write the code that loads this model without emonet: see [`write_code`]."""
        file = source_of(exported_class(type(self)))
        assert file is not None
        write_code(folder, file, self.code_lookups)

    def _set_auto_map(self) -> None:
        self.config.auto_map = {**self.auto_map, "AutoModel": auto_name(exported_class(type(self)))}

    def _save_companions(self, folder: str | os.PathLike[str], own_weights: bool = True) -> None:
        self.save_code(folder)
        try:
            self.processor.save_pretrained(folder)
        except (OSError, ValueError) as error:
            logger.warning(f"{folder}: saved without tokenizer and speakers ({error})")
        write_digests(folder)
        # The example of the card takes a moment, which no checkpoint of a training needs.
        example = own_weights and not is_trainer_checkpoint(folder)
        self._carry_handler(folder)
        package.write_companions(folder, self if example else None)

    def _carry_handler(self, folder: str | os.PathLike[str]) -> None:
        """Copy the handler of the repository that was loaded without emonet."""
        if not (self.name_or_path and __name__.startswith("transformers_modules.")):
            return
        revision = getattr(self.config, "_commit_hash", None)
        for name in ("handler.py", "requirements.txt"):
            if Path(folder, name).exists():
                continue
            if path := fetched(self.name_or_path, name, revision=revision):
                copyfile(path, Path(folder, name))


def resolve_backbone(backbone: str) -> tuple[str, str]:
    """Resolve a backbone into what `from_pretrained` loads and its public name.

    Embedded backbones exist only where emonet is installed.
    """
    path = package.resolve_backbone(backbone)
    return path, package.backbone_name(path)


def is_trainer_checkpoint(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder has the name of a Trainer's checkpoint."""
    return re.fullmatch(r"checkpoint-\d+", Path(folder).name) is not None


def is_public(path: str) -> bool:
    """Whether others find a backbone by its name: it is embedded, or a Hub id.

    Args:
        path: A result of `resolve_backbone`.
    """
    name = package.backbone_name(path)
    return not Path(path).is_dir() or package.resolve_backbone(name) != name


def backbone_state(path: str, config: PretrainedConfig, **options: Any) -> dict[str, torch.Tensor]:
    """Load the weights of a backbone, without its pooler.

    Args:
        path: A folder or a Hub id.
        config: The backbone's configuration, which may have fewer layers than the file.
        options: Those of `from_pretrained`.

    Raises:
        ValueError: for weights that do not load, or a file that lacks some.
    """
    verbosity = logging.get_verbosity()
    # Silence the report of unused layers above the read-out; missing ones are checked.
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        source, info = AutoModel.from_pretrained(
            path, config=config, output_loading_info=True, trust_remote_code=False, **options
        )
    except Exception as error:  # safetensors, pickle and the archive reader share no class
        raise ValueError(f"{path!r}: its weights do not load ({type(error).__name__}: {error}).") from error
    finally:
        logging.set_verbosity(verbosity)
    missing = [key for key in info["missing_keys"] if "pooler" not in key]
    if missing:
        raise ValueError(f"{path!r} lacks weights of its backbone, for example {sorted(missing)[0]!r}.")
    state: dict[str, torch.Tensor] = source.state_dict()
    return state
