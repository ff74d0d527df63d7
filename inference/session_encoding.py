"""The backbone's part of a streaming step: read-outs of the turns that sessions have not
encoded yet.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from ..layers.kv_cache import KeyValueCache, attending_to, can_cache
from ..layers.turn_attention import offset_positions, pool_turns, run_masked, turn_block_mask
from ..processing_emonet import pad_rows

if TYPE_CHECKING:
    from .session import EmoNetSession


def encode_new_turns(sessions: Sequence["EmoNetSession"]) -> list[torch.Tensor]:
    """For each session the read-outs (n, H) of the turns of its window that are not
    encoded yet, in one pass of the backbone.

    A backbone whose attention takes keys and values from before encodes those turns
    alone; another encodes the window anew.
    """
    model, config = sessions[0].model, sessions[0].config
    if config.context_mode == "per_turn":
        return [_encode_sequence(session) for session in sessions]
    encoder, device = model.emonet.encoder, model.device
    alone = config.context_window == 0  # a turn sees itself only, so nothing of before is needed
    cached = can_cache(encoder) and not alone
    steps = [_Step(session, session.encoded if cached or alone else 0, alone) for session in sessions]
    if not any(step.ids for step in steps):  # a decoder's turn may have no token at all
        return [
            torch.zeros(len(session.window) - session.encoded, config.hidden_size, device=device)
            for session in sessions
        ]

    cache = KeyValueCache([session.layers if cached else [] for session in sessions])
    new_turns = _padded([step.turns for step in steps], -1, device)
    turn_ids = torch.cat([_padded([step.past_turns for step in steps], -1, device), new_turns], dim=1)
    past_mask = _padded([[1] * len(step.past_turns) for step in steps], 0, device)
    mask = torch.cat([past_mask, _padded([[1] * len(step.ids) for step in steps], 0, device)], dim=1)

    embeds = encoder.get_input_embeddings()(_padded([step.ids for step in steps], 0, device))
    if model.emonet.speaker_embedding is not None and config.identity_position == "marker":
        speakers = _padded([[turn.speaker_id for turn in session.window] for session in sessions], -1, device)
        embeds = embeds + model.emonet.marker_embeds(new_turns, speakers, None)
    positions = offset_positions(_padded([step.places for step in steps], 0, device), config)
    allowed = turn_block_mask(mask, turn_ids, config, past=cache.tokens)
    if cached:
        with attending_to(cache, encoder):
            hidden = run_masked(encoder, config, embeds, mask, allowed, positions)
        for place, (session, step) in enumerate(zip(sessions, steps, strict=True)):
            session.layers = cache.layers(place, len(step.ids))
    else:
        hidden = run_masked(encoder, config, embeds, mask, allowed, positions)
    turns = max(len(session.window) for session in sessions)
    read_turns = _padded([step.read_turns for step in steps], -1, device)
    vectors = pool_turns(hidden, read_turns, turns, config.pooling)
    return [vectors[place, session.encoded : len(session.window)] for place, session in enumerate(sessions)]


class _Step:
    """What one session has to encode: the turns of its window from `first` on.

    Attributes:
        ids / turns / places: (N) tokens, the turn of each, and its position. read_turns:
        As turns, -1 where a token is not read.
        past_turns: The turns of the tokens that were encoded before and are attended to.
    """

    def __init__(self, session: "EmoNetSession", first: int, alone: bool):
        sink = [] if alone else session.processor.sink
        new = session.window[first:]
        self.ids = [token for turn in new for token in turn.piece]
        self.turns = [place for place, turn in enumerate(new, first) for _ in turn.piece]
        flags = [flag for turn in new for flag in turn.read]
        self.read_turns = [turn if flag else -1 for turn, flag in zip(self.turns, flags, strict=True)]
        before = [-1] * len(sink) + [
            place for place, turn in enumerate(session.window[:first]) for _ in turn.piece
        ]
        if first == 0:  # the sink is part of the window's first pass
            self.ids, self.turns, self.read_turns = (
                sink + self.ids,
                before + self.turns,
                before + self.read_turns,
            )
        self.past_turns = [] if alone or first == 0 else before
        if alone:  # positions start anew with each turn
            self.places = [place for turn in new for place in range(len(turn.piece))]
        else:
            self.places = list(range(len(self.past_turns), len(self.past_turns) + len(self.ids)))


def _encode_sequence(session: "EmoNetSession") -> torch.Tensor:
    """per_turn mode: the read-out (1, H) of the new turn, whose past is encoded with it."""
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
    return vectors[0, -1:]


def _padded(rows: Sequence[Sequence[int]], value: int, device: Any) -> torch.Tensor:
    return pad_rows(rows, max(map(len, rows)), value).to(device)
