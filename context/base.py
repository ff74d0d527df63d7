"""Define the interface of context modules, their registry and the plainest one.

A context module runs over a dialogue's turn vectors, after the backbone. A new system is
one file with a `ContextModule` and its line in `SYSTEMS`; see docs/adding_a_system.md.
"""

from importlib import import_module
from typing import Any, ClassVar, NamedTuple, TypeAlias

import torch
from torch import nn

# Each system's file in this folder, imported on use: a checkpoint carries its own only.
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
# How many turns back a module reaches where its paper sets no limit: it bounds the state
# of a session. Windows of a backbone with 512 positions have fewer turns.
LONGEST_PAST = 512
# What a module keeps of earlier turns, by name: (B, N, …) for N turns.
ContextState: TypeAlias = dict[str, torch.Tensor]
# The classes imported so far.
CONTEXT_MODULES: dict[str, type["ContextModule"]] = {}


class TurnConcepts(NamedTuple):
    """Neighbours of each turn's words in a knowledge graph.

    Attributes:
        ids: (B, T, C), -1 for none.
        confidences: (B, T, C), 0 to 1.
    """

    ids: torch.Tensor
    confidences: torch.Tensor


class ContextPart(nn.Module):
    """A part of a context module with bare parameters or buffers to initialise."""

    def reset(self) -> None:
        """Fill them with functions of `torch.nn.init`, which skip loaded tensors."""


class ContextModule(ContextPart):
    """Turn vectors of whole dialogues in, turn vectors out.

    Call as `module(turn_states, speakers, turn_mask)`: `turn_states` (B, T, H);
    `speakers` (B, T) ids by order of appearance in the dialogue, -1 where there is no
    turn (global ids are 0 for every unknown speaker, and are part of the turn vectors);
    `turn_mask` (B, T), True for turns, followed by padding. The result is (B, T, H). Its
    values at padding are undefined and must not influence other turns.

    Attributes:
        name: The value of `context_module` that selects it; a subclass with a name is
            registered.
        paper: The source.
        graph: The mask or graph that it builds, in words.
        sees_future: Whether a later turn may change an earlier one; such a module needs
            `causal=False` in the configuration.
        reach: How many turns back an output depends on; None for all. `resume` keeps as
            many turns.
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
    reach: ClassVar[int | None] = None
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
        """Compute an additional loss of every turn (B, T) from the module's own output.

        Called in training only. It joins the cross entropy with the weight of the turn's
        label and the same divisor, and counts where `labels` (B, T) is not -100. A loss
        that depends on the turn's own dialogue only is exact under gradient accumulation.
        """
        raise NotImplementedError

    def resume(
        self, turn_states: torch.Tensor, speakers: torch.Tensor, state: ContextState | None = None
    ) -> tuple[torch.Tensor, ContextState]:
        """Continue after the turns that left `state` with new turns (B, T, H).

        The state is the last `reach` turn vectors with their speakers, and the module
        runs over them again. Without `reach` that is the whole dialogue, or the window
        of a packed one: the cost grows with it. A module that can do with less overrides
        this.

        Args:
            turn_states: The new turns (B, T, H).
            speakers: Their speakers (B, T).
            state: What the last call returned, None at the start.

        Returns:
            The new turns' states (B, T, H) and the new state.
        """
        turns = following(state, turns=turn_states, speakers=speakers)
        states = self(turns["turns"], turns["speakers"], torch.ones_like(turns["speakers"], dtype=torch.bool))
        return states[:, -turn_states.shape[1] :], last_turns(turns, self.reach)


def following(state: ContextState | None, **new: torch.Tensor) -> ContextState:
    """Put new turns after those of a state."""
    if state is None:
        return new
    return {name: torch.cat([state[name], turns], dim=1) for name, turns in new.items()}


def last_turns(state: ContextState, count: int | None) -> ContextState:
    """Keep the last `count` turns of a state; None for all."""
    return {name: turns if count is None else turns[:, -count:] for name, turns in state.items()}


class GRUContext(ContextModule):
    """A unidirectional GRU over turns, added to the turn vectors."""

    name = "gru"
    graph = "a chain of turns"
    reach = 1  # the last state holds all before
    uses_speakers = False
    exports = True

    def __init__(self, config: Any):
        super().__init__()
        self.gru = nn.GRU(config.hidden_size, config.hidden_size, batch_first=True)
        self.dropout = nn.Dropout(config.context_module_dropout)

    def forward(
        self, turn_states: torch.Tensor, speakers: torch.Tensor, turn_mask: torch.Tensor
    ) -> torch.Tensor:
        # Padding follows the real turns, so a forward GRU never carries it into them.
        return self.resume(turn_states, speakers)[0]

    def resume(
        self, turn_states: torch.Tensor, speakers: torch.Tensor, state: ContextState | None = None
    ) -> tuple[torch.Tensor, ContextState]:
        before = None if state is None else state["last"].transpose(0, 1).contiguous()
        states, last = self.gru(self.dropout(turn_states), before)
        return turn_states + states, {"last": last.transpose(0, 1)}


def import_system(name: str) -> None:
    """Import the file of a system, which registers its class.

    The exported code of a checkpoint replaces this with an import of its own system.
    """
    import_module(f".{SYSTEMS[name]}", __package__)


def context_module_class(name: str) -> type[ContextModule] | None:
    """Return the class of that name, or None for `none`.

    Raises:
        ValueError: for an unknown name, listing the known ones, and for a system whose
            file is not part of this code.
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
                f"context_module={name!r} is not in the code of this checkpoint, which holds only what its "
                "model uses: install emonet."
            )
    if name not in CONTEXT_MODULES:
        known = ", ".join(["none", *{**SYSTEMS, **CONTEXT_MODULES}])
        raise ValueError(f"context_module={name!r} is not one of {known}.")
    return CONTEXT_MODULES[name]


def all_context_modules() -> dict[str, type[ContextModule]]:
    """Import every context module and return the classes by name."""
    for name in SYSTEMS:
        context_module_class(name)
    return dict(CONTEXT_MODULES)


def build_context_module(config: Any) -> ContextModule | None:
    """Build the context module that a configuration names; None for `none`."""
    module = context_module_class(config.context_module)
    return None if module is None else module(config)
