"""What cards say about corpora: title, notes on data and labels, and licence."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Corpus:
    """What a card says about a corpus.

    Attributes:
        title: Its name in full.
        notes: On data and labels, with its licence.
        licence: The Hub's name of its licence, `other` for terms of its own.
        language: The Hub's code of its language.
    """

    title: str
    notes: str
    licence: str
    language: str = "en"


_EMORY_LABELS = """

Labels: seven emotions of Willcox's feeling wheel, one a turn, from four crowd workers. Their agreement
is low (κ about 0.14, Zahiri and Choi 2018), and identical lines carry different labels, so no system can
come near 100 %. Licence of the corpus: Apache-2.0."""
_IEMOCAP = """[IEMOCAP](https://sail.usc.edu/iemocap/): acted conversations of ten people in pairs, as
text. Session 5 is the test set; validation is a tenth of the dialogues of the other sessions. All pairs
act the same three scripts, so test has lines that training has too.

Labels: the majority vote of three annotators who saw and heard the turn, so some can't be told from the
words alone. Turns on which they did not agree, and those with other labels, are not scored."""
_IEMOCAP_LICENCE = "Licence of the corpus: for research, on request from its owners."
_EMORY = "[EmoryNLP](https://github.com/emorynlp/emotion-detection)"
# By dataset version without its number.
CORPORA: dict[str, Corpus] = {
    "emorynlp-full": Corpus(
        "EmoryNLP, full",
        f"""{_EMORY}, the full corpus: scenes of the television series Friends. Its test set (1,328 turns) is
not that of the smaller, aligned version that many papers use; figures on the two don't
compare.{_EMORY_LABELS}""",
        "apache-2.0",
    ),
    "emorynlp-aligned": Corpus(
        "EmoryNLP, aligned",
        f"""{_EMORY} in the aligned version: scenes of the television series Friends, fewer than in the full
corpus and with another test set; figures on the two don't compare.{_EMORY_LABELS}""",
        "apache-2.0",
    ),
    "iemocap": Corpus("IEMOCAP, six labels", f"{_IEMOCAP}\n{_IEMOCAP_LICENCE}", "other"),
    "iemocap-4": Corpus(
        "IEMOCAP, four labels",
        f"{_IEMOCAP}\nHere `excited` counts as `happy`. {_IEMOCAP_LICENCE}",
        "other",
    ),
    "dailydialog": Corpus(
        "DailyDialog",
        """[DailyDialog](http://yanran.li/dailydialog): everyday conversations of two people, written for
learners of English.

Labels: Ekman's six emotions, and neutral for 83 % of the turns. Micro F1 without neutral is the field's
metric for this corpus, and chose the epoch. Licence of the corpus: CC BY-NC-SA 4.0.""",
        "cc-by-nc-sa-4.0",
    ),
    "meld": Corpus(
        "MELD",
        """[MELD](https://github.com/declare-lab/MELD): dialogues of the television series Friends, as text.

Labels: seven emotions from three annotators with the video in view, so some can't be told from the words
alone. Their agreement is moderate (Fleiss' κ 0.43, Poria et al. 2019); almost half of all turns are
neutral. Licence of the corpus: GPL-3.0.""",
        "gpl-3.0",
    ),
    "sample": Corpus(
        "The Albatross",
        """The Albatross, the small invented sitcom that comes with emonet. It is there to try things out;
figures on it say nothing about real data. Each label is the emotion that the line was written to carry;
nobody annotated it. Licence: CC0-1.0.""",
        "cc0-1.0",
    ),
}
OWN = (
    "The user's own conversations; ask whoever trained the model where they come from and how they were "
    "labelled."
)


def corpus_of(version: str | None) -> Corpus | None:
    """Find a published corpus by a dataset version; None for the user's own data.

    Its version is a number. That of a folder, which may have the name of a corpus, and of
    the embedded corpus is a digest.
    """
    name, _, number = str(version).rpartition("-")
    return CORPORA.get(name) if name == "sample" or re.match(r"\d+\.\d+\.\d+", number) else None


def corpus_title(version: str | None) -> str:
    """Return title and version, empty without a version."""
    if not version:
        return ""
    known = corpus_of(version)
    return f"{known.title} (`{version}`)" if known else f"`{version}`"
