"""Encode the new turns of sessions, and read and extend their speaker memories."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch.nn.utils.rnn import pad_sequence

from ..layers.kv_cache import KeyValueCache, attending_to, can_cache
from ..layers.padding import pad_rows
from ..layers.turn_attention import offset_positions, pool_turns, run_masked, turn_block_mask

if TYPE_CHECKING:
    from ..modeling_emonet import EmoNetModel
    from .session import EmoNetSession


def encode_new_turns(sessions: Sequence["EmoNetSession"]) -> list[torch.Tensor]:
    """Encode the new turns of each session's window in one pass of the backbone.

    A backbone whose attention accepts earlier keys and values encodes only the new turns;
    others encode the window again. Where a turn sees itself only, its read-out is kept
    for the windows that follow.

    Returns:
        The read-outs (n, H) of each session's new turns.
    """
    config = sessions[0].config
    if config.context_mode == "per_turn":
        return [_encode_sequence(session) for session in sessions]
    if config.context_window != 0:
        cached = can_cache(sessions[0].model.emonet.encoder)
        steps = [_Step(session, session.encoded if cached else 0) for session in sessions]
        return [
            vectors[session.encoded :]
            for session, vectors in zip(sessions, _encode(steps, cached), strict=True)
        ]
    steps = [_Step(session, len(session.read_outs), alone=True) for session in sessions]
    for session, vectors in zip(sessions, _encode(steps, cached=False), strict=True):
        session.read_outs.extend(vectors[len(session.read_outs) :])
    return [torch.stack(session.read_outs[session.encoded :]) for session in sessions]


class _Step:
    """What one session has to encode: the turns of its window from `first` on.

    Attributes:
        ids: Tokens (N).
        turns: The turn of each token, -1 for none.
        positions: The position of each token.
        read_turns: As `turns`, but -1 where a token is not read out.
        past_turns: The turns of the encoded tokens that are attended to.
    """

    def __init__(self, session: "EmoNetSession", first: int, alone: bool = False):
        self.session = session
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


def _encode(steps: Sequence[_Step], cached: bool) -> list[torch.Tensor]:
    """Run the backbone once over the steps' tokens.

    Returns:
        The read-outs (T, H) of each session's window, zero for the turns that are not in
        its step.
    """
    sessions = [step.session for step in steps]
    model, config = sessions[0].model, sessions[0].config
    encoder, device = model.emonet.encoder, model.device
    if not any(step.ids for step in steps):  # a decoder's turn may have no token
        return [torch.zeros(len(session.window), config.hidden_size, device=device) for session in sessions]

    # Every row is [padded past | padded new tokens]: the masks cover both, the embeddings
    # the new tokens only. Turns are counted from the start of the session's window.
    new_turns = _padded([step.turns for step in steps], -1, device)
    past_turns = _padded([step.past_turns for step in steps], -1, device)
    past_mask = _padded([[1] * len(step.past_turns) for step in steps], 0, device)
    mask = torch.cat([past_mask, _padded([[1] * len(step.ids) for step in steps], 0, device)], dim=1)

    embeds = encoder.get_input_embeddings()(_padded([step.ids for step in steps], 0, device))
    if model.emonet.speaker_embedding is not None and config.identity_position == "marker":
        speakers = _padded([[turn.speaker_id for turn in session.window] for session in sessions], -1, device)
        embeds = embeds + model.emonet.marker_embeds(new_turns, speakers, None)
    positions = offset_positions(_padded([step.positions for step in steps], 0, device), config)
    turn_ids = torch.cat([past_turns, new_turns], dim=1)
    allowed = turn_block_mask(mask, turn_ids, config, past=past_turns.shape[1])
    if cached:
        cache = KeyValueCache([session.cache for session in sessions], [len(step.ids) for step in steps])
        with attending_to(cache, encoder):
            hidden = run_masked(encoder, config, embeds, mask, allowed, positions).last_hidden_state
        cache.finish()
    else:
        hidden = run_masked(encoder, config, embeds, mask, allowed, positions).last_hidden_state
    turns = max(len(session.window) for session in sessions)
    read_turns = _padded([step.read_turns for step in steps], -1, device)
    vectors = pool_turns(hidden, read_turns, turns, config.pooling)
    return [vectors[row, : len(session.window)] for row, session in enumerate(sessions)]


def _encode_sequence(session: "EmoNetSession") -> torch.Tensor:
    """per_turn mode: encode the new turn with its past; its read-out is (1, H)."""
    device, turns = session.model.device, len(session.window)
    ids, owners = session.processor.turn_sequence([turn.piece for turn in session.window], turns - 1)
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


@dataclass
class MemoryState:
    """What the memory's GRU has made of all utterances of a speaker.

    Attributes:
        count: Of how many utterances.
        hidden: Its state (layers, 1, S).
        outputs: Its outputs (S): the last one, or all where their pooling reads all.
    """

    count: int = 0
    hidden: torch.Tensor | None = None
    outputs: list[torch.Tensor] = field(default_factory=list)


def with_memories(
    sessions: Sequence["EmoNetSession"], names: Sequence[str], states: torch.Tensor
) -> torch.Tensor:
    """Merge turn vectors (B, 1, H) with the memories of their speakers.

    Until a memory is full, the GRU goes on where it was. A full one loses its oldest
    utterance with each new one, so that the GRU runs over all of it again.
    """
    base = sessions[0].model.emonet
    memory = base.memory
    assert memory is not None
    rows, index = _rows_of_full_memories(sessions, names, states)
    behaviour = memory.behaviour(states, _standardized(base, rows), index)
    found = [session.memory_states.get(name) for session, name in zip(sessions, names, strict=True)]
    known = [row for row, state in enumerate(found) if state is not None]
    if known:
        outputs = [torch.stack(state.outputs) for state in found if state is not None]
        lengths = torch.tensor([len(output) for output in outputs], device=states.device)
        summary = memory.summary(pad_sequence(outputs, True), lengths, states[known, 0])
        behaviour[known, 0] = summary.to(behaviour.dtype)
    merged: torch.Tensor = memory.merged(states, behaviour)
    return merged


def _rows_of_full_memories(
    sessions: Sequence["EmoNetSession"], names: Sequence[str], states: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Put the memories without a state into one table.

    Returns:
        The table (U, H) and each session's rows in it (B, 1, K), -1 for none.
    """
    histories = [
        [] if name in session.memory_states else list(session.memory_of(name))
        for session, name in zip(sessions, names, strict=True)
    ]
    rows = [row for history in histories for row in history]
    index = torch.full((len(sessions), 1, max(map(len, histories)) or 1), -1, device=states.device)
    start = 0
    for row, history in enumerate(histories):
        index[row, 0, : len(history)] = torch.arange(start, start + len(history))
        start += len(history)
    table = torch.stack(rows) if rows else states.new_zeros(0, states.shape[-1])
    return table, index


def _standardized(base: "EmoNetModel", rows: torch.Tensor) -> torch.Tensor:
    """Memory rows (U, H) as the speaker memory reads them."""
    rows = rows.to(base.dtype)
    if base.memory_standardizer is None:
        return rows
    standardized: torch.Tensor = base.memory_standardizer(rows)
    return standardized


def remember(utterances: Sequence[tuple["EmoNetSession", str, str]]) -> None:
    """Encode utterances (session, speaker, text) and append them to the memories."""
    if not utterances:
        return
    model, processor = utterances[0][0].model, utterances[0][0].processor
    tokens = processor.encode_memory([text for _, _, text in utterances])
    length = max(*map(len, tokens), 1)
    ids = pad_rows(tokens, length, processor.tokenizer.pad_token_id).to(model.device)
    mask = pad_rows([[1] * len(row) for row in tokens], length, 0).to(model.device)
    vectors = model.emonet.encode_memory(ids, mask)
    changed = {}
    for (session, name, _), vector in zip(utterances, vectors, strict=True):
        rows = session.memory_of(name)
        if len(rows) == rows.maxlen:  # it loses an utterance that the GRU has read
            session.memory_states.pop(name, None)
        rows.append(vector)
        changed[id(session), name] = session
    advance_memories([(session, name) for (_, name), session in changed.items()])


@torch.inference_mode()
def advance_memories(memories: Sequence[tuple["EmoNetSession", str]]) -> None:
    """Let the GRU read the new utterances of memories (session, speaker)."""
    pending = []
    for session, name in memories:
        rows = session.memory_of(name)
        if name in session.memory_states or len(rows) < session.config.memory_window:
            state = session.memory_states.setdefault(name, MemoryState())
            pending.append((state, list(rows)[state.count :]))
    if not pending:
        return
    base, config = memories[0][0].model.emonet, memories[0][0].config
    memory = base.memory
    assert memory is not None
    # Utterance by utterance, so that a restored session rounds as the saved one did.
    while pending := [(state, rows) for state, rows in pending if rows]:
        states = [state for state, _ in pending]
        utterances = _standardized(base, torch.stack([rows.pop(0) for _, rows in pending]))
        hidden = torch.cat([_hidden_of(state, memory.gru, utterances) for state in states], dim=1)
        outputs, hidden = memory.advance(utterances, hidden)
        for index, state in enumerate(states):
            state.count += 1
            state.hidden = hidden[:, index : index + 1]
            if config.memory_pooling == "last":
                state.outputs.clear()
            state.outputs.append(outputs[index])


def _hidden_of(state: MemoryState, gru: torch.nn.GRU, rows: torch.Tensor) -> torch.Tensor:
    if state.hidden is not None:
        return state.hidden
    return rows.new_zeros(gru.num_layers, 1, gru.hidden_size)
