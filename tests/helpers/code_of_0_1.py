"""The code that version 0.1 wrote into repositories: flat already in its source, all
systems in each.
"""

from pathlib import Path
from zipfile import ZipFile

CODE = Path(__file__).parents[1] / "checkpoint" / "code_of_0.1.zip"
_PROMPTED = {
    "anonymity.py", "chat.py", "configuration_prompted.py", "demonstrations.py", "label_tree.py", "modeling_prompted.py",
    "prefix_reader.py", "processing_prompted.py", "prompted_session.py", "prompts.py", "quoting.py",
}  # fmt: skip
AUTO_MAP_OF_PROMPTED = {
    "AutoConfig": "configuration_prompted.PromptedEmoNetConfig",
    "AutoModel": "modeling_prompted.PromptedEmoNet",
    "AutoModelForSequenceClassification": "modeling_prompted.PromptedEmoNet",
    "AutoProcessor": "processing_prompted.PromptedProcessor",
}


def write_code_of_0_1(folder: Path, kind: str = "emonet") -> None:
    """Write the files of a checkpoint of that kind (`emonet`, `prompted`) into `folder`."""
    with ZipFile(CODE) as archive:
        names = archive.namelist()
        archive.extractall(
            folder, names if kind == "prompted" else [name for name in names if name not in _PROMPTED]
        )
