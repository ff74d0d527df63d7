"""Tell `pipeline()` which task and code a checkpoint has."""

from typing import Any

# How `pipeline()` finds the code of a checkpoint for users without emonet installed.
CUSTOM_PIPELINES = {
    "emotion-in-conversation": {
        "impl": "pipeline_emonet.EmoNetPipeline",
        "pt": ["AutoModelForSequenceClassification"],
    }
}


class RegisteredPipelines(dict[str, Any]):
    """`custom_pipelines` whose tasks the package has registered.

    `pipeline(model=...)` takes the task from the keys. For a task that is `in` it, it
    would run the repository's code, and ask for trust_remote_code.
    """

    def __contains__(self, task: object) -> bool:
        return False
