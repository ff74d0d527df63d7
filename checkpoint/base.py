"""What every EmoNet checkpoint is: weights, code, tokenizer and speakers, loaded and
saved with and without the package.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import PretrainedConfig, PreTrainedModel
from transformers.utils import logging

from ..errors import EmoNetError
from ..files.guard import refuse_outside_links
from .adapters import Adapter, fetched
from .export import auto_name, exported_class, source_of, write_code
from .files import hub_options, package
from .integrity import DIGESTS_FILE, WeightsHeader, check_digests, write_digests

logger = logging.get_logger(__name__)


class EmoNetCheckpoint(PreTrainedModel):
    """A model that brings its processor, and whose folder works for people who have not
    the package.

    Attributes:
        auto_map: What `config.json` says to them, but for `AutoModel`, which gives the
            class that was saved.
        processor_class: Of the processor that is saved beside the weights.
    """

    auto_map: dict[str, str] = {}
    processor_class: Any = None
    accepts_loss_kwargs = False
    _processor: Any = None

    @classmethod
    def from_pretrained(cls, *args: Any, backbone_path: str | None = None, **kwargs: Any) -> Any:
        """As `PreTrainedModel.from_pretrained`, from safetensors; adapters alone are
        merged into their backbone.

        Args:
            backbone_path: Where the backbone of adapters lies now, if not under the name
                it had in training.

        Raises:
            EmoNetError: for files that are not the ones that were saved (`digests.json`),
                a configuration that asks for more than the weights hold, or adapters
                whose backbone has other weights than those they were trained on.
        """
        checkpoint = args[0] if args else kwargs.get("pretrained_model_name_or_path")
        if checkpoint is not None and Path(checkpoint).is_dir():
            check_digests(checkpoint)
        adapter = None if checkpoint is None else Adapter.find(checkpoint, kwargs)
        if adapter is not None:
            return cls._from_adapter(str(checkpoint), adapter, backbone_path, kwargs)
        if checkpoint is not None:
            cls._check_header(checkpoint, kwargs)
        loaded = super().from_pretrained(*args, **{"use_safetensors": True, **kwargs})
        if checkpoint is not None and not Path(checkpoint).is_dir():
            digests = fetched(checkpoint, DIGESTS_FILE, **hub_options(kwargs))
            if digests is not None:
                check_digests(Path(digests).parent)
        (loaded[0] if isinstance(loaded, tuple) else loaded).freeze()
        return loaded

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
        exact = not renamed and getattr(config, "quantization_config", None) is None
        header.check(config, cls._from_config, exact)

    @classmethod
    def _from_adapter(
        cls, checkpoint: str, adapter: Adapter, backbone_path: str | None, kwargs: dict[str, Any]
    ) -> Any:
        if kwargs.get("quantization_config") is not None:
            raise EmoNetError(
                f"{checkpoint}: adapters are merged into whole weights; load a merged checkpoint in 4 bits."
            )
        config_class: Any = cls.config_class
        config = kwargs.get("config") or config_class.from_pretrained(checkpoint, **hub_options(kwargs))
        load = {"dtype": adapter.base_dtype}
        if kwargs.get("attn_implementation") is not None:
            load["attn_implementation"] = kwargs["attn_implementation"]
        try:
            header = WeightsHeader.find(resolve_backbone(backbone_path or adapter.backbone)[0], {})
            if header is not None:
                header.beside(adapter.state).check(config, cls._from_config, own=True)
            model = cls.on_backbone(backbone_path or adapter.backbone, config, **load)
        except OSError as error:
            reason = " ".join(str(error).split())
            raise EmoNetError(
                f"{checkpoint}: adapters alone, and their backbone {adapter.backbone!r} can't be loaded here ({reason}); say "
                "where it is: from_pretrained(..., backbone_path=FOLDER)."
            ) from error
        adapter.merge_into(model, checkpoint, backbone_path)
        model.name_or_path = checkpoint
        dtype = kwargs.get("dtype")
        if dtype not in (None, "auto"):
            model = model.to(getattr(torch, dtype) if isinstance(dtype, str) else dtype)
        return model.eval()

    @classmethod
    def on_backbone(cls, backbone: str, config: Any, **load: Any) -> Any:
        """A new model of that configuration on pretrained weights."""
        raise NotImplementedError

    @property
    def backbone_prefixes(self) -> tuple[str, ...]:
        """How the names of those weights begin that come from the backbone and that
        adapters leave as they are.
        """
        raise NotImplementedError

    def freeze(self) -> None:
        """Mark as untrainable what the configuration calls frozen (`from_pretrained`
        forgets `requires_grad`).
        """

    @property
    def processor(self) -> Any:
        """The processor of this model: the one attached to it, or the one saved beside
        its checkpoint.

        Raises:
            ValueError: where there is neither.
        """
        if self._processor is None:
            if not self.name_or_path:
                name = self.processor_class.__name__
                raise ValueError(
                    f"This model has no processor yet: set model.processor = {name}.from_backbone(...)."
                )
            self._processor = self.processor_class.from_pretrained(
                self.name_or_path, revision=getattr(self.config, "_commit_hash", None)
            )
        return self._processor

    @processor.setter
    def processor(self, value: Any) -> None:
        self._processor = value

    def save_pretrained(self, save_directory: str | os.PathLike[str], *args: Any, **kwargs: Any) -> None:
        """As `PreTrainedModel.save_pretrained`, and all else that a repository needs to
        work for others.

        That is the code, the entries of the Auto classes and the pipeline in
        `config.json`, the tokenizer and `speakers.json`; and, where the package is
        installed, the card and the handler for Inference Endpoints. Code that an earlier
        save left in the folder, and that this model does not use, is deleted.

        Raises:
            EmoNetError: for a file in place of the folder, or a folder with a symbolic
                link that leads out of it; nothing is written then.
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
        super().save_pretrained(save_directory, *args, **kwargs)
        if kwargs.get("is_main_process", True):
            self._save_companions(save_directory)
        if push is not None:  # after the companions, which the base class would not know of
            self.push_to_hub(**push)

    def save_without_weights(self, folder: str | os.PathLike[str]) -> None:
        """Write what `save_pretrained` writes, but for the weights."""
        refuse_outside_links(folder)
        self._set_auto_map()
        Path(folder).mkdir(parents=True, exist_ok=True)
        config: Any = self.config
        config.save_pretrained(folder)
        self._save_companions(folder)

    @classmethod
    def register_for_auto_class(cls, auto_class: str = "AutoModel") -> None:
        """Have transformers save the code of a subclass of your own; that of this class
        is always saved.
        """
        if source_of(cls) is None:
            super().register_for_auto_class(auto_class)

    @property
    def code_lookups(self) -> dict[Callable[..., Any], type]:
        """Functions that import a part of the model by name, and the class of the part:
        see [`flat_code`].
        """
        return {}

    def save_code(self, folder: str | os.PathLike[str]) -> None:
        """Write the code that loads this model where emonet is not installed: see
        [`write_code`].
        """
        file = source_of(exported_class(type(self)))
        assert file is not None
        write_code(folder, file, self.code_lookups)

    def _set_auto_map(self) -> None:
        self.config.auto_map = {**self.auto_map, "AutoModel": auto_name(exported_class(type(self)))}

    def _save_companions(self, folder: str | os.PathLike[str]) -> None:
        self.save_code(folder)
        try:
            self.processor.save_pretrained(folder)
        except (OSError, ValueError) as error:
            logger.warning(f"{folder}: saved without tokenizer and speakers ({error})")
        write_digests(folder)
        package.write_companions(folder)


def resolve_backbone(backbone: str) -> tuple[str, str]:
    """(what `from_pretrained` loads, the public name). The embedded backbones exist only
    where the package is installed.
    """
    path = package.resolve_backbone(backbone)
    return path, package.backbone_name(path)
