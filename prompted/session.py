"""Turns labelled one after the other by a prompted model, whose own earlier predictions
are the speakers' trajectories.
"""

import json
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..dialogue.names import is_role
from ..dialogue.turns import as_history, clean_text, raw_text, recent_history, turn_speaker
from ..errors import EmoNetError
from ..files.guard import refuse_outside_links
from ..inference.session_state import VERSION, expect, read_state, strings_by_name, whole_number
from .prefix_reader import PrefixReader
from .prompts import LabelledTurn

STATE_FILE = "prompted_session.json"


class TurnLabeller:
    """Labels turns and remembers what each speaker felt, as the model itself said.

    What speakers said in earlier dialogues is labelled when they first speak, each
    utterance alone.

    Args:
        history: Name → utterances of earlier dialogues, oldest first.
    """

    def __init__(self, model: Any, processor: Any, history: Mapping[str, Sequence[str]] | None = None):
        self.processor = processor
        self.reader = PrefixReader(model.language_model, processor.tree)
        self.depth = processor.config.prompt_settings.trajectory
        self.felt: dict[str, deque[LabelledTurn]] = {}
        self.said: dict[str, list[str]] = {}
        self.start(history)

    def start(self, history: Mapping[str, Sequence[str]] | None) -> None:
        """Begin a dialogue that stands alone with its own history."""
        self.felt = {}
        self.said = recent_history(history, self.depth) if self.depth else {}

    def end_dialogue(self) -> None:
        """`The Waiter` of the next dialogue is another person."""
        for name in [name for name in self.felt if is_role(name)]:
            del self.felt[name]

    def label(self, turns: Sequence[Mapping[str, Any]], place: int) -> dict[str, Any]:
        """`label`, `score` and `scores` of a turn."""
        name, text = clean_text(turn_speaker(turns[place], place)), raw_text(turns[place], place)
        for earlier in self.said.pop(name, []):
            self.label([{"speaker": name, "text": earlier}], 0)
        own = self.felt.setdefault(name, deque(maxlen=self.depth))
        scores = self.reader.log_probabilities(self.processor.prompt(turns, place, name, tuple(own)))
        result = self.processor.labels_of(scores.float().cpu().numpy()[None])[0]
        own.append(LabelledTurn(text, result["label"]))
        return result


class PromptedSession:
    """One dialogue in progress on a prompted model, with the interface of
    `EmoNetSession`.

    The results are those of the whole dialogue. Memory is bounded: the prompt's window of
    turns, and each speaker's trajectory. Threads that share a session wait for each
    other.

    Args:
        model: A [`PromptedEmoNet`]. processor: Its processor; by default the one it was
            saved with.
        history: What speakers said in earlier dialogues, as in the pipeline.

    Raises:
        EmoNetError: for a model whose prompts hold later turns.

    Example:
        >>> session = PromptedSession(model)
        >>> session.add("Monica", "We had a deal!")["label"]
    """

    def __init__(self, model: Any, processor: Any = None, history: Any = None):
        self.model = model.eval()
        self.processor = processor or model.processor
        settings = self.processor.config.prompt_settings
        if not settings.causal:
            raise EmoNetError(
                "This model's prompts hold later turns (future_window): it can't label a turn when it is said."
            )
        self.turns = 0
        self.window: deque[dict[str, str]] = deque(maxlen=settings.window + 1)
        self.labeller = TurnLabeller(model, self.processor, as_history(history))
        self.lock = threading.RLock()

    def add(self, speaker: str, text: str) -> dict[str, Any]:
        """The next turn → `{"speaker", "text", "label", "score", "scores"}`."""
        turn = {"speaker": turn_speaker({"speaker": speaker}), "text": raw_text({"text": text})}
        with self.lock:
            self.window.append(turn)
            self.turns += 1
            return {**turn, **self.labeller.label(list(self.window), len(self.window) - 1)}

    @property
    def dropped_turns(self) -> int:
        """How many of the earlier turns are no longer part of the context."""
        return self.turns - len(self.window)

    def save(self, folder: str | Path) -> None:
        """Write the session's state; `restore` goes on from it, in another process too."""
        refuse_outside_links(folder)
        Path(folder).mkdir(parents=True, exist_ok=True)
        with self.lock:
            state = {
                "version": VERSION,
                "model": _name(self.model),
                "turns": self.turns,
                "window": list(self.window),
                "felt": {
                    name: [[turn.text, turn.emotion] for turn in turns]
                    for name, turns in self.labeller.felt.items()
                },
                "said": self.labeller.said,
            }
            Path(folder, STATE_FILE).write_text(json.dumps(state, ensure_ascii=False) + "\n", "utf-8")

    @classmethod
    def restore(cls, folder: str | Path, model: Any, processor: Any = None) -> "PromptedSession":
        """The session that `save` wrote, on the same model.

        Raises:
            EmoNetError: for a folder without one, the state of another model, or what
                `save` does not write.
        """
        session = cls(model, processor)
        state = read_state(Path(folder, STATE_FILE), _name(model), ("turns", "window", "felt", "said"))
        labeller, window = session.labeller, state["window"]
        expect(
            isinstance(window, list) and len(window) <= (session.window.maxlen or 0),
            "window is no list that fits",
        )
        for turn in window:
            fits = (
                isinstance(turn, dict)
                and set(turn) == {"speaker", "text"}
                and all(isinstance(x, str) for x in turn.values())
            )
            expect(fits, "a turn of the window is no speaker and text")
            session.window.append(turn)
        session.turns = whole_number(state["turns"], "turns", len(window))
        expect(isinstance(state["felt"], dict), "felt is no object")
        for name, turns in state["felt"].items():
            expect(
                isinstance(turns, list) and len(turns) <= labeller.depth,
                f"{name!r:.40} felt more than is kept",
            )
            for turn in turns:
                holds = (
                    isinstance(turn, list)
                    and len(turn) == 2
                    and isinstance(turn[0], str)
                    and turn[1] in model.labels
                )
                expect(holds, f"{name!r:.40} felt {turn!r:.80}")
            labeller.felt[name] = deque((LabelledTurn(*turn) for turn in turns), labeller.depth)
        labeller.said = (
            recent_history(strings_by_name(state["said"], "said"), labeller.depth) if labeller.depth else {}
        )
        return session


def _name(model: Any) -> str:
    """What tells models apart whose predictions must not be mixed."""
    # The first row of each matrix: adapters leave biases and norms as they are.
    sums = [
        float(weight.detach().reshape(len(weight), -1)[0].double().sum())
        for weight in model.parameters()
        if weight.dim()
    ]
    return f"{model.config.backbone} {sum(sums):.10e} {model.config.label_names} {model.config.prompts}"
