"""Inference Endpoints: the same pipeline behind the request shapes of the Hub's inference toolkit."""

from pathlib import Path
from typing import Any

from transformers import pipeline

PARAMETERS = ("history", "top_k", "batch_size")


class EndpointHandler:
    """Called by the toolkit: once with the repository's folder, then with every request.

    Request: `{"inputs": DIALOGUE or [DIALOGUE, ...], "parameters": {"history": ..., "top_k": ...}}`, where a dialogue is a list
    of `{"speaker", "text"}` or `{"role", "content"}` turns, or a string of `Name: text` lines. Answer: one
    `{"speaker", "text", "label", "score", "scores"}` a turn, or a list of such lists.
    """

    def __init__(self, path: str | Path = ""):
        # The endpoint's owner chose this repository and its code by deploying it.
        self.pipeline: Any = pipeline(  # type: ignore[call-overload]
            "emotion-in-conversation", model=str(path), trust_remote_code=True
        )

    def __call__(self, data: dict[str, Any]) -> Any:
        """Answer one request.

        Raises:
            TypeError, ValueError: for a wrong request; the toolkit answers 400 with the message.
        """
        if not isinstance(data, dict) or "inputs" not in data:
            raise ValueError('Send {"inputs": dialogue, "parameters": {...}}; there is no "inputs".')
        parameters = data.get("parameters") or {}
        if not isinstance(parameters, dict):
            raise TypeError('"parameters" must be an object, for example {"top_k": 3}.')
        if unknown := sorted(set(map(str, parameters)) - set(PARAMETERS)):
            raise TypeError(f'"parameters" has {", ".join(unknown)}; there are {", ".join(PARAMETERS)}.')
        return self.pipeline(data["inputs"], **parameters)
