"""Measure how many labels an annotator has to give until a corpus reaches an accuracy.

Annotators are simulated by the gold labels of unseen dialogues; a turn that was given its
label counts as right. Every dialogue is encoded once. Example:

    python -m emonet.benchmarks.active_labelling --model RUN --output FOLDER
"""

import argparse
import heapq
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..checkpoint.run_record import versions
from ..constants import NO_LABEL
from ..data.collator import EncodedCorpus
from ..engines.load import load_engine
from ..errors import EmoNetError
from ..evaluation.pictures import save_picture
from ..inference.kept_turns import TurnVectors, kept_turns
from ..inference.predict import predict_logits
from ..inference.session_labels import SessionLabels
from ..modeling_emonet import EmoNetForSequenceClassification
from ..processing_emonet import EmoNetProcessor
from ..runs.options import EvaluateOptions
from ..runs.packed import PackedFamily

TARGETS = (0.6, 0.7, 0.8)
ORDERS = ("least certain first", "in order", "random")
EVIDENCE = ("none", "earlier labels", "all labels")
_GRID = np.linspace(0, 1, 101)  # shares of turns, of the figure

Numbers = npt.NDArray[np.float64]
# The probabilities (T, C) of a dialogue's turns in the light of the given labels' ids.
Predict = Callable[[Mapping[int, int]], Numbers]


@dataclass(frozen=True)
class Trajectory:
    """What labelling one dialogue brings, label by label.

    Attributes:
        scores: (T,) the probability of each turn's label when it was its turn.
        gains: (T,) by how many turns each label changed the number of right ones.
        wrong: (T,) whether the label that was shown had to be corrected.
        start: How many turns were right without a label.
    """

    scores: Numbers
    gains: Numbers
    wrong: Numbers
    start: int


def label_dialogue(
    predict: Predict, gold: Sequence[int], order: Sequence[int] | None, has_evidence: bool
) -> Trajectory:
    """Label all turns of a dialogue.

    Args:
        predict: The model.
        gold: The label (T,) of each turn.
        order: The turns in the order of labelling; None for the least certain first.
        has_evidence: Whether the model sees the given labels.
    """
    labels, given = np.asarray(gold), dict[int, int]()
    probabilities = predict(given)
    right, scores, gains, wrong = [int((probabilities.argmax(-1) == labels).sum())], [], [], []
    is_open = np.ones(len(labels), dtype=bool)
    for step in range(len(labels)):
        certainty = np.where(is_open, probabilities.max(-1), np.inf)
        turn = int(certainty.argmin()) if order is None else order[step]
        scores.append(float(certainty[turn]))
        wrong.append(float(probabilities[turn].argmax() != labels[turn]))
        is_open[turn] = False
        given[turn] = int(labels[turn])
        if has_evidence:
            probabilities = predict(given)
        right.append(int((~is_open | (probabilities.argmax(-1) == labels)).sum()))
        gains.append(right[-1] - right[-2])
    return Trajectory(np.array(scores), np.array(gains, dtype=float), np.array(wrong), right[0])


def label_corpus(order: str, trajectories: Sequence[Trajectory], random: np.random.Generator) -> Numbers:
    """Return the accuracy of several dialogues after 0, 1, … labels (N + 1,).

    Args:
        order: One of `ORDERS`. The least certain turn is that of all dialogues.
        trajectories: Those of the dialogues, in the same order.
        random: Chooses between the dialogues for `random`.
    """
    owners = np.repeat(np.arange(len(trajectories)), [len(one.gains) for one in trajectories])
    if order == "random":
        owners = random.permutation(owners)
    if order == "least certain first":
        owners = _least_certain_first(trajectories)
    steps = [iter(one.gains) for one in trajectories]
    gains = [next(steps[owner]) for owner in owners]
    right = sum(one.start for one in trajectories) + np.concatenate([[0.0], np.cumsum(gains)])
    return np.asarray(right / len(owners))


def _least_certain_first(trajectories: Sequence[Trajectory]) -> npt.NDArray[np.int64]:
    """The dialogues (N,) in which the next least certain turn is."""
    heap = [(one.scores[0], index, 0) for index, one in enumerate(trajectories)]
    heapq.heapify(heap)
    owners = []
    while heap:
        _, index, step = heapq.heappop(heap)
        owners.append(index)
        if step + 1 < len(trajectories[index].scores):
            heapq.heappush(heap, (trajectories[index].scores[step + 1], index, step + 1))
    return np.array(owners)


def labels_needed(accuracies: Numbers, target: float) -> int:
    """The smallest number of labels with an accuracy of at least `target`."""
    return int((accuracies >= target - 1e-9).argmax())


def simulate(
    models: Sequence[Mapping[tuple[str, str], Sequence[Sequence[Trajectory]]]],
    dialogues: int,
    draws: int,
    seed: int,
) -> dict[str, Any]:
    """Label random draws of dialogues in every order, with and without evidence.

    Args:
        models: For each model, by order and evidence, the trajectories of every dialogue;
            one for each repetition of a random order.
        dialogues: How many dialogues an annotator labels.
        draws: How often they are drawn.
        seed: Of the draws.

    Returns:
        `curves`, the accuracy at each share of labelled turns; `labels`, by target the
        share of turns to label, as mean and 95 % interval over draws, and as `corrected`
        the share of turns that were wrong when it was their turn, if all are labelled;
        and `saved`, by how much evidence lowers these shares in the same order, paired by
        draw.
    """
    random = np.random.default_rng(seed)
    keys = list(models[0])
    count = len(models[0][keys[0]][0])
    if not 0 < dialogues <= count:
        raise EmoNetError(f"{dialogues} dialogues of {count}: draw from 1 to {count}.")
    curves: dict[tuple[str, str], list[Numbers]] = {key: [] for key in keys}
    shares: dict[tuple[str, str], list[list[float]]] = {key: [] for key in keys}
    turns = []
    for _ in range(draws):
        model = models[int(random.integers(len(models)))]
        drawn = random.choice(count, dialogues, replace=False)
        pick, shuffle = (int(number) for number in random.integers(2**31, size=2))
        for key in keys:  # paired: the same random orders with and without evidence
            repetition = model[key][pick % len(model[key])]
            chosen = [repetition[index] for index in drawn]
            accuracies = label_corpus(key[0], chosen, np.random.default_rng(shuffle))
            total = len(accuracies) - 1
            curves[key].append(np.interp(_GRID, np.arange(total + 1) / total, accuracies))
            needed = [labels_needed(accuracies, target) / total for target in TARGETS]
            shares[key].append([*needed, sum(one.wrong.sum() for one in chosen) / total])
        turns.append(total)
    return {
        "turns": float(np.mean(turns)),
        "curves": {_name(key): np.mean(found, 0).round(4).tolist() for key, found in curves.items()},
        "labels": {_name(key): _by_target(np.array(found)) for key, found in shares.items()},
        "saved": {
            _name(key): _by_target(np.array(shares[key[0], "none"]) - np.array(found))
            for key, found in shares.items()
            if key[1] != "none"
        },
    }


def _name(key: tuple[str, str]) -> str:
    return f"{key[0]}, evidence: {key[1]}"


def _by_target(shares: Numbers) -> dict[str, list[float]]:
    """Mean and 95 % interval of shares (draws, targets and corrections)."""
    ends = np.quantile(shares, [0.025, 0.975], axis=0)
    return {
        name: [round(float(value), 4) for value in (shares[:, index].mean(), *ends[:, index])]
        for index, name in enumerate((*(f"{target:.0%}" for target in TARGETS), "corrected"))
    }


def trajectories_of(
    checkpoint: str, options: EvaluateOptions, orders: int, seed: int
) -> dict[tuple[str, str], list[list[Trajectory]]]:
    """Label all dialogues of a corpus's test split in every order.

    Args:
        checkpoint: A packed model, as in [`load_engine`].
        options: The corpus and its split.
        orders: How many random orders to try.
        seed: Of the random orders.

    Returns:
        By order and evidence, the trajectories of every dialogue for each repetition.

    Raises:
        EmoNetError: for another kind of model.
    """
    model, processor = load_engine(checkpoint)
    if not isinstance(model, EmoNetForSequenceClassification) or not isinstance(processor, EmoNetProcessor):
        raise EmoNetError(f"{checkpoint}: a packed model is needed, which encodes a dialogue once.")
    conversations = PackedFamily().load(options, processor.config)
    corpus = EncodedCorpus(conversations.restricted_to((options.split,)), processor)
    corpus.cache_features(model, options.cache_dir, progress=False)
    split = corpus[options.split]
    gold = [
        [label for window in windows for label in window["labels"][window["read_from"] :]]
        for windows in split.windows
    ]
    if any(NO_LABEL in labels for labels in gold):
        raise EmoNetError(f"{options.dataset}: some turns of {options.split} have no label to simulate.")
    turns = [row["turns"] for row in split.rows]
    found: dict[tuple[str, str], list[list[Trajectory]]] = {}
    vectors = predict_logits(TurnVectors(model), processor, split.windows, corpus.collator.memory)
    dialogues = list(zip(split.windows, turns, vectors, strict=True))
    for evidence in EVIDENCE if model.emonet.label_evidence is not None else EVIDENCE[:1]:
        kept = [kept_turns(model, processor, *one, evidence == "all labels") for one in dialogues]
        for order in ORDERS:
            random = np.random.default_rng(seed)  # the same random orders with and without evidence
            for _ in range(orders if order == "random" else 1):
                found.setdefault((order, evidence), []).append(
                    [
                        label_dialogue(
                            _predictions(one), labels, _turns(order, len(labels), random), evidence != "none"
                        )
                        for one, labels in zip(kept, gold, strict=True)
                    ]
                )
    return found


def _predictions(kept: SessionLabels) -> Predict:
    names = kept.processor.config.label_names

    def predict(given: Mapping[int, int]) -> Numbers:
        kept.known = {
            turn: [float(label == index) for index in range(len(names))] for turn, label in given.items()
        }
        rows = kept.processor.labels_of(kept.logits(0, len(kept.turns)).float().cpu().numpy())
        return np.array([[row["scores"][name] for name in names] for row in rows])

    return predict


def _turns(order: str, count: int, random: np.random.Generator) -> list[int] | None:
    if order == "least certain first":
        return None
    return [int(turn) for turn in random.permutation(count)] if order == "random" else list(range(count))


def report_text(result: Mapping[str, Any]) -> str:
    """Write the figures as a Markdown table."""
    head = f"Share of the turns to label until an accuracy is reached, {result['dialogues']} dialogues "
    lines = [
        f"{head}({result['turns']:.0f} turns on average), mean and 95 % interval over "
        f"{result['draws']} draws.",
        "",
        f"| order | label evidence | {' | '.join(f'{target:.0%} right' for target in TARGETS)} | corrected, "
        "if all are labelled |",
        "|---|---|" + "---:|" * (len(TARGETS) + 1),
    ]
    for name, cells in result["labels"].items():
        order, _, evidence = name.partition(", evidence: ")
        lines.append(f"| {order} | {evidence} | {' | '.join(_cell(cell) for cell in cells.values())} |")
    if result["saved"]:
        lines += [
            "",
            "What evidence saves in the same order, in points of these shares, paired by draw:",
            "",
        ]
        lines += [lines[2], lines[3]]
        for name, cells in result["saved"].items():
            order, _, evidence = name.partition(", evidence: ")
            lines.append(
                f"| {order} | {evidence} | {' | '.join(_cell(cell, '+') for cell in cells.values())} |"
            )
    return "\n".join(lines) + "\n"


def _cell(interval: Sequence[float], sign: str = "") -> str:
    mean, low, high = (f"{100 * value:{sign}.1f}" for value in interval)
    return f"{mean} [{low}, {high}]"


def draw_curves(curves: Mapping[str, Sequence[float]], path: Path) -> None:
    """Draw the accuracy over the share of labelled turns."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    colours = dict(zip(ORDERS, ("#d55e00", "#0072b2", "#666666"), strict=True))
    styles = dict(zip(EVIDENCE, (":", "--", "-"), strict=True))
    for name, accuracies in curves.items():
        order, _, evidence = name.partition(", evidence: ")
        label = order + ("" if evidence == "none" else f", {evidence} as evidence")
        axes.plot(
            100 * _GRID,
            100 * np.array(accuracies),
            styles[evidence],
            color=colours[order],
            label=label,
            linewidth=1.4,
        )
    axes.plot([0, 100], [0, 100], color="#bbbbbb", linewidth=0.8, label="labels alone, without a model")
    axes.set(xlabel="turns labelled, %", ylabel="turns right, %", xlim=(0, 100), ylim=(0, 100))
    axes.grid(color="#eeeeee")
    axes.legend(fontsize=7, frameon=False, loc="lower right")
    save_picture(figure, path, dpi=110)


def main() -> None:
    """Simulate, print the table, and write table, figures and picture to a folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--model", nargs="+", required=True, help="run folders, such as those of several seeds"
    )
    parser.add_argument("--dataset", default="emorynlp", help="a corpus or your own files")
    parser.add_argument("--data-dir", help="folder with the corpus's files")
    parser.add_argument("--dialogues", type=int, default=20, help="dialogues that an annotator labels")
    parser.add_argument("--draws", type=int, default=1000, help="how often they are drawn")
    parser.add_argument("--orders", type=int, default=5, help="random orders")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--output", type=Path, help="write active_labelling.json, .md and .png to this folder"
    )
    arguments = parser.parse_args()
    options = EvaluateOptions(dataset=arguments.dataset, data_dir=arguments.data_dir, split="test")
    models = []
    for checkpoint in arguments.model:
        print(f"labelling with {checkpoint}", file=sys.stderr)
        models.append(trajectories_of(checkpoint, options, arguments.orders, arguments.seed))
    result = simulate(models, arguments.dialogues, arguments.draws, arguments.seed)
    facts = {
        "models": len(models),
        **{name: getattr(arguments, name) for name in ("dialogues", "draws", "orders", "seed")},
    }
    result = {"dataset": arguments.dataset, **facts, **result, "versions": versions()}
    print(report_text(result))
    if arguments.output:
        arguments.output.mkdir(parents=True, exist_ok=True)
        stem = arguments.output / "active_labelling"
        stem.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")
        stem.with_suffix(".md").write_text(report_text(result), "utf-8")
        draw_curves(result["curves"], stem.with_suffix(".png"))


if __name__ == "__main__":
    main()
