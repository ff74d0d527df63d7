"""MELD (Poria et al. 2019), its text: multi-party dialogues of Friends with seven emotions."""

from pathlib import Path

from .conversations import ConversationBuilder
from .own import read_csv_rows
from .schema import MELD_LABELS, Dialogue, Turn


class MELD(ConversationBuilder):
    """13,708 utterances in 1,432 dialogues."""

    corpus = "meld"
    labels = MELD_LABELS
    files = {"train": "train_sent_emo.csv", "validation": "dev_sent_emo.csv", "test": "test_sent_emo.csv"}
    url = "https://raw.githubusercontent.com/declare-lab/MELD/master/data/MELD/"
    sizes = {"train": (1038, 9989), "validation": (114, 1109), "test": (280, 2610)}
    description = "MELD: emotions of Friends dialogues (text)."
    homepage = "https://github.com/declare-lab/MELD"
    licence = "GPL-3.0"

    @staticmethod
    def read(path: Path, split: str) -> list[Dialogue]:
        dialogues: dict[str, Dialogue] = {}
        columns = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID", "Season", "Episode", "StartTime")
        for _, row in read_csv_rows(path, columns):
            key = f"{split}_{row['Dialogue_ID']}"  # ids start again in each split
            if key not in dialogues:
                order = (int(row["Season"]), int(row["Episode"]), row["StartTime"], key)
                dialogues[key] = Dialogue(key, split, order)
            dialogues[key].turns.append(Turn((row["Speaker"],), row["Utterance"], row["Emotion"]))
        return list(dialogues.values())
