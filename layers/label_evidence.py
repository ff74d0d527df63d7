"""Let the known labels of some turns tell about the others.

Emotions last: what the speaker and the others of a scene have just felt says as much
about a turn as a far larger backbone. Everything is exactly zero without known labels.

Shapes: B dialogues, T turns, K known labels, C emotions, H the width of a turn vector.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from ..configuration_emonet import EmoNetConfig
from ..constants import NO_LABEL
from ..context.base import ContextPart
from ..dialogue.known_emotions import NO_EVIDENCE
from ..errors import EmoNetError

REACH = 512  # turns from which a known label is not read: it bounds the cost of long dialogues
_HALF_LIFE = 3.0  # turns
_RELATIONS, _KERNELS = 3, 3  # own, others', all · counted alike, recent ones more, the nearest
# In training: of the dialogues without labels, of those with later ones, of wrong labels.
_NONE_SHOWN, _LATER_SHOWN, _WRONG_SHOWN = 0.5, 0.25, 0.1


class KnownLabels(NamedTuple):
    """The known labels around the turns of a batch.

    Attributes:
        labels: (B, K, C) distributions; a row of zeros is no label.
        turns: (B, K), the index of each one's turn, counted from the window's first turn:
            negative in earlier windows.
        speakers: (B, K), the speakers by order of appearance.
    """

    labels: torch.Tensor
    turns: torch.Tensor
    speakers: torch.Tensor


class LabelEvidence(ContextPart):
    """Read known labels by speaker and distance, into turn vectors and logits.

    Each turn gets the smoothed distributions of its speaker's known labels, of the
    others' and of all, counted alike, with more weight on recent ones, and of the nearest
    one, and the label of the turn before. They enter through weights that start at zero.
    Attention to the labels by content, speaker and distance scored lower.
    """

    def __init__(self, config: EmoNetConfig):
        super().__init__()
        labels, size = len(config.label_names), config.hidden_size
        numbers = 2 * (_RELATIONS * _KERNELS * (labels + 1) + labels)  # in either direction of time
        # Parameters of this module itself: transformers would initialise layers anew.
        self.to_states = nn.Parameter(torch.zeros(numbers, size))
        self.to_logits = nn.Parameter(torch.zeros(numbers, labels))
        self.reset()

    def reset(self) -> None:
        for weight in (self.to_states, self.to_logits):
            nn.init.zeros_(weight)

    def forward(
        self, states: torch.Tensor, speakers: torch.Tensor, known: KnownLabels, later: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add the evidence to turn vectors (B, T, H), see `numbers` and `add`."""
        return self.add(states, self.numbers(speakers, known, later))

    def add(self, states: torch.Tensor, numbers: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Add the evidence to turn vectors.

        Args:
            states: (..., H).
            numbers: (..., F) of `numbers`.

        Returns:
            The turn vectors (..., H), and what to add to the logits (..., C).
        """
        numbers = numbers.to(self.to_states.dtype)
        return states + numbers @ self.to_states, numbers @ self.to_logits

    @staticmethod
    def numbers(speakers: torch.Tensor, known: KnownLabels, later: torch.Tensor) -> torch.Tensor:
        """Describe the known labels around each turn; nothing of it is learnt.

        Args:
            speakers: (B, T) by order of appearance, -1 where there is no turn.
            known: What is known.
            later: (B, 1, 1) bool, whether a turn may read the labels of later turns.

        Returns:
            (B, T, F), zeros where no label may be read.
        """
        labels = known.labels.float()
        turns = torch.arange(speakers.shape[1], device=speakers.device)
        distance = turns[:, None] - known.turns[:, None]  # (B, T, K), positive for earlier labels
        readable = (known.labels.sum(-1) > 0)[:, None] & (distance != 0) & (distance.abs() <= REACH)
        readable = readable & ((distance > 0) | later)
        own = speakers[:, :, None] == known.speakers[:, None]
        parts = []
        for direction in (distance > 0, distance < 0):
            parts += _distributions(labels, readable & direction, own, distance.abs())
        return torch.cat(parts, dim=-1)


def _distributions(
    labels: torch.Tensor, readable: torch.Tensor, own: torch.Tensor, distance: torch.Tensor
) -> list[torch.Tensor]:
    """Smooth the distributions of known labels; (B, T, ...) each."""
    found = []
    recent = torch.exp2((1 - distance) / _HALF_LIFE).to(labels.dtype)
    for mask in (readable & own, readable & ~own, readable):
        nearest = mask & (distance == distance.masked_fill(~mask, REACH + 1).amin(-1, keepdim=True))
        for weights in (mask.to(labels.dtype), mask * recent, nearest.to(labels.dtype)):
            # Divided by one more than there are: few labels say little.
            total = 1 + weights.sum(-1, keepdim=True)
            found += [weights @ labels / total, 1 - 1 / total]
    return [*found, (readable & (distance == 1)).to(labels.dtype) @ labels]


def with_known_labels(
    evidence: LabelEvidence | None,
    states: torch.Tensor,
    speakers: torch.Tensor | None,
    labels: torch.Tensor | None,
    known_emotions: torch.Tensor | None,
    known_turns: torch.Tensor | None,
    known_speakers: torch.Tensor | None,
    use_later: torch.Tensor | bool,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Add label evidence to turn vectors, where a model has it and labels are known.

    Args:
        evidence: The model's part, or None.
        states: (B, T, H).
        speakers: (B, T) by order of appearance, -1 where there is no turn.
        labels: (B, T) in training, -100 for none: random ones are shown to other turns.
        known_emotions: See [`EmoNetModel.forward`].
        known_turns: As there.
        known_speakers: As there.
        use_later: As there.

    Returns:
        The turn vectors, and what to add to the logits (B, T, C) or None.

    Raises:
        EmoNetError: for known labels that the model can't read, or that lack a part.
    """
    if evidence is None:
        if known_emotions is not None:
            raise EmoNetError(NO_EVIDENCE)
        return states, None
    if known_emotions is None and labels is None:
        return states, None
    if speakers is None:
        raise EmoNetError("Known labels need local_speaker_ids (the processor makes them).")
    later = torch.as_tensor(use_later, device=states.device).expand(len(states))[:, None, None]
    if known_emotions is None:
        assert labels is not None
        known_emotions, later = shown_labels(labels, evidence.to_logits.shape[1])
    if known_turns is None or known_speakers is None:
        if known_emotions.shape[:2] != speakers.shape:
            raise EmoNetError(
                f"known_emotions {tuple(known_emotions.shape)} has no row for each of the turns "
                f"{tuple(speakers.shape)}: give known_turns and known_speakers too."
            )
        turns = torch.arange(speakers.shape[1], device=speakers.device)
        known_turns, known_speakers = turns.expand_as(speakers), speakers
    known = KnownLabels(known_emotions, known_turns, known_speakers)
    found: tuple[torch.Tensor, torch.Tensor] = evidence(states, speakers, known, later)
    return found


def shown_labels(labels: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Choose labels to show in training: none of half of the dialogues, or any share.

    A tenth of them is replaced by random ones, so that a wrong label does little harm.

    Args:
        labels: (B, T), -100 for none.
        size: The number of emotions C.

    Returns:
        `known_emotions` (B, T, C), and whether later ones may be read (B, 1, 1).
    """
    rows = (len(labels), 1)
    share = torch.rand(rows, device=labels.device) * (torch.rand(rows, device=labels.device) >= _NONE_SHOWN)
    shown = (torch.rand(labels.shape, device=labels.device) < share) & (labels != NO_LABEL)
    wrong = torch.rand(labels.shape, device=labels.device) < _WRONG_SHOWN
    values = torch.where(wrong, torch.randint_like(labels, size), labels.clamp(min=0))
    known = F.one_hot(values, size) * shown[..., None]
    return known, (torch.rand(rows, device=labels.device) < _LATER_SHOWN)[..., None]
