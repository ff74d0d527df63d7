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

from ..dialogue.names import Speakers
from ..dialogue.reader import as_history
from ..dialogue.spellings import SpeakerNames
from ..dialogue.turns import clean_text, raw_text, recent_history, turn_speaker
from ..errors import EmoNetError
from ..files.guard import refuse_outside_links
from ..layers.kv_cache import KeyValueCache, Layers, attending_to, can_cache
from ..layers.padding import pad_rows
from ..layers.turn_attention import offset_positions, pool_turns, run_masked, turn_block_mask
from ..processing_emonet import EmoNetProcessor
from .session_state import (
    VERSION,
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

STATE_FILE, TENSOR_FILE = "session.json", "session.safetensors"
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

    The results equal those of the batch pass over the whole dialogue. Memory is bounded:
    the context is the backbone's window, which restarts with its latest turns (up to half
    of it) when it is full, and each speaker's memory holds the last `memory_window`
    utterances. `dropped_turns` counts the turns that have left the window. Of a history,
    only that window is kept, and it is encoded when its speaker first speaks. Threads
    that share a session wait for each other.

    Args:
        model: The model, a causal one.
        processor: Its processor; by default the one it was saved with.
        history: What speakers said in earlier dialogues, as in the pipeline
            (`speaker_memory="corpus"`).
        speakers: Who of the history is a person, as in the pipeline.

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
        self.layers: Layers = []  # keys and values of their tokens
        self.context_state: torch.Tensor | None = None
        self.local_ids: dict[str, int] = {}
        self.memory: dict[str, deque[torch.Tensor]] = {}
        known = self.processor.speakers
        earlier = as_history(history, speakers, known) if self.config.speaker_memory == "corpus" else {}
        self.names = SpeakerNames(known, speakers, history=earlier)
        # The part of the history that is not encoded yet.
        self.history = recent_history(self.names.utterances(earlier), self.config.memory_window)
        self.lock = threading.RLock()

    def add(self, speaker: str, text: str) -> dict[str, Any]:
        """Add a turn and return its `{"speaker", "text", "label", "score", "scores"}`."""
        return add_turns([self], [{"speaker": speaker, "text": text}])[0]

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
            if self.context_state is not None:
                tensors["context"] = self.context_state
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
        state = read_state(Path(folder, STATE_FILE), _fingerprint(model), keys, optional=("said", "speakers"))
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
        for index, pair in enumerate(sample.layers[:count]):
            key, value = (
                checked_tensor(tensors, f"layer.{index}.{kind}", like, dim1=range(tokens, tokens + 1))
                for kind, like in zip("kv", pair, strict=True)
            )
            self.layers.append((key, value))
        if sample.context_state is not None and self.window:
            lengths = range(1, self.turns + 1)
            context = checked_tensor(tensors, "context", sample.context_state, dim1=lengths)
            if context.shape[-1] == self.config.hidden_size + 1:  # the last column holds speakers
                speakers = context[..., -1]
                known = (speakers == speakers.long()) & (speakers >= 0) & (speakers < len(self.local_ids))
                expect(bool(known.all()), "'context' has speakers that are not in the dialogue")
            self.context_state = context
        names = state["memory"]
        valid = isinstance(names, list) and all(isinstance(name, str) for name in names)
        expect(valid, "memory is not a list of names")
        expect(len(set(names)) == len(names), "memory has a name twice")
        expect(not names or _SAMPLE_SPEAKER in sample.memory, "memory has names, but the model has no memory")
        for index, name in enumerate(names):
            rows = torch.stack(list(sample.memory[_SAMPLE_SPEAKER]))
            lengths = range(1, self.config.memory_window + 1)
            self.memory_of(name).extend(checked_tensor(tensors, f"memory.{index}", rows, dim0=lengths))
        expect(not tensors, f"{TENSOR_FILE} has an unknown {next(iter(tensors), '')!r:.80}")

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
            del self.window[: len(self.window) - kept]
            self.encoded = kept
            if packed:  # a new window is encoded anew from its first turn
                self.encoded, self.layers, self.context_state = 0, [], None
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
def add_turns(sessions: Sequence[EmoNetSession], turns: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Add the next turn to each of many sessions of one model, in one pass.

    Args:
        sessions: Different sessions of one model.
        turns: One `{"speaker", "text"}` for each session.

    Returns:
        `{"speaker", "text", "label", "score", "scores"}` of each turn, as from `add`.

    Raises:
        EmoNetError: for repeated sessions, several models, or another number of turns.
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
    for index, (session, turn) in enumerate(zip(sessions, turns, strict=True)):
        names.append(session.names.of(turn_speaker(turn, index)))
        texts.append(clean_text(raw_text(turn, index)))
    with _locked(sessions):
        for session, name, text in zip(sessions, names, texts, strict=True):
            session.append_turn(name, text)
        logits = _logits(sessions, names, texts)
    results = sessions[0].processor.labels_of(logits.float().cpu().numpy())
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


def _logits(sessions: Sequence[EmoNetSession], names: Sequence[str], texts: Sequence[str]) -> torch.Tensor:
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
        _remember(history)
        states = model.emonet.with_memory(states, *_memory_rows(sessions, names, states))
        _remember(list(zip(sessions, names, texts, strict=True)))
    logits: torch.Tensor = model.classifier(states)[:, 0]
    return logits


def encode_new_turns(sessions: Sequence[EmoNetSession]) -> list[torch.Tensor]:
    """Encode the new turns of each session's window in one pass of the backbone.

    A backbone whose attention accepts earlier keys and values encodes only the new turns;
    others encode the window again.

    Returns:
        The read-outs (n, H) of each session's new turns.
    """
    model, config = sessions[0].model, sessions[0].config
    if config.context_mode == "per_turn":
        return [_encode_sequence(session) for session in sessions]
    encoder, device = model.emonet.encoder, model.device
    alone = config.context_window == 0  # a turn sees itself only and needs no earlier token
    cached = can_cache(encoder) and not alone
    steps = [_Step(session, session.encoded if cached or alone else 0, alone) for session in sessions]
    if not any(step.ids for step in steps):  # a decoder's turn may have no token
        return [
            torch.zeros(len(session.window) - session.encoded, config.hidden_size, device=device)
            for session in sessions
        ]

    # Every row is [padded past | padded new tokens]: the masks cover both, the embeddings
    # the new tokens only. Turns are counted from the start of the session's window.
    cache = KeyValueCache([session.layers if cached else [] for session in sessions])
    new_turns = _padded([step.turns for step in steps], -1, device)
    turn_ids = torch.cat([_padded([step.past_turns for step in steps], -1, device), new_turns], dim=1)
    past_mask = _padded([[1] * len(step.past_turns) for step in steps], 0, device)
    mask = torch.cat([past_mask, _padded([[1] * len(step.ids) for step in steps], 0, device)], dim=1)

    embeds = encoder.get_input_embeddings()(_padded([step.ids for step in steps], 0, device))
    if model.emonet.speaker_embedding is not None and config.identity_position == "marker":
        speakers = _padded([[turn.speaker_id for turn in session.window] for session in sessions], -1, device)
        embeds = embeds + model.emonet.marker_embeds(new_turns, speakers, None)
    positions = offset_positions(_padded([step.positions for step in steps], 0, device), config)
    allowed = turn_block_mask(mask, turn_ids, config, past=cache.tokens)
    if cached:
        with attending_to(cache, encoder):
            hidden = run_masked(encoder, config, embeds, mask, allowed, positions).last_hidden_state
        for row, (session, step) in enumerate(zip(sessions, steps, strict=True)):
            session.layers = cache.layers(row, len(step.ids))
    else:
        hidden = run_masked(encoder, config, embeds, mask, allowed, positions).last_hidden_state
    turns = max(len(session.window) for session in sessions)
    read_turns = _padded([step.read_turns for step in steps], -1, device)
    vectors = pool_turns(hidden, read_turns, turns, config.pooling)
    return [vectors[row, session.encoded : len(session.window)] for row, session in enumerate(sessions)]


class _Step:
    """What one session has to encode: the turns of its window from `first` on.

    Attributes:
        ids: Tokens (N).
        turns: The turn of each token, -1 for none.
        positions: The position of each token.
        read_turns: As `turns`, but -1 where a token is not read out.
        past_turns: The turns of the encoded tokens that are attended to.
    """

    def __init__(self, session: EmoNetSession, first: int, alone: bool):
        sink = [] if alone else session.processor.sink
        new = session.window[first:]
        self.ids = [token for turn in new for token in turn.piece]
        self.turns = [index for index, turn in enumerate(new, first) for _ in turn.piece]
        flags = [flag for turn in new for flag in turn.read]
        self.read_turns = [turn if flag else -1 for turn, flag in zip(self.turns, flags, strict=True)]
        before = [-1] * len(sink) + [
            index for index, turn in enumerate(session.window[:first]) for _ in turn.piece
        ]
        if first == 0:  # the sink is part of the window's first pass
            self.ids = sink + self.ids
            self.turns, self.read_turns = before + self.turns, before + self.read_turns
        self.past_turns = [] if alone or first == 0 else before
        if alone:  # positions restart with each turn
            self.positions = [position for turn in new for position in range(len(turn.piece))]
        else:
            self.positions = list(range(len(self.past_turns), len(self.past_turns) + len(self.ids)))


def _encode_sequence(session: EmoNetSession) -> torch.Tensor:
    """per_turn mode: encode the new turn with its past; its read-out is (1, H)."""
    device, turns = session.model.device, len(session.window)
    ids, owners = session.processor.turn_sequence([turn.piece for turn in session.window])
    index = torch.full((1, turns), -1, device=device)
    index[0, -1] = 0
    tokens = torch.tensor([ids or [session.processor.tokenizer.pad_token_id]], device=device)
    vectors = session.model.emonet.encode_turns(
        tokens,
        torch.ones_like(tokens),
        torch.tensor([owners or [-1]], device=device),
        torch.tensor([[turn.speaker_id for turn in session.window]], device=device),
        index,
    )
    read_out: torch.Tensor = vectors[0, -1:]
    return read_out


def _padded(rows: Sequence[Sequence[int]], value: int, device: torch.device) -> torch.Tensor:
    return pad_rows(rows, max(map(len, rows)), value).to(device)


def _memory_rows(
    sessions: Sequence[EmoNetSession], names: Sequence[str], states: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Put the speakers' memories into one table.

    Returns:
        The table (U, H) and each session's rows in it (B, 1, K), -1 for none.
    """
    histories = [list(session.memory_of(name)) for session, name in zip(sessions, names, strict=True)]
    rows = [row for history in histories for row in history]
    index = torch.full((len(sessions), 1, max(map(len, histories)) or 1), -1, device=states.device)
    start = 0
    for row, history in enumerate(histories):
        index[row, 0, : len(history)] = torch.arange(start, start + len(history))
        start += len(history)
    return (torch.stack(rows) if rows else states.new_zeros(0, states.shape[-1])), index


def _remember(utterances: Sequence[tuple[EmoNetSession, str, str]]) -> None:
    """Encode utterances (session, speaker, text) and append them to the memories."""
    if not utterances:
        return
    model, processor = utterances[0][0].model, utterances[0][0].processor
    tokens = processor.encode_memory([text for _, _, text in utterances])
    length = max(*map(len, tokens), 1)
    ids = pad_rows(tokens, length, processor.tokenizer.pad_token_id).to(model.device)
    mask = pad_rows([[1] * len(row) for row in tokens], length, 0).to(model.device)
    vectors = model.emonet.encode_memory(ids, mask)
    for (session, name, _), vector in zip(utterances, vectors, strict=True):
        session.memory_of(name).append(vector)


def _fingerprint(model: "EmoNetForSequenceClassification") -> str:
    """Tell models apart whose keys and values must not be mixed."""
    sums = [float(parameter.detach().double().sum()) for parameter in model.classifier.parameters()]
    return f"{model.config.backbone} {model.num_parameters()} {sum(sums):.10e}"
