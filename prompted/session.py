"""Label turns one after another, remembering what was predicted for each speaker."""

import json
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from torch import nn
from transformers import PreTrainedModel

from ..dialogue.names import AUTO, SpeakerKinds, Speakers, clean_name
from ..dialogue.reader import as_history
from ..dialogue.spellings import SpeakerNames
from ..dialogue.turns import raw_text, recent_history, turn_speaker
from ..errors import EmoNetError
from ..files.guard import refuse_outside_links
from ..inference.session_state import (
    expect,
    read_state,
    speakers_given,
    strings_by_name,
    whole_number,
)
from .configuration import PromptedEmoNetConfig
from .prefix_reader import PrefixReader
from .processing import PromptedProcessor
from .prompts import Facts, LabelledTurn, SpeakerFacts

VERSION, STATE_FILE = 1, "prompted_session.json"


class PromptedModel(Protocol):
    """What labelling needs of a [`PromptedEmoNet`], whose file imports this one."""

    config: PromptedEmoNetConfig
    language_model: PreTrainedModel

    @property
    def processor(self) -> PromptedProcessor:
        """The processor that the model was saved with."""
        ...

    @property
    def labels(self) -> list[str]:
        """Label names, in order of their ids."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """Iterate over the weights."""
        ...

    def eval(self) -> Any:
        """Switch dropout off."""
        ...


class TurnLabeller:
    """Labels turns and remembers each speaker's latest predicted emotions.

    A speaker's utterances of earlier dialogues are labelled when they first speak, one at
    a time, without context.

    Args:
        model: The prompted model.
        processor: Its processor.
        history: Name → utterances of earlier dialogues, oldest first.

    Attributes:
        trajectories: Name → latest turns with the predicted emotions.
        history: Name → utterances of earlier dialogues that are not labelled yet.
        known: For each turn of the dialogue that prompts may hold, what was known of its
            speaker.
    """

    def __init__(
        self,
        model: PromptedModel,
        processor: PromptedProcessor,
        history: Mapping[str, Sequence[str]] | None = None,
    ):
        self.processor = processor
        self.reader = PrefixReader(model.language_model, processor.tree)
        self.settings = processor.config.prompt_settings
        self.depth = self.settings.trajectory
        self.trajectories: dict[str, deque[LabelledTurn]] = {}
        self.history: dict[str, list[str]] = {}
        self.known: dict[int, SpeakerFacts] = {}
        self.start(history)

    def start(self, history: Mapping[str, Sequence[str]] | None) -> None:
        """Begin a dialogue that has a history of its own."""
        self.trajectories = {}
        self.history = recent_history(history, self.depth) if self.depth else {}

    def label_dialogue(
        self, turns: Sequence[Mapping[str, Any]], kinds: SpeakerKinds = AUTO
    ) -> Iterator[dict[str, Any]]:
        """Yield the results of all turns of a dialogue."""
        self.known = {}
        for name, trajectory in self.trajectories.items():  # the lines are of another dialogue
            earlier = (replace(turn, line=None) for turn in trajectory)
            self.trajectories[name] = deque(earlier, self.depth)
        for index in range(len(turns)):
            yield self.label(turns, index)
        # `The Waiter` of the next dialogue is another person.
        for name in [name for name in self.trajectories if kinds.is_role(name)]:
            del self.trajectories[name]

    def label(self, turns: Sequence[Mapping[str, Any]], index: int, first: int = 0) -> dict[str, Any]:
        """Return `label`, `score` and `scores` of a turn.

        Args:
            turns: The dialogue, or its latest turns.
            index: Index of the turn in `turns`.
            first: How many turns of the dialogue are before `turns`.
        """
        name, text = clean_name(turn_speaker(turns[index], index)), raw_text(turns[index], index)
        self._recall(name)
        self.known = {line: facts for line, facts in self.known.items() if line >= first}
        self.known[first + index] = self._facts(turns, index)

        def facts(line: int) -> SpeakerFacts:
            # A later turn's speaker has said nothing yet that is not known now.
            known = self.known[first + line] if line <= index else self._facts(turns, line)
            trajectory = [
                turn if turn.line is None else replace(turn, line=turn.line - first)
                for turn in known.trajectory
            ]
            return replace(known, trajectory=trajectory)

        window = self.processor.prompts.earlier_turns(first + index)
        result = self._read(turns, index, facts, window)
        self.trajectories[name].append(LabelledTurn(text, result["label"], first + index))
        return result

    def _facts(self, turns: Sequence[Mapping[str, Any]], index: int) -> SpeakerFacts:
        name = clean_name(turn_speaker(turns[index], index))
        self._recall(name)
        return SpeakerFacts(self.processor.biography(turns, index, name), tuple(self.trajectories[name]))

    def _recall(self, name: str) -> None:
        """Label what a speaker said in earlier dialogues, when they first speak."""
        trajectory = self.trajectories.setdefault(name, deque(maxlen=self.depth))
        for text in self.history.pop(name, []):
            turn = [{"speaker": name, "text": text}]
            known = SpeakerFacts(self.processor.biography(turn, 0, name), tuple(trajectory))
            result = self._read(turn, 0, partial(_same, known), 0)
            trajectory.append(LabelledTurn(text, result["label"]))

    def _read(
        self, turns: Sequence[Mapping[str, Any]], index: int, facts: Facts, window: int
    ) -> dict[str, Any]:
        scores = self.reader.log_probabilities(self.processor.prompt(turns, index, facts, window))
        return self.processor.labels_of(scores.float().cpu().numpy()[None])[0]


class PromptedSession:
    """One dialogue in progress on a prompted model; the interface of `EmoNetSession`.

    The results are those of the whole dialogue. A turn costs the tokens of its prompt
    that differ from the prompt before: few until the window of turns is full, and nearly
    all of it from then on, because every history begins with another turn.

    Memory is bounded:

    - The last `window` + 1 turns, and the `trajectory` latest turns of each speaker.
    - The keys and values of one prompt: 2 · tokens · layers · key-value heads · head
      width, in numbers of the model's type. SmolLM2 in float32: 46 kB a token.

    Threads may share a session; a lock serialises them.

    Args:
        model: A [`PromptedEmoNet`].
        processor: Its processor; by default the one it was saved with.
        history: Utterances of earlier dialogues, as for the pipeline.
        speakers: Who of the history is a person, as for the pipeline.

    Raises:
        EmoNetError: If the model's prompts hold later turns.

    Example:
        >>> session = PromptedSession(model)
        >>> session.add("Theo", "You threw away my sandwich?!")["label"]
    """

    def __init__(
        self,
        model: PromptedModel,
        processor: PromptedProcessor | None = None,
        history: Any = None,
        speakers: Speakers = "auto",
    ):
        self.model: PromptedModel = model.eval()
        self.processor = processor or model.processor
        settings = self.processor.config.prompt_settings
        if not settings.causal:
            raise EmoNetError(
                "This model's prompts hold later turns (future_window, or biography_of_dialogue): "
                "it can't label a turn before those are known. Label whole dialogues with predict()."
            )
        self.turns = 0
        self.window: deque[dict[str, str]] = deque(maxlen=settings.most_earlier_turns + 1)
        earlier = as_history(history, speakers, self.processor.speakers)
        self.names = SpeakerNames(self.processor.speakers, speakers, history=earlier)
        self.labeller = TurnLabeller(model, self.processor, self.names.utterances(earlier))
        self.lock = threading.RLock()

    def add(self, speaker: str, text: str) -> dict[str, Any]:
        """Label the next turn: `{"speaker", "text", "label", "score", "scores"}`."""
        turn = {"speaker": turn_speaker({"speaker": speaker}), "text": raw_text({"text": text})}
        with self.lock:
            self.window.append({**turn, "speaker": self.names.of(speaker)})
            self.turns += 1
            # Where all are roles, nobody is the known person of that name.
            nobody = {"speaker_id": 0} if self.names.kinds.rule == "roles" else {}
            window = [{**earlier, **nobody} for earlier in self.window]
            return {**turn, **self.labeller.label(window, len(window) - 1, self.dropped_turns)}

    @property
    def dropped_turns(self) -> int:
        """How many of the earlier turns are no longer part of the context."""
        return self.turns - len(self.window)

    def save(self, folder: str | Path) -> None:
        """Write the session's state, which `restore` reads, in another process too."""
        refuse_outside_links(folder)
        Path(folder).mkdir(parents=True, exist_ok=True)
        with self.lock:
            state = {
                "version": VERSION,
                "model": _fingerprint(self.model),
                "turns": self.turns,
                "window": list(self.window),
                "felt": {name: _rows(turns) for name, turns in self.labeller.trajectories.items()},
                "said": self.labeller.history,
                "known": {
                    str(line): [facts.biography, _rows(facts.trajectory)]
                    for line, facts in self.labeller.known.items()
                },
                "speakers": self.names.kinds.record,
            }
            Path(folder, STATE_FILE).write_text(json.dumps(state, ensure_ascii=False) + "\n", "utf-8")

    @classmethod
    def restore(
        cls, folder: str | Path, model: PromptedModel, processor: PromptedProcessor | None = None
    ) -> "PromptedSession":
        """Restore the session that `save` wrote, on the same model.

        Raises:
            EmoNetError: If the folder has no session, or one of another model, or its
                content is not what `save` writes.
        """
        keys = ("turns", "window", "felt", "said")
        file = Path(folder, STATE_FILE)
        state = read_state(file, VERSION, _fingerprint(model), keys, optional=("speakers", "known"))
        history = strings_by_name(state["said"], "said")
        session = cls(model, processor, history, speakers_given(state.get("speakers", "auto")))
        labeller, window = session.labeller, state["window"]
        expect(
            isinstance(window, list) and len(window) <= (session.window.maxlen or 0),
            "window is no list that fits",
        )
        for turn in window:
            fits = (
                isinstance(turn, dict)
                and set(turn) == {"speaker", "text"}
                and all(isinstance(value, str) for value in turn.values())
            )
            expect(fits, "a turn of the window is no speaker and text")
            session.window.append(turn)
        session.turns = whole_number(state["turns"], "turns", len(window))
        labeller.trajectories = _trajectories(state["felt"], labeller.depth, model.labels)
        labeller.known = _known(state.get("known", {}), session.turns, labeller.depth, model.labels)
        if session.processor.config.prompt_settings.template > 1:
            held = set(range(session.dropped_turns, session.turns))
            expect(set(labeller.known) >= held, "known lacks turns of the window")
        for name in labeller.trajectories:  # other spellings that follow are these speakers
            session.names.of(name)
        return session


def _same(known: SpeakerFacts, index: int) -> SpeakerFacts:
    return known


def _rows(turns: Iterable[LabelledTurn]) -> list[list[Any]]:
    return [[turn.text, turn.emotion, turn.line] for turn in turns]


def _trajectories(value: Any, depth: int, labels: Sequence[str]) -> dict[str, deque[LabelledTurn]]:
    """Check the trajectories of a saved session and build them."""
    expect(isinstance(value, dict), "felt is no object")
    return {name: deque(_trajectory(turns, name, depth, labels), depth) for name, turns in value.items()}


def _trajectory(turns: Any, name: str, depth: int, labels: Sequence[str]) -> list[LabelledTurn]:
    expect(isinstance(turns, list) and len(turns) <= depth, f"felt of {name!r:.40} holds too many turns")
    for turn in turns:
        fits = (
            isinstance(turn, list)
            and len(turn) in (2, 3)
            and isinstance(turn[0], str)
            and turn[1] in labels
            and (len(turn) == 2 or turn[2] is None or type(turn[2]) is int)
        )
        expect(fits, f"felt of {name!r:.40} holds {turn!r:.80}, which is no text and label")
    return [LabelledTurn(*turn) for turn in turns]


def _known(value: Any, turns: int, depth: int, labels: Sequence[str]) -> dict[int, SpeakerFacts]:
    """Check what a saved session knows of the speakers of its turns."""
    expect(isinstance(value, dict), "known is no object")
    known = {}
    for line, facts in value.items():
        is_turn = line.isdecimal() and len(line) < 19 and int(line) < turns
        expect(is_turn, f"known holds {line!r:.40}, which is no turn")
        fits = isinstance(facts, list) and len(facts) == 2 and isinstance(facts[0], str)
        expect(fits, f"known of turn {line} is no biography and trajectory")
        known[int(line)] = SpeakerFacts(facts[0], tuple(_trajectory(facts[1], f"turn {line}", depth, labels)))
    return known


def _fingerprint(model: PromptedModel) -> str:
    """Identify the model: predictions of different models must not be mixed."""
    # One row of each matrix is fast to sum; adapters change neither biases nor norms.
    sums = [
        float(weight.detach().reshape(len(weight), -1)[0].double().sum())
        for weight in model.parameters()
        if weight.dim()
    ]
    prompts = dict(model.config.prompts or {})
    if prompts.get("template") == 1:
        del prompts["template"]  # sessions from before there were templates
    return f"{model.config.backbone} {sum(sums):.10e} {model.config.label_names} {prompts}"
