"""Published figures of ERC systems, each with its test set and model selection."""

from dataclasses import dataclass

# The two EmoryNLP test sets differ: 1,328 turns, and the 984 of them in the files that
# came with COSMIC.
FULL, ALIGNED, UNKNOWN = "full", "aligned", "not stated"


@dataclass(frozen=True)
class Published:
    """A published figure.

    Attributes:
        weighted_f1: In percent, as text: some sources give several figures.
        test_set: For EmoryNLP, `full` or `aligned`; a question mark means that it is
            likely but not stated.
        selection: How the epoch was chosen.
        backbone: The encoder or the features.
        runs: The number of trainings.
    """

    weighted_f1: str
    test_set: str
    selection: str
    backbone: str
    runs: str = UNKNOWN


_KET = "fixed epochs; class weights from the test labels"
_FEATURES = "frozen RoBERTa-large features"

PUBLISHED: dict[str, dict[str, Published]] = {
    "ket": {
        "emorynlp": Published("34.39", f"{FULL}?", _KET, "GloVe", "1"),
        "meld": Published("58.18", "MELD", _KET, "GloVe", "1"),
    },
    "dialoguegcn": {
        "emorynlp": Published(
            "34.63, 36.43 or 38.1 (later papers)", f"{ALIGNED}?", UNKNOWN, "RoBERTa-large features"
        ),
        "meld": Published("58.10", "MELD", UNKNOWN, "GloVe features"),
    },
    "rgat": {
        "emorynlp": Published("34.42", f"{FULL}?", UNKNOWN, "BERT-base"),
        "meld": Published("60.91", "MELD", UNKNOWN, "BERT-base"),
    },
    "dialogxl": {
        "emorynlp": Published("34.73", FULL, "validation", "XLNet-base", "mean of 5"),
        "meld": Published("62.41", "MELD", "validation", "XLNet-base", "mean of 5"),
    },
    "hitrans": {
        "emorynlp": Published("36.75", f"{FULL}?", "validation", "BERT-base"),
        "meld": Published("61.94", "MELD", "validation", "BERT-base"),
    },
    "tucore-gcn": {
        "emorynlp": Published("39.24 (BERT-base: 36.01)", FULL, "validation", "RoBERTa-large", "1"),
        "meld": Published("65.36 (BERT-base: 62.47)", "MELD", "validation", "RoBERTa-large", "1"),
    },
    "compm": {
        "emorynlp": Published("37.37", FULL, "validation", "two RoBERTa-large", "mean of 3"),
        "meld": Published("66.52", "MELD", "validation", "two RoBERTa-large", "mean of 3"),
    },
    "s-page": {
        "emorynlp": Published("40.05 (preprint: 39.14)", UNKNOWN, UNKNOWN, "RoBERTa-large?"),
        "meld": Published("64.67 (preprint: 63.32)", "MELD", UNKNOWN, "RoBERTa-large?"),
    },
    "dag-erc": {
        "emorynlp": Published(
            "39.02 (run again by others: 38.29)",
            f"{ALIGNED}?",
            "validation, as its author says",
            _FEATURES,
            "mean of 5?",
        ),
        "meld": Published("63.65", "MELD", "validation, as its author says", _FEATURES, "mean of 5?"),
    },
    "spcl": {
        "emorynlp": Published(
            "40.94 (run again by others: 39.45, 40.25)", FULL, "validation", "SimCSE-RoBERTa-large", "1"
        ),
        "meld": Published("67.25", "MELD", "validation", "SimCSE-RoBERTa-large", "1"),
    },
}


def published(preset: str, dataset_version: str) -> Published | None:
    """The published figure of a preset's system on a corpus, or None if unknown."""
    corpus = "emorynlp" if dataset_version.startswith("emorynlp") else dataset_version.split("-")[0]
    return PUBLISHED.get(preset.removesuffix("-frozen").removesuffix("-finetuned"), {}).get(corpus)
