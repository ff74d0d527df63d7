"""EmoNetSession: a dialogue that grows turn by turn, each turn at about the cost of its own tokens."""

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from ..dialogue.turns import as_history, raw_text, turn_speaker
from ..errors import EmoNetError
from ..layers.kv_cache import Layers
from ..processing_emonet import EmoNetProcessor, clean_text, pad_rows
from .session_encoding import encode_new_turns

STATE_FILE, TENSOR_FILE = "session.json", "session.safetensors"


@dataclass
class WindowTurn:
    """A turn that later ones can still see: its tokens, which of them are read, and its speaker's global and local id."""

    piece: list[int]
    read: list[int]
    speaker_id: int
    local_id: int


class EmoNetSession:
    """One dialogue in progress: `add` a turn and get its emotion, from what was said before and no more.

    The results are those of the batch pass over the whole dialogue. Memory is bounded: the context is the backbone's window,
    which starts anew with the latest turns (up to half of it) when it is full, and each speaker's memory holds the last
    `memory_window` utterances. What the window has let go is counted by `dropped_turns`.

    Args:
        model: An `EmoNetForSequenceClassification`. processor: Its processor; by default the one it was saved with.
        history: What speakers said in earlier dialogues, as in the pipeline (`speaker_memory="corpus"`).

    Raises:
        EmoNetError: for a model that sees the future, or a context module that can't go on from where it stopped.

    Example:
        >>> session = EmoNetSession(model)
        >>> session.add("Monica", "We had a deal!")["label"]
    """

    def __init__(self, model: Any, processor: EmoNetProcessor | None = None, history: Any = None):
        if not hasattr(model, "emonet"):
            raise EmoNetError(
                f"{type(model).__name__} goes turn by turn in a PromptedSession, which has the same interface."
            )
        self.model = model.eval()
        self.processor = processor or model.processor
        self.config = self.processor.config
        if not self.config.causal:
            raise EmoNetError(
                "This model was trained to see later turns (causal=False): it can't label a turn when it is said."
            )
        if model.emonet.context is not None and not model.emonet.context.streams:
            raise EmoNetError(
                f"context_module={self.config.context_module!r} takes whole dialogues: it can't go turn by turn."
            )
        self.turns = 0
        self.window: list[WindowTurn] = []
        self.encoded = 0  # how many of them have been through the backbone
        self.layers: Layers = []  # keys and values of the window's encoded tokens
        self.context_state: torch.Tensor | None = None
        self.local_ids: dict[str, int] = {}
        self.memory: dict[str, deque[torch.Tensor]] = {}
        if history is not None and self.config.speaker_memory == "corpus":
            said = [
                (clean_text(name), clean_text(text))
                for name, texts in as_history(history).items()
                for text in texts
            ]
            _remember([self] * len(said), [name for name, _ in said], [text for _, text in said])

    def add(self, speaker: str, text: str) -> dict[str, Any]:
        """The next turn → `{"speaker", "text", "label", "score", "scores"}`."""
        return add_turns([self], [{"speaker": speaker, "text": text}])[0]

    @property
    def dropped_turns(self) -> int:
        """How many of the earlier turns are no longer part of the context."""
        return self.turns - len(self.window)

    def save(self, folder: str | Path) -> None:
        """Write the session's state; `restore` goes on from it, in another process too."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {
            f"layer.{n}.{kind}": t
            for n, pair in enumerate(self.layers)
            for kind, t in zip("kv", pair, strict=True)
        }
        if self.context_state is not None:
            tensors["context"] = self.context_state
        spoken = {name: rows for name, rows in self.memory.items() if rows}
        for number, rows in enumerate(spoken.values()):
            tensors[f"memory.{number}"] = torch.stack(list(rows))
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / TENSOR_FILE)
        state = {
            "version": 1,
            "model": _fingerprint(self.model),
            "turns": self.turns,
            "window": [asdict(turn) for turn in self.window],
            "local_ids": self.local_ids,
            "memory": list(spoken),
            "layers": len(self.layers),
        }
        (folder / STATE_FILE).write_text(json.dumps(state, ensure_ascii=False) + "\n", "utf-8")

    @classmethod
    def restore(
        cls, folder: str | Path, model: Any, processor: EmoNetProcessor | None = None
    ) -> "EmoNetSession":
        """The session that `save` wrote, on the same model.

        Raises:
            EmoNetError: for a folder without one, or the state of another model, whose keys and values mean nothing here.
        """
        session = cls(model, processor)
        try:
            state = json.loads(Path(folder, STATE_FILE).read_text("utf-8"))
            tensors = load_file(Path(folder, TENSOR_FILE), device=str(model.device))
            saved_by = state["model"]
            session.turns, session.local_ids = state["turns"], state["local_ids"]
            session.window = [WindowTurn(**turn) for turn in state["window"]]
            session.encoded = len(session.window)
            session.layers = [
                (tensors[f"layer.{n}.k"], tensors[f"layer.{n}.v"]) for n in range(state["layers"])
            ]
            session.context_state = tensors.get("context")
            for number, name in enumerate(state["memory"]):
                session.memory_of(name).extend(tensors[f"memory.{number}"])
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise EmoNetError(f"{folder}: no saved session ({error!r}).") from error
        if saved_by != _fingerprint(model):
            raise EmoNetError(
                f"{folder}: the session of another model; restore it on the one it was saved with."
            )
        return session

    def memory_of(self, name: str) -> deque[torch.Tensor]:
        """Vectors (H) of what the speaker said, oldest first."""
        return self.memory.setdefault(name, deque(maxlen=self.config.memory_window))

    def take(self, name: str, text: str) -> None:
        """Enter a turn into the window, which moves on to where it fits."""
        local = self.local_ids.setdefault(name, len(self.local_ids))
        piece = self.processor.turn_tokens([text], [name], [local], start=self.turns)[0]
        pieces = [turn.piece for turn in self.window]
        packed = self.config.context_mode == "packed"
        kept = (
            self.processor.carried_turns(pieces, piece)
            if packed
            else self.processor.sequence_turns(pieces, piece)
        )
        if kept < len(self.window):
            del self.window[: len(self.window) - kept]
            self.encoded = kept
            if packed:  # a new window is encoded anew from its first turn
                self.encoded, self.layers, self.context_state = 0, [], None
        identity = self.processor.speakers.get(name, 0)
        read = self.processor.read_masks([piece], [name], [local])[0]
        self.window.append(
            WindowTurn(piece, read, identity if identity < self.config.num_speakers else 0, local)
        )
        self.turns += 1

    def in_context(self, read_outs: torch.Tensor) -> torch.Tensor:
        """The backbone's read-outs (n, H) of the window's new turns → the state (H) of the last, before the memory."""
        base, new = self.model.emonet, self.window[self.encoded :]
        ids = torch.tensor([[turn.speaker_id for turn in new]], device=read_outs.device)
        local = torch.tensor([[turn.local_id for turn in new]], device=read_outs.device)
        states = base.with_identity(read_outs.unsqueeze(0), ids, local)
        if base.context is not None:
            states, self.context_state = base.context.resume(states, local, self.context_state)
        self.encoded = len(self.window)
        return states[0, -1]


@torch.inference_mode()
def add_turns(sessions: Sequence[EmoNetSession], turns: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """The next turn (`{"speaker", "text"}`) of each of many sessions of one model, in one pass.

    Returns:
        One `{"speaker", "text", "label", "score", "scores"}` a session, as each would get alone.
    """
    if len(sessions) != len(turns):
        raise EmoNetError(f"{len(sessions)} sessions, but {len(turns)} turns: give one turn a session.")
    if not sessions:
        return []
    if (
        len({id(session) for session in sessions}) < len(sessions)
        or len({id(session.model) for session in sessions}) > 1
    ):
        raise EmoNetError(
            "A batch needs different sessions of one model; add a session's turns one after the other."
        )
    names, texts = [], []
    for place, turn in enumerate(turns):
        names.append(clean_text(turn_speaker(turn, place)))
        texts.append(clean_text(raw_text(turn, place)))
    for session, name, text in zip(sessions, names, texts, strict=True):
        session.take(name, text)

    model, processor = sessions[0].model, sessions[0].processor
    read_outs = encode_new_turns(sessions)
    states = torch.stack(
        [session.in_context(rows) for session, rows in zip(sessions, read_outs, strict=True)]
    )
    states = states.unsqueeze(1)  # one turn a session
    if model.emonet.memory is not None:
        states = model.emonet.with_memory(states, *_memory_rows(sessions, names, states))
        _remember(sessions, names, texts)
    results = processor.labels_of(model.classifier(states)[:, 0].float().cpu().numpy())
    said = [{"speaker": turn_speaker(turn), "text": raw_text(turn)} for turn in turns]
    return [{**turn, **result} for turn, result in zip(said, results, strict=True)]


def _memory_rows(
    sessions: Sequence[EmoNetSession], names: Sequence[str], states: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The speakers' memories as one table (U, H), and each session's places in it (B, 1, K), -1 for none."""
    histories = [list(session.memory_of(name)) for session, name in zip(sessions, names, strict=True)]
    rows = [row for history in histories for row in history]
    index = torch.full((len(sessions), 1, max(map(len, histories)) or 1), -1, device=states.device)
    start = 0
    for place, history in enumerate(histories):
        index[place, 0, : len(history)] = torch.arange(start, start + len(history))
        start += len(history)
    return (torch.stack(rows) if rows else states.new_zeros(0, states.shape[-1])), index


@torch.inference_mode()
def _remember(sessions: Sequence[EmoNetSession], names: Sequence[str], texts: Sequence[str]) -> None:
    """Encode utterances, each alone, and append them to their speakers' memories."""
    if not texts:
        return
    model, processor = sessions[0].model, sessions[0].processor
    tokens = processor.encode_memory(texts)
    length = max(*map(len, tokens), 1)
    ids = pad_rows(tokens, length, processor.tokenizer.pad_token_id).to(model.device)
    mask = pad_rows([[1] * len(row) for row in tokens], length, 0).to(model.device)
    for session, name, vector in zip(sessions, names, model.emonet.encode_memory(ids, mask), strict=True):
        session.memory_of(name).append(vector)


def _fingerprint(model: Any) -> str:
    """What tells two models apart whose keys and values must not be mixed."""
    sums = [float(parameter.detach().double().sum()) for parameter in model.classifier.parameters()]
    return f"{model.config.backbone} {model.num_parameters()} {sum(sums):.10e}"
