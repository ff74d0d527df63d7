"""Answer requests of Inference Endpoints with the pipeline."""

from pathlib import Path
from typing import Any

from transformers import pipeline

PARAMETERS = ("history", "top_k", "batch_size")
MAX_TURNS = 5000  # of a request, history included, as in `emonet serve`


class EndpointHandler:
    """The class that the Hub's inference toolkit calls.

    The toolkit creates it with the repository's folder and calls it with every request.
    Request: `{"inputs": DIALOGUE or [DIALOGUE, ...], "parameters": {"history": ...,
    "top_k": ...}}`, where a dialogue is a list of `{"speaker", "text"}` or `{"role",
    "content"}` turns, or a string of `Name: text` lines. Answer: one `{"speaker", "text",
    "label", "score", "scores"}` a turn, or a list of such lists.
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
        size = sum(map(_turns, inputs)) if isinstance(inputs, list) else _turns(inputs)
        size += sum(map(_turns, history.values())) if isinstance(history, dict) else 0
        if size > MAX_TURNS:
            raise ValueError(
                f"{size} turns, history included; the limit is {MAX_TURNS}. Send the dialogues in parts."
            )
        return self.pipeline(inputs, **parameters)


def _turns(part: Any) -> int:
    """Count the turns of a dialogue, a turn or a history before it is read.

    An empty one counts as one turn: it takes time too.
    """
    if isinstance(part, str):
        return part.count("\n") + 1
    return max(1, len(part)) if isinstance(part, list) else 1
