"""Keep the turns of a session, so that known labels update them without encoding anew."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from ..dialogue.known_emotions import NO_EVIDENCE, distribution_of
from ..errors import EmoNetError
from ..layers.heads import classify
from ..layers.label_evidence import REACH, KnownLabels
from ..processing_emonet import EmoNetProcessor
from .known_labels import with_source
from .session_state import checked_tensor, expect, whole_number

if TYPE_CHECKING:
    from ..modeling_emonet import EmoNetForSequenceClassification

_TURNS_AT_ONCE = 512
STATES = "label_states"


class SessionLabels:
    """The turns of a session whose model takes known labels.

    Args:
        model: The model.
        processor: Its processor.
        use_later: Whether a label also tells about earlier turns.

    Attributes:
        turns: `speaker` and `text` of each turn, as they were given.
        speakers: Their speakers' ids in the dialogue.
        states: Their vectors (H), without label evidence.
        known: Turn → its known distribution (C).
    """

    def __init__(
        self, model: "EmoNetForSequenceClassification", processor: EmoNetProcessor, use_later: bool = False
    ):
        self.model, self.processor, self.use_later = model, processor, use_later
        self.turns: list[dict[str, str]] = []
        self.speakers: list[int] = []
        self.states: list[torch.Tensor] = []
        self.known: dict[int, list[float]] = {}

    def append(
        self, turn: dict[str, str], speaker: int, state: torch.Tensor, known: list[float] | None
    ) -> torch.Tensor:
        """Add a turn and return its logits (C)."""
        self.turns.append(turn)
        self.speakers.append(speaker)
        self.states.append(state)
        if known is not None:
            self.known[len(self.turns) - 1] = known
        return self.logits(len(self.turns) - 1, len(self.turns))[0]

    def correct(self, labels: Mapping[int, Any]) -> list[dict[str, Any]]:
        """Set the known labels of turns, or take them back (None).

        All are checked first: a wrong one changes nothing.

        Returns:
            The rows of all turns that this may change.

        Raises:
            EmoNetError: for a turn that does not exist, or what is no label.
        """
        names, count = self.processor.config.label_names, len(self.turns)
        checked: dict[int, list[float] | None] = {}
        for turn, label in labels.items():
            if isinstance(turn, bool) or not isinstance(turn, int) or not 0 <= turn < count:
                there = f"its turns are 0 to {count - 1}" if count else "it has no turns yet"
                raise EmoNetError(f"There is no turn {turn!r:.40} in this session: {there}.")
            checked[turn] = distribution_of(label, names, f"Turn {turn}")
        for turn, values in checked.items():
            if values is None:
                self.known.pop(turn, None)
            else:
                self.known[turn] = values
        if not checked:
            return []
        first = max(0, min(checked) - REACH) if self.use_later else min(checked)
        return self.rows(first, min(count, max(checked) + REACH + 1))

    @torch.inference_mode()
    def logits(self, first: int, end: int) -> torch.Tensor:
        """The logits (N, C) of the turns from `first` to before `end`."""
        base, device = self.model.emonet, self.model.device
        assert base.label_evidence is not None
        parts = []
        for start in range(first, end, _TURNS_AT_ONCE):
            stop = min(start + _TURNS_AT_ONCE, end)
            states = torch.stack(self.states[start:stop]).unsqueeze(0)
            evidence = None
            near = [turn for turn in range(max(0, start - REACH), stop + REACH) if turn in self.known]
            if near:
                known = KnownLabels(
                    torch.tensor([[self.known[turn] for turn in near]], device=device),
                    torch.tensor([[turn - start for turn in near]], device=device),
                    torch.tensor([[self.speakers[turn] for turn in near]], device=device),
                )
                speakers = torch.tensor([self.speakers[start:stop]], device=device)
                later = torch.full((1, 1, 1), self.use_later, device=device)
                states, evidence = base.label_evidence(states, speakers, known, later)
            parts.append(classify(self.model.classifier, states, evidence)[0][0])
        return torch.cat(parts)

    def rows(self, first: int = 0, end: int | None = None) -> list[dict[str, Any]]:
        """The labelled turns from `first` to before `end`, with their index as `turn`."""
        end = len(self.turns) if end is None else end
        if first >= end:
            return []
        results = self.processor.labels_of(self.logits(first, end).float().cpu().numpy())
        known = [self.known.get(turn) for turn in range(first, end)]
        if self.known:
            results = with_source(results, known, self.processor.config.label_names)
        return [{"turn": turn, **self.turns[turn], **result} for turn, result in enumerate(results, first)]

    def state(self) -> dict[str, Any]:
        """What `restore` reads from JSON; the vectors are saved as a tensor."""
        turns = [
            {**turn, "local_id": speaker} for turn, speaker in zip(self.turns, self.speakers, strict=True)
        ]
        return {
            "turns": turns,
            "known": [[turn, values] for turn, values in self.known.items()],
            "use_later": self.use_later,
        }

    def restore(
        self, state: Any, tensors: dict[str, torch.Tensor], like: torch.Tensor, turns: int, speakers: int
    ) -> None:
        """Read what `state` and the file of tensors hold.

        Args:
            state: What `state` returned.
            tensors: The tensors of the file that are not read yet.
            like: A turn's vector (H) of this model.
            turns: The number of turns of the session.
            speakers: The number of its speakers.

        Raises:
            EmoNetError: for anything else than a session saves.
        """
        valid = isinstance(state, dict) and set(state) == {"turns", "known", "use_later"}
        expect(valid and isinstance(state["use_later"], bool), "labels does not have its fields")
        expect(isinstance(state["turns"], list) and len(state["turns"]) == turns, "labels lacks turns")
        for turn in state["turns"]:
            valid = isinstance(turn, dict) and set(turn) == {"speaker", "text", "local_id"}
            expect(
                valid and isinstance(turn["speaker"], str) and isinstance(turn["text"], str),
                "a turn of labels is not a speaker and a text",
            )
            self.speakers.append(whole_number(turn["local_id"], "local_id", 0, speakers))
            self.turns.append({"speaker": turn["speaker"], "text": turn["text"]})
        expect(isinstance(state["known"], list), "known is not a list")
        for pair in state["known"]:
            expect(
                isinstance(pair, list) and len(pair) == 2 and isinstance(pair[1], list), "known has no pairs"
            )
            index = whole_number(pair[0], "the turn of a known label", 0, turns)
            values = distribution_of(pair[1], self.processor.config.label_names, f"Turn {index}")
            expect(values is not None, "a known label is empty")
            assert values is not None
            self.known[index] = values
        self.use_later = state["use_later"]
        if turns:
            stacked = checked_tensor(tensors, STATES, like.unsqueeze(0), dim0=range(turns, turns + 1))
            self.states = list(stacked)


def labels_of_session(labels: SessionLabels | None) -> SessionLabels:
    """Return a session's labels.

    Raises:
        EmoNetError: where its model takes none.
    """
    if labels is None:
        raise EmoNetError(NO_EVIDENCE)
    return labels
