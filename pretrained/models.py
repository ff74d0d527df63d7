"""Name the built-in models, and say what each is and how good."""

from dataclasses import dataclass
from pathlib import Path

from ..backbones.embedded import resolve_backbone
from ..files.guard import read_json

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class BuiltIn:
    """A built-in model.

    Attributes:
        name: What `--model` and `from_pretrained` take.
        preset: The preset that trained it.
        backbone: The frozen backbone that it reads with.
    """

    name: str
    preset: str
    backbone: str

    @property
    def folder(self) -> Path:
        """Its files: configuration, heads, card and figures."""
        return _HERE / self.name


MODELS = {
    model.name: model
    for model in (
        BuiltIn("emorynlp", "emonet", "smollm2"),
        BuiltIn("emorynlp-small", "emonet-fast", "minilm"),
    )
}
DEFAULT = "emorynlp"


def built_in_path(name: str) -> str:
    """Turn a built-in model's name into its folder; other names stay as they are.

    A checkpoint's folder of that name wins, a corpus's does not.
    """
    return str(MODELS[name].folder) if name in MODELS and not Path(name, "config.json").is_file() else name


def tokenizer_path(name: str) -> str:
    """Turn a built-in model's name or folder into the folder of its backbone's tokenizer.

    Other names stay as they are.
    """
    path = Path(built_in_path(name))
    if not is_built_in(path) or any(path.glob("tokenizer*")):
        return name
    return resolve_backbone(MODELS[path.name].backbone)


def is_built_in(checkpoint: str | Path) -> bool:
    """Whether a folder is that of a built-in model, which is part of the package."""
    path = Path(checkpoint)
    return path.parent == _HERE and path.name in MODELS


def introduction(checkpoint: str) -> str:
    """Say what a built-in model is and how good; nothing for other checkpoints."""
    path = Path(checkpoint)
    figures = path / "test_metrics.json"
    if not is_built_in(path) or not figures.is_file():
        return ""
    facts = read_json(figures)
    low, high = facts["weighted_f1_interval"]
    score = f"{100 * facts['weighted_f1']:.1f} [{100 * low:.1f}, {100 * high:.1f}]"
    return (
        f"Built-in model {path.name!r}: heads on a frozen {MODELS[path.name].backbone}, trained on EmoryNLP "
        f"(lines of the TV series Friends, seven emotions); weighted F1 {score} on its test set. "
        "It knows the words of TV scripts: check it on your own conversations, or train your own model "
        "(emonet train)."
    )
