"""The context modules by name: each line below registers a system, and is what makes its file travel with checkpoints."""

# ruff: noqa: F401
from typing import Any

from .base import CONTEXT_MODULES, ContextModule, GRUContext
from .dag_erc import DAGERCContext
from .dialoguegcn import DialogueGCNContext
from .dialogxl import DialogXLContext
from .hitrans import HiTransContext
from .ket import KETContext
from .rgat import RGATContext
from .s_page import SPAGEContext
from .spcl import SPCLContext
from .tucore_gcn import TUCOREGCNContext


def context_module_class(name: str) -> type[ContextModule] | None:
    """The class of that name, or None for `none`.

    Raises:
        ValueError: for an unknown name, with the known ones.
    """
    if name != "none" and name not in CONTEXT_MODULES:
        raise ValueError(f"context_module={name!r} is not one of {', '.join(['none', *CONTEXT_MODULES])}.")
    return CONTEXT_MODULES.get(name)


def build_context_module(config: Any) -> ContextModule | None:
    """The context module that a configuration asks for, or None for `none`."""
    module = context_module_class(config.context_module)
    return None if module is None else module(config)
