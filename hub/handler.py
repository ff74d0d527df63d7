"""Answer requests of Inference Endpoints with the pipeline."""

from pathlib import Path
from typing import Any

from transformers import pipeline

PARAMETERS = ("history", "speakers", "top_k", "batch_size")
MAX_TURNS = 5000  # of a request, history included, as in `emonet serve`
MAX_CHARACTERS = 2 * 2**20  # of a text


class EndpointHandler:
    """The class that the Hub's inference toolkit calls.

    The toolkit creates it with the repository's folder and calls it with every request.
    Request: `{"inputs": DIALOGUE or [DIALOGUE, ...], "parameters": {"history": ...,
    "speakers": ..., "top_k": ...}}`, where a dialogue is a list of `{"speaker", "text"}`
    or `{"role", "content"}` turns, or a text in any form that `emonet predict` reads.
    Answer: one `{"speaker", "text", "label", "score", "scores"}` a turn, or a list of
    such lists; the rows of a text of several dialogues have `dialogue_id` too. What was
    left out or decided is in the endpoint's log.
    """

    def __init__(self, path: str | Path = ""):
        # The endpoint's owner chose this repository and its code by deploying it.
        self.pipeline: Any = pipeline(  # type: ignore[call-overload]
            "emotion-in-conversation", model=str(path), trust_remote_code=True
        )

    def __call__(self, data: dict[str, Any]) -> Any:
        """Answer one request.

        Raises:
            TypeError, ValueError: If the request is wrong; the toolkit answers 400 with
                the message.
        """
        if not isinstance(data, dict) or "inputs" not in data:
            raise ValueError('Send {"inputs": dialogue, "parameters": {...}}; there is no "inputs".')
        parameters = data.get("parameters") or {}
        if not isinstance(parameters, dict):
            raise TypeError('"parameters" must be an object, for example {"top_k": 3}.')
        if unknown := sorted(set(map(str, parameters)) - set(PARAMETERS)):
            raise TypeError(
                f'"parameters" has {", ".join(unknown[:5])[:200]}; there are {", ".join(PARAMETERS)}.'
            )
        inputs, history = data["inputs"], parameters.get("history")
        size = 0 if inputs == [] else self._turns(inputs)
        size += sum(map(_utterances, history.values())) if isinstance(history, dict) else 0
        if size > MAX_TURNS:
            raise ValueError(
                f"{size} turns, history included; the limit is {MAX_TURNS}. Send the dialogues in parts."
            )
        return self.pipeline(inputs, **parameters)

    def _turns(self, inputs: Any) -> int:
        """Count the turns of a dialogue, or of each of many, before they are predicted.

        A dialogue without turns counts as one turn: it takes time too.
        """
        many = isinstance(inputs, list) and not all(_is_turn(item) for item in inputs)
        if isinstance(inputs, list) and (many or len(inputs) > MAX_TURNS):
            few = len(inputs) <= MAX_TURNS
            return sum(map(self._turns, inputs)) if many and few else len(inputs)
        if isinstance(inputs, str) and len(inputs) > MAX_CHARACTERS:
            raise ValueError(
                f"A text of {len(inputs)} characters; the limit is {MAX_CHARACTERS}. Send it in parts."
            )
        try:
            return max(1, len(self.pipeline.preprocess(inputs)["rows"]))
        except (TypeError, ValueError):
            return 1  # the pipeline gives the reason, with the index of the dialogue


def _is_turn(item: Any) -> bool:
    return isinstance(item, dict) and "turns" not in item


def _utterances(texts: Any) -> int:
    return max(1, len(texts)) if isinstance(texts, list) else 1
