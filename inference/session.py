"""EmoNetSession: a dialogue that grows turn by turn, each turn at about the cost of its
own tokens.
"""

import json
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ..dialogue.turns import as_history, clean_text, raw_text, recent_history, turn_speaker
from ..errors import EmoNetError
from ..files.guard import refuse_outside_links
from ..layers.kv_cache import Layers
from ..processing_emonet import EmoNetProcessor, pad_rows
from .session_encoding import encode_new_turns
from .session_state import VERSION, expect, read_state, strings_by_name, whole, wholes

STATE_FILE, TENSOR_FILE = "session.json", "session.safetensors"


@dataclass
class WindowTurn:
    """A turn that later ones can still see: its tokens, which of them are read, and its
    speaker's global and local id.
    """

    piece: list[int]
    read: list[int]
    speaker_id: int
    local_id: int


class EmoNetSession:
    """One dialogue in progress: `add` a turn and get its emotion, from what was said
    before and no more.

    The results are those of the batch pass over the whole dialogue. Memory is bounded:
    the context is the backbone's window, which starts anew with the latest turns (up to
    half of it) when it is full, and each speaker's memory holds the last `memory_window`
    utterances. What the window has let go is counted by `dropped_turns`. Of a history no
    more than that window is kept, and it is encoded when its speaker first speaks.
    Threads that share a session wait for each other.

    Args:
        model: An `EmoNetForSequenceClassification`. processor: Its processor; by default
            the one it was saved with.
        history: What speakers said in earlier dialogues, as in the pipeline
            (`speaker_memory="corpus"`).

    Raises:
        EmoNetError: for a model that sees the future, or a context module that can't go
            on from where it stopped.

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
        corpus = self.config.speaker_memory == "corpus"
        self.said = recent_history(as_history(history), self.config.memory_window) if corpus else {}
        self.lock = threading.RLock()

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
        refuse_outside_links(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with self.lock:
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
            state = {
                "version": VERSION,
                "model": _fingerprint(self.model),
                "turns": self.turns,
                "window": [asdict(turn) for turn in self.window],
                "local_ids": self.local_ids,
                "memory": list(spoken),
                "said": self.said,
                "layers": len(self.layers),
            }
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / TENSOR_FILE)
            (folder / STATE_FILE).write_text(json.dumps(state, ensure_ascii=False) + "\n", "utf-8")

    @classmethod
    def restore(
        cls, folder: str | Path, model: Any, processor: EmoNetProcessor | None = None
    ) -> "EmoNetSession":
        """The session that `save` wrote, on the same model.

        Raises:
            EmoNetError: for a folder without one, the state of another model, whose keys
                and values mean nothing here, or files that hold other names, shapes,
                types or numbers than `save` writes.
        """
        session, made_here = cls(model, processor), cls(model, processor)
        keys = ("turns", "window", "local_ids", "memory", "layers")
        state = read_state(Path(folder, STATE_FILE), _fingerprint(model), keys, optional=("said",))
        session._restore_turns(state)
        made_here.add("someone", "a")  # what shapes and types this model's own state has
        try:
            tensors = load_file(Path(folder, TENSOR_FILE), device=str(model.device))
        except (OSError, SafetensorError) as error:
            raise EmoNetError(f"{folder}: no saved session ({error}).") from error
        session._restore_tensors(state, tensors, made_here)
        return session

    def _restore_turns(self, state: Mapping[str, Any]) -> None:
        expect(isinstance(state["local_ids"], dict), "local_ids is no object")
        self.local_ids = {
            name: whole(number, f"the number of {name!r:.40}") for name, number in state["local_ids"].items()
        }
        people = len(self.local_ids)
        expect(sorted(self.local_ids.values()) == list(range(people)), "local_ids are not numbered from 0 on")
        expect(isinstance(state["window"], list), "window is no list")
        vocabulary = self.model.get_input_embeddings().weight.shape[0]
        for turn in state["window"]:
            fields = set(WindowTurn.__dataclass_fields__)
            expect(
                isinstance(turn, dict) and set(turn) == fields,
                f"a turn of the window has not the fields {sorted(fields)}",
            )
            piece, read = wholes(turn["piece"], "piece", vocabulary), wholes(turn["read"], "read", 2)
            expect(len(piece) == len(read), "piece and read differ in length")
            speaker = whole(turn["speaker_id"], "speaker_id", 0, self.config.num_speakers)
            self.window.append(
                WindowTurn(piece, read, speaker, whole(turn["local_id"], "local_id", 0, people))
            )
        self.encoded = len(self.window)
        self.turns = whole(state["turns"], "turns", self.encoded)
        expect(self.turns == 0 or self.encoded > 0, "turns, but no window")
        self.said = recent_history(strings_by_name(state.get("said", {}), "said"), self.config.memory_window)

    def _restore_tensors(
        self, state: Mapping[str, Any], tensors: dict[str, torch.Tensor], made_here: "EmoNetSession"
    ) -> None:
        """Take the tensors whose shapes, types and numbers are as in a session that the
        model has just made.
        """

        def taken(name: str, like: torch.Tensor, **sizes: range) -> torch.Tensor:
            expect(name in tensors, f"{TENSOR_FILE} has no {name!r}")
            tensor = tensors.pop(name)
            allowed = [
                sizes.get(f"dim{place}", range(size, size + 1)) for place, size in enumerate(like.shape)
            ]
            fits = tensor.dim() == like.dim() and all(
                size in sizes for size, sizes in zip(tensor.shape, allowed, strict=True)
            )
            expect(fits and tensor.dtype == like.dtype, f"{name!r} is {list(tensor.shape)} {tensor.dtype}")
            expect(bool(tensor.isfinite().all()), f"{name!r} holds what is no finite number")
            return tensor

        tokens = sum(len(turn.piece) for turn in self.window)
        tokens += len(self.processor.sink) if self.window else 0
        count = len(made_here.layers) if tokens else 0
        expect(state["layers"] == count, f"layers is {state['layers']!r:.40}, and it has {count}")
        seen = range(tokens, tokens + 1)
        for place, (key, value) in enumerate(made_here.layers[:count]):
            pair = taken(f"layer.{place}.k", key, dim1=seen), taken(f"layer.{place}.v", value, dim1=seen)
            self.layers.append(pair)
        if made_here.context_state is not None and self.window:
            self.context_state = taken("context", made_here.context_state, dim1=range(1, self.turns + 1))
            if (
                self.context_state.shape[-1] == self.config.hidden_size + 1
            ):  # the speakers are its last column
                speakers = self.context_state[..., -1]
                known = (speakers == speakers.long()) & (speakers >= 0) & (speakers < len(self.local_ids))
                expect(bool(known.all()), "'context' holds speakers that nobody is")
        names = state["memory"]
        expect(
            isinstance(names, list) and all(isinstance(name, str) for name in names),
            "memory is no list of names",
        )
        expect(
            len(set(names)) == len(names) and (not names or "someone" in made_here.memory),
            "memory holds what it can't",
        )
        for place, name in enumerate(names):
            rows = torch.stack(list(made_here.memory["someone"]))
            self.memory_of(name).extend(
                taken(f"memory.{place}", rows, dim0=range(1, self.config.memory_window + 1))
            )
        expect(not tensors, f"{TENSOR_FILE} has an unknown {next(iter(tensors), '')!r:.80}")

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
        """The backbone's read-outs (n, H) of the window's new turns → the state (H) of
        the last, before the memory.
        """
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
    """The next turn (`{"speaker", "text"}`) of each of many sessions of one model, in one
    pass.

    Returns:
        One `{"speaker", "text", "label", "score", "scores"}` a session, as each would get
        alone.
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
    with _locked(sessions):
        for session, name, text in zip(sessions, names, texts, strict=True):
            session.take(name, text)
        logits = _logits(sessions, names, texts)
    results = sessions[0].processor.labels_of(logits.float().cpu().numpy())
    said = [{"speaker": turn_speaker(turn), "text": raw_text(turn)} for turn in turns]
    return [{**turn, **result} for turn, result in zip(said, results, strict=True)]


@contextmanager
def _locked(sessions: Sequence[EmoNetSession]) -> Iterator[None]:
    """Hold all their locks, taken in one order everywhere, so that no two threads wait
    for each other.
    """
    with ExitStack() as locks:
        for session in sorted(sessions, key=id):
            locks.enter_context(session.lock)
        yield


def _logits(sessions: Sequence[EmoNetSession], names: Sequence[str], texts: Sequence[str]) -> torch.Tensor:
    """Logits (B, C) of the turns that the sessions have just taken."""
    model = sessions[0].model
    read_outs = encode_new_turns(sessions)
    states = torch.stack(
        [session.in_context(rows) for session, rows in zip(sessions, read_outs, strict=True)]
    )
    states = states.unsqueeze(1)  # one turn a session
    if model.emonet.memory is not None:
        _remember(
            [
                (session, name, text)
                for session, name in zip(sessions, names, strict=True)
                for text in session.said.pop(name, ())
            ]
        )
        states = model.emonet.with_memory(states, *_memory_rows(sessions, names, states))
        _remember(list(zip(sessions, names, texts, strict=True)))
    return model.classifier(states)[:, 0]


def _memory_rows(
    sessions: Sequence[EmoNetSession], names: Sequence[str], states: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The speakers' memories as one table (U, H), and each session's places in it (B, 1,
    K), -1 for none.
    """
    histories = [list(session.memory_of(name)) for session, name in zip(sessions, names, strict=True)]
    rows = [row for history in histories for row in history]
    index = torch.full((len(sessions), 1, max(map(len, histories)) or 1), -1, device=states.device)
    start = 0
    for place, history in enumerate(histories):
        index[place, 0, : len(history)] = torch.arange(start, start + len(history))
        start += len(history)
    return (torch.stack(rows) if rows else states.new_zeros(0, states.shape[-1])), index


def _remember(said: Sequence[tuple[EmoNetSession, str, str]]) -> None:
    """Encode utterances (of a session, by a speaker), each alone, and append them to
    their speakers' memories.
    """
    if not said:
        return
    model, processor = said[0][0].model, said[0][0].processor
    tokens = processor.encode_memory([text for _, _, text in said])
    length = max(*map(len, tokens), 1)
    ids = pad_rows(tokens, length, processor.tokenizer.pad_token_id).to(model.device)
    mask = pad_rows([[1] * len(row) for row in tokens], length, 0).to(model.device)
    for (session, name, _), vector in zip(said, model.emonet.encode_memory(ids, mask), strict=True):
        session.memory_of(name).append(vector)


def _fingerprint(model: Any) -> str:
    """What tells two models apart whose keys and values must not be mixed."""
    sums = [float(parameter.detach().double().sum()) for parameter in model.classifier.parameters()]
    return f"{model.config.backbone} {model.num_parameters()} {sum(sums):.10e}"
