"""Write the code that version 0.1 saved with checkpoints, in flat files."""

from pathlib import Path
from zipfile import ZipFile

CODE = Path(__file__).parents[1] / "checkpoint" / "code_of_0.1.zip"
# Files that only prompted checkpoints have.
_PROMPTED = {
    "anonymity.py",
    "chat.py",
    "configuration_prompted.py",
    "demonstrations.py",
    "label_tree.py",
    "modeling_prompted.py",
    "prefix_reader.py",
    "processing_prompted.py",
    "prompted_session.py",
    "prompts.py",
    "quoting.py",
}
AUTO_MAP_OF_PROMPTED = {
    "AutoConfig": "configuration_prompted.PromptedEmoNetConfig",
    "AutoModel": "modeling_prompted.PromptedEmoNet",
    "AutoModelForSequenceClassification": "modeling_prompted.PromptedEmoNet",
    "AutoProcessor": "processing_prompted.PromptedProcessor",
}


def write_code_of_0_1(folder: Path, kind: str = "emonet") -> None:
    """Write the code of a checkpoint into `folder`; `kind` is `emonet` or `prompted`."""
    with ZipFile(CODE) as archive:
        names = archive.namelist()
        archive.extractall(
            folder, names if kind == "prompted" else [name for name in names if name not in _PROMPTED]
        )
