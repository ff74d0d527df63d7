"""Write tiny corpora in the layouts in which IEMOCAP and DailyDialog are released."""

import zipfile
from pathlib import Path

EMOTIONS = ("neu", "fru", "hap", "exc", "sad", "ang", "xxx", "sur", "oth", "fea", "dis")


def write_iemocap(root: Path, per_session: int = 3) -> Path:
    """Write `per_session` dialogues for each of the five sessions; return the root.

    Every dialogue has a turn of each emotion. The speakers take turns.
    """
    for session in range(1, 6):
        texts, votes = (
            root / f"Session{session}/dialog/{name}" for name in ("transcriptions", "EmoEvaluation")
        )
        texts.mkdir(parents=True)
        votes.mkdir()
        for index in range(per_session):
            name = f"Ses0{session}{'FM'[index % 2]}_impro0{index + 1}"
            spoken, rated = [], ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""]
            for turn, emotion in enumerate(EMOTIONS):
                turn_id, start = f"{name}_{'FM'[turn % 2]}{turn // 2:03d}", 6.2901 + 2 * turn
                spoken.append(f"{turn_id} [{start:08.4f}-{start + 1.5:08.4f}]: Line {turn} of {name}.")
                values = "[2.5000, 2.5000, 2.5000]"
                rated.append(f"[{start:.4f} - {start + 1.5:.4f}]\t{turn_id}\t{emotion}\t{values}")
                rated += ["C-E2:\tNeutral;\t()", "A-E3:\tval 3; act 2; dom  2;\t()", ""]
            (texts / f"{name}.txt").write_text("\n".join(spoken) + "\n")
            (votes / f"{name}.txt").write_text("\n".join(rated) + "\n")
    return root


def write_dailydialog(root: Path, zipped: bool = True) -> Path:
    """Write 4 training, 2 validation and 2 test dialogues; return the root.

    Args:
        root: The folder.
        zipped: Whether each split is a zip; otherwise it is the folder inside of it.
    """
    root.mkdir(parents=True, exist_ok=True)
    everything: dict[str, list[str]] = {"text": [], "emotion": []}
    for split, dialogues in (("train", 4), ("validation", 2), ("test", 2)):
        texts, emotions = [], []
        for index in range(dialogues):
            numbers = [(index + turn) % 7 for turn in range(2 + index)]
            utterances = (f"It ’ s line {turn} of {index} ." for turn in range(2 + index))
            texts.append(" ".join(f"{utterance} __eou__" for utterance in utterances))
            emotions.append(" ".join(map(str, numbers)) + " ")
        files = {f"dialogues_{split}.txt": texts, f"dialogues_emotion_{split}.txt": emotions}
        contents = {name: "\n".join(lines) + "\n" for name, lines in files.items()}
        if zipped:
            with zipfile.ZipFile(root / f"{split}.zip", "w") as archive:
                for name, content in contents.items():
                    archive.writestr(f"{split}/{name}", content)
        else:
            (root / split).mkdir()
            for name, content in contents.items():
                (root / split / name).write_text(content, "utf-8")
        everything["text"] += texts
        everything["emotion"] += emotions
    for name, lines in everything.items():
        (root / f"dialogues_{name}.txt").write_text("\n".join(lines) + "\n", "utf-8")
    return root
