"""Types and groups of command-line arguments that several commands share."""

import argparse
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TypeAlias

from ..constants import AUTO, DTYPES
from ..dialogue.names import RULES, speaker_kinds
from ..dialogue.tables.columns import FIELDS
from ..pretrained.models import DEFAULT, MODELS

# A string, because argparse's class takes no parameters at run time.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

DATASET_HELP = (
    "emorynlp, emorynlp-aligned, iemocap, iemocap-4, dailydialog, meld, sample; your own file or folder; or "
    "a dataset's id on the Hub (owner/name, owner/name:config)"
)
DATA_DIR_HELP = "folder with the corpus's files (default: $EMONET_DATA, then the public source)"


def integer(minimum: int, maximum: int = 2**31 - 1) -> Callable[[str], int]:
    """Make a type for whole numbers from `minimum` to `maximum`."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = minimum - 1
        if not minimum <= value <= maximum:
            raise argparse.ArgumentTypeError(
                f"{text[:40]!r} is not a whole number from {minimum} to {maximum}"
            )
        return value

    return read


def number(minimum: float, maximum: float) -> Callable[[str], float]:
    """Make a type for numbers from `minimum` to `maximum`."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not minimum <= value <= maximum:  # false for NaN
            raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a number from {minimum:g} to {maximum:g}")
        return value

    return read


SEED = integer(0, 2**32 - 1)


def network(text: str) -> IPv4Network | IPv6Network:
    """Read an IP address or a network."""
    try:
        return ip_network(text, strict=False)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text[:40]!r} is not an address like 10.0.0.7 or 10.0.0.0/8"
        ) from error


def add_model_argument(command: argparse.ArgumentParser, more: str = "", required: bool = False) -> None:
    """Add `--model`, by default the built-in one."""
    names = ", ".join(MODELS)
    default = "" if required else f"; default: {DEFAULT}"
    command.add_argument(
        "--model",
        required=required,
        default=None if required else DEFAULT,
        help=f"run folder, Hub id or built-in model ({names}{default}){more}",
    )


def add_dtype_argument(parser: argparse.ArgumentParser, more: str = "") -> None:
    """Add `--dtype`."""
    parser.add_argument(
        "--dtype",
        choices=DTYPES,
        default=AUTO,
        help="what matrix products are computed in (default: auto, which is bfloat16 where this machine "
        f"multiplies it faster, or $EMONET_DTYPE){more}",
    )


def persons(text: str) -> str | list[str]:
    """Read who is a person: a rule, or names separated by commas."""
    try:
        return speaker_kinds((), text).record
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is neither {', '.join(RULES)} nor names") from error


def columns(text: str) -> dict[str, str | None]:
    """Read which column holds which field, such as `text=utterance,speaker=`."""
    pairs = [pair.partition("=") for pair in text.split(",")]
    if not all(field in FIELDS and sign for field, sign, _ in pairs):
        raise argparse.ArgumentTypeError(
            f"{text[:80]!r} is not FIELD=COLUMN,...; the fields are {', '.join(FIELDS)}"
        )
    return {field: column or None for field, _, column in pairs}


def add_speakers_argument(parser: argparse.ArgumentParser, default: str | None = "auto") -> None:
    """Add `--speakers`."""
    parser.add_argument(
        "--speakers",
        type=persons,
        default=default,
        metavar="auto|persons|roles|NAME,NAME",
        help="who is the same person in every dialogue: by the names (auto: a SPEAKER_00 is not), all, "
        "nobody, or those that are named" + ("" if default else " (default: as in training)"),
    )


def add_corpus_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--dataset`, `--data-dir`, `--interleaved` and `--columns`."""
    parser.add_argument("--dataset", required=True, help=DATASET_HELP)
    parser.add_argument("--data-dir", help=DATA_DIR_HELP)
    parser.add_argument(
        "--interleaved",
        action="store_true",
        help="the rows of a dialogue may stand between those of other dialogues",
    )
    parser.add_argument(
        "--columns",
        type=columns,
        metavar="FIELD=COLUMN,...",
        help="columns of your own data under other names, such as text=utterance,emotion=mood; fields are "
        f"{', '.join(FIELDS)}; `speaker=` makes all speakers unknown",
    )


def add_knowledge_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the concept graph and the affect lexicon."""
    parser.add_argument(
        "--concepts",
        default="wordnet",
        help="graph for `ket`: wordnet, its folder, ConceptNet's CSV file, or none",
    )
    parser.add_argument("--affect", default="vader", help="lexicon for `ket`: vader, or a file of NRC-VAD")
