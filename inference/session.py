"""Label a dialogue turn by turn, encoding only each turn's own tokens."""

import json
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ..context.base import ContextState
from ..dialogue.known_emotions import KNOWN_EMOTION
from ..dialogue.names import Speakers
from ..dialogue.reader import as_history
from ..dialogue.spellings import SpeakerNames
from ..dialogue.turns import clean_text, raw_text, recent_history, turn_speaker
from ..errors import EmoNetError
from ..files.guard import refuse_outside_links
from ..layers.kv_cache import Layers, SequenceCache
from ..processing_emonet import EmoNetProcessor
from .known_labels import with_source
from .session_labels import STATES, SessionLabels, labels_of_session
from .session_passes import MemoryState, advance_memories, encode_new_turns, remember, with_memories
from .session_state import (
    checked_tensor,
    expect,
    read_state,
    speakers_given,
    strings_by_name,
    whole_number,
    whole_numbers,
)

if TYPE_CHECKING:
    from ..modeling_emonet import EmoNetForSequenceClassification

VERSION, STATE_FILE, TENSOR_FILE = 2, "session.json", "session.safetensors"
_SAMPLE_SPEAKER = "someone"


@dataclass
class WindowTurn:
    """A turn in the window, which later turns may attend to.

    Attributes:
        piece: Its tokens.
        read: For each token, 1 where it is read out, else 0.
        speaker_id: Its speaker's global id.
        local_id: Its speaker's id in the dialogue.
    """

    piece: list[int]
    read: list[int]
    speaker_id: int
    local_id: int


class EmoNetSession:
    """One dialogue in progress: `add` a turn and get its emotion from the turns so far.

    The results equal those of the batch pass over the whole dialogue. A turn costs its
    own tokens however long the dialogue is, with two exceptions: a context of one
    sequence a turn (`context_mode="per_turn"`) is read again for every turn, and so is a
    speaker's memory from its `memory_window`-th utterance on.

    Memory is bounded. The window has at most L = `config.sequence_limit` tokens; when it
    is full, it restarts with its latest turns, up to half of it. `dropped_turns` counts
    the turns that have left it. In numbers of the model's type:

    - Keys and values: 2 · L · layers · key-value heads · head width, with L rounded up to
      a power of two. MiniLM in float32: 9 MB. With `context_window=0` none, but H for
      each turn of the window.
    - The context module: H for `gru`; at most `reach` turns of the layers' states
      (`dag-erc`) or keys and values (`dialogxl`); H for each turn of the window if
      the module sets no `reach`.
    - The speaker memory: for each speaker who has spoken, `memory_window` · H and the
      state of its GRU. Of a history, only that window is kept, and it is encoded when
      its speaker first speaks.
    - With `label_evidence`: H and the text of each turn of the dialogue, so that a
      corrected label updates what follows.

    Threads that share a session wait for each other.

    Args:
        model: The model, a causal one.
        processor: Its processor; by default the one it was saved with.
        history: What speakers said in earlier dialogues, as in the pipeline
            (`speaker_memory="corpus"`).
        speakers: Who of the history is a person, as in the pipeline.
        use_later_labels: Whether a known label also tells about earlier turns.

    Raises:
        EmoNetError: for a model that sees the future, or a context module that needs
            whole dialogues.

    Example:
        >>> session = EmoNetSession(model)
        >>> session.add("Theo", "You threw away my sandwich?!")["label"]
    """

    def __init__(
        self,
        model: "EmoNetForSequenceClassification",
        processor: EmoNetProcessor | None = None,
        history: Any = None,
        speakers: Speakers = "auto",
        use_later_labels: bool = False,
    ):
        if not hasattr(model, "emonet"):
            raise EmoNetError(
                f"{type(model).__name__} is not an EmoNetForSequenceClassification; for a prompted model, "
                "use PromptedSession, which has the same interface."
            )
        self.model = model.eval()  # type: ignore[no-untyped-call]
        self.processor = processor or model.processor
        self.config = self.processor.config
        if not self.config.causal:
            raise EmoNetError(
                "This model was trained to see later turns (causal=False): it can't label a turn before they "
                "are known. Use predict() on whole dialogues, or a causal model."
            )
        if model.emonet.context is not None and not model.emonet.context.streams:
            raise EmoNetError(
                f"context_module={self.config.context_module!r} takes whole dialogues, not turn by turn: use "
                "predict(), or another model."
            )
        self.turns = 0
        self.window: list[WindowTurn] = []
        self.encoded = 0  # how many of the window's turns the backbone has encoded
        self.cache = SequenceCache()  # keys and values of their tokens
        self.read_outs: list[torch.Tensor] = []  # (H) each, where a turn sees itself only
        self.context_state: ContextState | None = None
        self.local_ids: dict[str, int] = {}
        self.memory: dict[str, deque[torch.Tensor]] = {}
        self.memory_states: dict[str, MemoryState] = {}
        known = self.processor.speakers
        earlier = as_history(history, speakers, known) if self.config.speaker_memory == "corpus" else {}
        self.names = SpeakerNames(known, speakers, history=earlier)
        # The part of the history that is not encoded yet.
        self.history = recent_history(self.names.utterances(earlier), self.config.memory_window)
        self.labels: SessionLabels | None = None
        if model.emonet.label_evidence is not None:
            self.labels = SessionLabels(model, self.processor, use_later_labels)
        self.lock = threading.RLock()

    def add(self, speaker: str, text: str, known_emotion: Any = None) -> dict[str, Any]:
        """Add a turn and return its `{"speaker", "text", "label", "score", "scores"}`.

        Args:
            speaker: Who speaks.
            text: What is said.
            known_emotion: A label, or a distribution over the labels, where it is known:
                evidence for the other turns. Rows then have a `source`.
        """
        return add_turns([self], [{"speaker": speaker, "text": text, KNOWN_EMOTION: known_emotion}])[0]

    def correct(self, turn: int | Mapping[int, Any], label: Any = None) -> list[dict[str, Any]]:
        """Tell the emotion of a turn, and update what follows; nothing is encoded anew.

        Args:
            turn: The turn's index, from 0; or many at once: `{3: "Mad", 7: None}`.
            label: A label, or a distribution over the labels. None takes it back: the
                turn is predicted again.

        Returns:
            The rows of all turns that this may change, as from `add`, with their index as
            `turn`. Without `use_later_labels` no turn before the corrected one changes.

        Raises:
            EmoNetError: for a turn that does not exist, what is no label, and a model
                without `label_evidence`. Nothing is then changed.
        """
        labels = labels_of_session(self.labels)
        with self.lock:
            return labels.correct(turn if isinstance(turn, Mapping) else {turn: label})

    def results(self) -> list[dict[str, Any]]:
        """The rows of all turns in the light of all labels known by now.

        Raises:
            EmoNetError: for a model without `label_evidence`: its session keeps no turns.
        """
        with self.lock:
            return labels_of_session(self.labels).rows()

    @property
    def dropped_turns(self) -> int:
        """How many earlier turns have left the context."""
        return self.turns - len(self.window)

    def save(self, folder: str | Path) -> None:
        """Write the session's state, for `restore` in this or another process."""
        folder = Path(folder)
        refuse_outside_links(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with self.lock:
            tensors: dict[str, torch.Tensor] = {}
            for index, (key, value) in enumerate(self.layers):
                tensors |= {f"layer.{index}.k": key, f"layer.{index}.v": value}
            if self.read_outs:
                tensors["read_outs"] = torch.stack(self.read_outs)
            for name, part in (self.context_state or {}).items():
                tensors[f"context.{name}"] = part
            memory = {name: rows for name, rows in self.memory.items() if rows}
            for index, rows in enumerate(memory.values()):
                tensors[f"memory.{index}"] = torch.stack(list(rows))
            state = {
                "version": VERSION,
                "model": _fingerprint(self.model),
                "turns": self.turns,
                "window": [asdict(turn) for turn in self.window],
                "local_ids": self.local_ids,
                "memory": list(memory),
                "said": self.history,
                "speakers": self.names.kinds.record,
                "layers": len(self.layers),
            }
            if self.labels is not None:
                state["labels"] = self.labels.state()
                if self.labels.states:
                    tensors[STATES] = torch.stack(self.labels.states)
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / TENSOR_FILE)
            (folder / STATE_FILE).write_text(json.dumps(state, ensure_ascii=False) + "\n", "utf-8")

    @classmethod
    def restore(
        cls,
        folder: str | Path,
        model: "EmoNetForSequenceClassification",
        processor: EmoNetProcessor | None = None,
    ) -> "EmoNetSession":
        """Restore the session that `save` wrote, on the same model.

        Raises:
            EmoNetError: for a folder without a session, the session of another model, or
                files with other names, shapes, types or values than `save` writes.
        """
        sample = cls(model, processor)
        keys = ("turns", "window", "local_ids", "memory", "layers")
        file = Path(folder, STATE_FILE)
        state = read_state(file, VERSION, _fingerprint(model), keys, optional=("said", "speakers", "labels"))
        history = strings_by_name(state.get("said", {}), "said")
        session = cls(model, processor, history, speakers_given(state.get("speakers", "auto")))
        session._restore_turns(state)
        sample.add(_SAMPLE_SPEAKER, "a")  # has the shapes and types of this model's state
        try:
            tensors = load_file(Path(folder, TENSOR_FILE), device=str(model.device))
        except (OSError, SafetensorError) as error:
            raise EmoNetError(f"{folder}: no saved session ({error}).") from error
        session._restore_tensors(state, tensors, sample)
        return session

    def _restore_turns(self, state: Mapping[str, Any]) -> None:
        expect(isinstance(state["local_ids"], dict), "local_ids is not an object")
        for name, local_id in state["local_ids"].items():
            self.local_ids[name] = whole_number(local_id, f"the local id of {name!r:.40}")
        speakers = len(self.local_ids)
        expect(sorted(self.local_ids.values()) == list(range(speakers)), "local_ids do not count from 0 on")
        expect(isinstance(state["window"], list), "window is not a list")
        vocabulary = self.model.get_input_embeddings().weight.shape[0]
        for turn in state["window"]:
            fields = set(WindowTurn.__dataclass_fields__)
            valid = isinstance(turn, dict) and set(turn) == fields
            expect(valid, f"a turn of the window does not have the fields {sorted(fields)}")
            piece = whole_numbers(turn["piece"], "piece", vocabulary)
            read = whole_numbers(turn["read"], "read", 2)
            expect(len(piece) == len(read), "piece and read differ in length")
            speaker_id = whole_number(turn["speaker_id"], "speaker_id", 0, self.config.num_speakers)
            local_id = whole_number(turn["local_id"], "local_id", 0, speakers)
            self.window.append(WindowTurn(piece, read, speaker_id, local_id))
        self.encoded = len(self.window)
        self.turns = whole_number(state["turns"], "turns", self.encoded)
        expect(self.turns == 0 or self.encoded > 0, "it has turns, but no window")
        for name in self.local_ids:  # other spellings that follow are these speakers
            self.names.of(name)

    def _restore_tensors(
        self, state: Mapping[str, Any], tensors: dict[str, torch.Tensor], sample: "EmoNetSession"
    ) -> None:
        """Read the tensors; their types and shapes must match those of a new session."""
        tokens = sum(len(turn.piece) for turn in self.window)
        tokens += len(self.processor.sink) if self.window else 0
        count = len(sample.layers) if tokens else 0
        expect(state["layers"] == count, f"layers is {state['layers']!r:.40} instead of {count}")
        layers: Layers = []
        for index, pair in enumerate(sample.layers[:count]):
            key, value = (
                checked_tensor(tensors, f"layer.{index}.{kind}", like, dim1=range(tokens, tokens + 1))
                for kind, like in zip("kv", pair, strict=True)
            )
            layers.append((key, value))
        self.cache = SequenceCache(layers)
        if sample.read_outs and self.window:
            lengths = range(self.encoded, self.encoded + 1)
            rows = checked_tensor(tensors, "read_outs", torch.stack(sample.read_outs), dim0=lengths)
            self.read_outs = list(rows)
        if sample.context_state is not None and self.window:
            self.context_state = self._restored_context(tensors, sample.context_state)
        names = state["memory"]
        valid = isinstance(names, list) and all(isinstance(name, str) for name in names)
        expect(valid, "memory is not a list of names")
        expect(len(set(names)) == len(names), "memory has a name twice")
        expect(not names or _SAMPLE_SPEAKER in sample.memory, "memory has names, but the model has no memory")
        for index, name in enumerate(names):
            rows = torch.stack(list(sample.memory[_SAMPLE_SPEAKER]))
            lengths = range(1, self.config.memory_window + 1)
            self.memory_of(name).extend(checked_tensor(tensors, f"memory.{index}", rows, dim0=lengths))
            advance_memories([(self, name)])
        expect((self.labels is None) == ("labels" not in state), "labels does not fit the model")
        if self.labels is not None:
            assert sample.labels is not None
            like = sample.labels.states[0]
            self.labels.restore(state["labels"], tensors, like, self.turns, len(self.local_ids))
        expect(not tensors, f"{TENSOR_FILE} has an unknown {next(iter(tensors), '')!r:.80}")

    def _restored_context(self, tensors: dict[str, torch.Tensor], sample: ContextState) -> ContextState:
        module, state = self.model.emonet.context, {}
        lengths = range(1, min(self.turns, (module and module.reach) or self.turns) + 1)
        for name, like in sample.items():
            state[name] = checked_tensor(tensors, f"context.{name}", like, dim1=lengths)
            turns = state[name].shape[1]
            lengths = range(turns, turns + 1)  # every part holds the same turns
        speakers = state.get("speakers")
        if speakers is not None:
            known = (speakers >= 0) & (speakers < len(self.local_ids))
            expect(bool(known.all()), "'context' has speakers that are not in the dialogue")
        return state

    @property
    def layers(self) -> Layers:
        """The keys and values (heads, tokens, width) of each of the backbone's layers."""
        return self.cache.layers

    def memory_of(self, name: str) -> deque[torch.Tensor]:
        """The encoded utterances (H) of a speaker, oldest first."""
        return self.memory.setdefault(name, deque(maxlen=self.config.memory_window))

    def append_turn(self, name: str, text: str) -> None:
        """Append a turn to the window; earlier turns leave it where it is full."""
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
            dropped = len(self.window) - kept
            del self.window[:dropped], self.read_outs[:dropped]
            self.encoded = kept
            if packed:  # a new window is encoded anew from its first turn
                self.encoded, self.cache, self.context_state = 0, SequenceCache(), None
        identity = self.processor.speakers.get(self.names.known_as(name) or "", 0)
        read = self.processor.read_masks([piece], [name], [local])[0]
        self.window.append(
            WindowTurn(piece, read, identity if identity < self.config.num_speakers else 0, local)
        )
        self.turns += 1

    def contextualize(self, read_outs: torch.Tensor) -> torch.Tensor:
        """Turn the window's new read-outs (n, H) into the last turn's state (H).

        It includes identity and context module, but not yet the memory.
        """
        base, new = self.model.emonet, self.window[self.encoded :]
        ids = torch.tensor([[turn.speaker_id for turn in new]], device=read_outs.device)
        local = torch.tensor([[turn.local_id for turn in new]], device=read_outs.device)
        states = base.with_identity(read_outs.unsqueeze(0), ids, local)
        if base.context is not None:
            states, self.context_state = base.context.resume(states, local, self.context_state)
        self.encoded = len(self.window)
        last: torch.Tensor = states[0, -1]
        return last


@torch.inference_mode()
def add_turns(sessions: Sequence[EmoNetSession], turns: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Add the next turn to each of many sessions of one model, in one pass.

    Args:
        sessions: Different sessions of one model.
        turns: One `{"speaker", "text"}` for each session, with `known_emotion` where it
            is known.

    Returns:
        `{"speaker", "text", "label", "score", "scores"}` of each turn, as from `add`.

    Raises:
        EmoNetError: for repeated sessions, several models, another number of turns, or a
            wrong `known_emotion`.
    """
    if len(sessions) != len(turns):
        raise EmoNetError(f"{len(sessions)} sessions, but {len(turns)} turns: give one turn per session.")
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
    known: list[list[float] | None] = []
    for session, turn in zip(sessions, turns, strict=True):
        known += session.processor.known_labels([turn], session.turns)
    for index, (session, turn) in enumerate(zip(sessions, turns, strict=True)):
        names.append(session.names.of(turn_speaker(turn, index)))
        texts.append(clean_text(raw_text(turn, index)))
    with _locked(sessions):
        for session, name, text in zip(sessions, names, texts, strict=True):
            session.append_turn(name, text)
        logits = _logits(sessions, names, texts, turns, known)
        results = sessions[0].processor.labels_of(logits.float().cpu().numpy())
        for row, session in enumerate(sessions):
            if session.labels is not None and session.labels.known:
                names_of_labels = session.config.label_names
                results[row] = with_source([results[row]], [known[row]], names_of_labels)[0]
    return [
        {"speaker": turn_speaker(turn), "text": raw_text(turn), **result}
        for turn, result in zip(turns, results, strict=True)
    ]


@contextmanager
def _locked(sessions: Sequence[EmoNetSession]) -> Iterator[None]:
    """Hold all locks, taken in a fixed order so that threads cannot deadlock."""
    with ExitStack() as locks:
        for session in sorted(sessions, key=id):
            locks.enter_context(session.lock)
        yield


def _logits(
    sessions: Sequence[EmoNetSession],
    names: Sequence[str],
    texts: Sequence[str],
    turns: Sequence[Mapping[str, Any]],
    known: Sequence[list[float] | None],
) -> torch.Tensor:
    """Logits (B, C) of the turns that the sessions have just appended."""
    model = sessions[0].model
    read_outs = encode_new_turns(sessions)
    states = torch.stack(
        [session.contextualize(rows) for session, rows in zip(sessions, read_outs, strict=True)]
    )
    states = states.unsqueeze(1)  # one turn a session
    if model.emonet.memory is not None:
        history = [
            (session, name, text)
            for session, name in zip(sessions, names, strict=True)
            for text in session.history.pop(name, ())
        ]
        remember(history)
        states = with_memories(sessions, names, states)
        remember(list(zip(sessions, names, texts, strict=True)))
    if model.emonet.label_evidence is None:
        logits: torch.Tensor = model.classifier(states)[:, 0]
        return logits
    found = []
    for index, session in enumerate(sessions):
        turn = {"speaker": turn_speaker(turns[index]), "text": raw_text(turns[index])}
        labels, local = labels_of_session(session.labels), session.window[-1].local_id
        found.append(labels.append(turn, local, states[index, 0], known[index]))
    return torch.stack(found)


def _fingerprint(model: "EmoNetForSequenceClassification") -> str:
    """Tell models apart whose keys and values must not be mixed."""
    sums = [float(parameter.detach().double().sum()) for parameter in model.classifier.parameters()]
    return f"{model.config.backbone} {model.num_parameters()} {sum(sums):.10e}"
