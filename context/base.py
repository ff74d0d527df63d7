"""Context modules run over a dialogue's turn vectors behind the backbone: interface,
table and the plainest one.

A new system is one file with a `ContextModule` and its line in `SYSTEMS`; see
docs/adding_a_system.md.
"""

from importlib import import_module
from typing import Any, ClassVar, NamedTuple

import torch
from torch import nn

# Each system's file in this folder. It is imported when it is asked for, so that a
# checkpoint carries its own alone.
SYSTEMS = {
    "dag-erc": "dag_erc",
    "dialoguegcn": "dialoguegcn",
    "dialogxl": "dialogxl",
    "gru": "base",
    "hitrans": "hitrans",
    "ket": "ket",
    "rgat": "rgat",
    "s-page": "s_page",
    "spcl": "spcl",
    "tucore-gcn": "tucore_gcn",
}
# The classes of those that are imported.
CONTEXT_MODULES: dict[str, type["ContextModule"]] = {}


class TurnConcepts(NamedTuple):
    """Concepts that the words of each turn stand beside in a knowledge graph: (B, T, C)
    ids, -1 for none, and confidences.
    """

    ids: torch.Tensor
    confidences: torch.Tensor


class ContextPart(nn.Module):
    """A part of a context module with bare parameters or buffers, which nobody else would
    fill where a checkpoint lacks them.
    """

    def reset(self) -> None:
        """Fill them, by functions of `torch.nn.init` alone: those leave alone what a
        checkpoint held.
        """


class ContextModule(ContextPart):
    """Turn vectors of whole dialogues in, turn vectors out: `module(turn_states,
    speakers, turn_mask)`.

    Shapes: `turn_states` (B, T, H); `speakers` (B, T) ids by order of appearance in the
    dialogue, -1 where there is no turn (global ids are 0 for everyone unknown, and enter
    through the turn vectors); `turn_mask` (B, T), True for turns, padding behind them.
    The result is (B, T, H); places without a turn hold numbers without meaning, and must
    not reach the others.

    Attributes:
        name: What `context_module` calls it; a subclass that has one is registered.
            paper: Where it is from.
        graph: The mask or graph it builds, in words.
        sees_future: Whether a later turn may change an earlier one; such a module needs
            `causal=False` in the configuration.
        uses_speakers: Whether it reads `speakers`.
        uses_concepts: Whether `forward` takes `concepts` (`TurnConcepts`, or None without
            knowledge).
        concept_table: The class of the table that the concepts are from.
        has_auxiliary_loss: Whether it has `auxiliary_losses`.
        streams: Whether `resume` takes a dialogue turn by turn.
        exports: Whether its ONNX graph takes dialogues of any length.
    """

    name: ClassVar[str]
    paper: ClassVar[str] = ""
    graph: ClassVar[str] = ""
    sees_future: ClassVar[bool] = False
    uses_speakers: ClassVar[bool] = True
    uses_concepts: ClassVar[bool] = False
    concept_table: ClassVar[Any] = None
    has_auxiliary_loss: ClassVar[bool] = False
    exports: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" in cls.__dict__:
            CONTEXT_MODULES[cls.name] = cls

    @property
    def streams(self) -> bool:
        return not self.sees_future

    def auxiliary_losses(
        self, states: torch.Tensor, speakers: torch.Tensor, turn_mask: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        """A further loss of every turn (B, T), from the module's own output; asked for in
        training alone.

        It joins the cross entropy with the weight of the turn's label and under the same
        divisor, and counts where `labels` (B, T) isn't -100. A loss of a turn that
        depends on its dialogue alone is exact under gradient accumulation.
        """
        raise NotImplementedError

    def resume(
        self, turn_states: torch.Tensor, speakers: torch.Tensor, state: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """New turns (B, T, H) of `speakers` (B, T) behind those that left `state` → their
        states, and the state they leave.

        Here the state is all earlier turn vectors, with the speaker as a last column, and
        the module runs over them again: a cost that grows with the dialogue, small beside
        the backbone's for tens of turns. A recurrent module does better.
        """
        known = torch.cat([turn_states, speakers.unsqueeze(-1).to(turn_states.dtype)], dim=-1)
        known = known if state is None else torch.cat([state, known], dim=1)
        everyone = known[..., -1].long()
        states = self(known[..., :-1], everyone, torch.ones_like(everyone, dtype=torch.bool))
        return states[:, -turn_states.shape[1] :], known


class GRUContext(ContextModule):
    """A unidirectional GRU over turns, added to the turn vectors: the plainest causal
    context.
    """

    name = "gru"
    graph = "a chain of turns"
    uses_speakers = False
    exports = True

    def __init__(self, config: Any):
        super().__init__()
        self.gru = nn.GRU(config.hidden_size, config.hidden_size, batch_first=True)
        self.dropout = nn.Dropout(config.context_module_dropout)

    def forward(
        self, turn_states: torch.Tensor, speakers: torch.Tensor, turn_mask: torch.Tensor
    ) -> torch.Tensor:
        # Padding stands behind the real turns, so a forward GRU never carries it into
        # them.
        return self.resume(turn_states, speakers)[0]

    def resume(
        self, turn_states: torch.Tensor, speakers: torch.Tensor, state: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        states, last = self.gru(self.dropout(turn_states), state)
        return turn_states + states, last


def import_system(name: str) -> None:
    """Import the file of a system, which registers its class. A checkpoint's code imports
    the system it uses.
    """
    import_module(f".{SYSTEMS[name]}", __package__)


def context_module_class(name: str) -> type[ContextModule] | None:
    """The class of that name, or None for `none`.

    Raises:
        ValueError: for an unknown name, with the known ones, and for a system that this
            code has no file of.
    """
    if name == "none":
        return None
    if name not in CONTEXT_MODULES and name in SYSTEMS:
        try:
            import_system(name)
        except ModuleNotFoundError as error:
            if error.name is None or not error.name.endswith(f".{SYSTEMS[name]}"):
                raise
        if name not in CONTEXT_MODULES:
            raise ValueError(
                f"context_module={name!r} is not in the code of this checkpoint, which holds what its model uses alone: "
                "install emonet."
            )
    if name not in CONTEXT_MODULES:
        known = ", ".join(["none", *{**SYSTEMS, **CONTEXT_MODULES}])
        raise ValueError(f"context_module={name!r} is not one of {known}.")
    return CONTEXT_MODULES[name]


def all_context_modules() -> dict[str, type[ContextModule]]:
    """Every context module by name, all imported."""
    for name in SYSTEMS:
        context_module_class(name)
    return dict(CONTEXT_MODULES)


def build_context_module(config: Any) -> ContextModule | None:
    """The context module that a configuration asks for, or None for `none`."""
    module = context_module_class(config.context_module)
    return None if module is None else module(config)
