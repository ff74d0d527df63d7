"""Put prompts with a common beginning into one batch, and pack them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch.utils.data import Sampler

from ...constants import NO_LABEL
from ...layers.padding import pad_rows
from ...prompted.modeling import PromptedEmoNet
from ...prompted.packing import can_pack, packed_prompts, packed_rows, padded_rows


class AnswerExample(NamedTuple):
    """An example of the first stage.

    Attributes:
        prompt: Up to where the answer begins.
        answer: The text to write.
        dialogue: Index of its dialogue, whose prompts begin alike.
    """

    prompt: str
    answer: str
    dialogue: int = 0


class DialogueSampler(Sampler[int]):
    """Shuffles dialogues and keeps the turns of each together and in order.

    A dialogue is cut only where no other fits into the rest of a batch. Each epoch has an
    order of its own, which a resumed run repeats.

    Args:
        groups: The dialogue of each example; those of a dialogue stand together.
        batch_size: Number of examples of a batch.
        seed: Seed of the order.
    """

    def __init__(self, groups: Sequence[int], batch_size: int, seed: int):
        self.batch_size, self.seed, self.epoch = batch_size, seed, 0
        self.dialogues: list[list[int]] = []
        before = None
        for index, group in enumerate(groups):
            if group != before:
                self.dialogues.append([])
            self.dialogues[-1].append(index)
            before = group

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return sum(map(len, self.dialogues))

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 10_007 + self.epoch)
        order = torch.randperm(len(self.dialogues), generator=generator).tolist()
        batches = self._batches([self.dialogues[index] for index in order])
        # The last batch may be short: it stays the last.
        for index in torch.randperm(len(batches) - 1, generator=generator).tolist():
            yield from batches[index]
        yield from batches[-1]

    def _batches(self, waiting: list[list[int]]) -> list[list[int]]:
        batches: list[list[int]] = [[]]
        while waiting:
            room = self.batch_size - len(batches[-1])
            if not room:
                batches.append([])
                continue
            sizes = [len(turns) for turns in waiting]
            exact = (index for index, size in enumerate(sizes) if size == room)
            fitting = (index for index, size in enumerate(sizes) if size < room)
            chosen = waiting.pop(next(chain(exact, fitting), 0))
            batches[-1] += chosen[:room]
            if chosen[room:]:
                waiting.insert(0, chosen[room:])
        return batches


class PromptCollator:
    """Packs the prompts of a batch, or pads them where the model cannot read packed rows.

    Args:
        model: Reads the prompts.
        packs: False pads prompts in any case.
    """

    def __init__(self, model: PromptedEmoNet, packs: bool = True):
        self.model, self.packs = model, packs

    def __call__(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Batch N examples: see [`PromptedEmoNet.forward`].

        Args:
            examples: `input_ids`, `labels` and, with the emotion-impact task,
                `impact_input_ids`.

        Returns:
            `labels` (N, 1), and the prompts: those of the main task, then those of the
            impact task.
        """
        labels = torch.tensor([example["labels"] for example in examples])
        keys = [key for key in ("input_ids", "impact_input_ids") if key in examples[0]]
        pad = self.model.tokenizer.pad_token_id
        prompts = [example[key] for key in keys for example in examples]
        length = max(map(len, prompts))
        if not (self.packs and can_pack(self.model.language_model, length)):
            mask = pad_rows([[1] * len(prompt) for prompt in prompts], length, 0)
            return {"labels": labels, "input_ids": pad_rows(prompts, length, pad), "attention_mask": mask}
        # Both prompts of a turn have its history: they are packed side by side.
        beside = [example[key] for example in examples for key in keys]
        batch = packed_prompts(beside, [prefix for prefix, _ in self.model.tree.branches], pad)
        rows = batch["read_index"].reshape(len(examples), len(keys), -1)
        return {**batch, "labels": labels, "read_index": rows.transpose(0, 1).flatten(0, 1)}


class AnswerCollator:
    """Packs prompts with their answers, or pads them, for [`AnswerModel`].

    Args:
        model: Learns to write the answers.
    """

    def __init__(self, model: PromptedEmoNet):
        self.model = model

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Batch rows of `input_ids` and `labels` (-100 but for the answer's tokens).

        Returns:
            The tokens, the `labels` (A,) of all answers, and `read_index` (A,), where in
            the flattened rows the token before each label stands.
        """
        pad = self.model.tokenizer.pad_token_id
        sequences = [row["input_ids"] for row in rows]
        answered = [
            [position for position, label in enumerate(row["labels"]) if label != NO_LABEL] for row in rows
        ]
        labels = [
            row["labels"][position] for row, own in zip(rows, answered, strict=True) for position in own
        ]
        length = max(map(len, sequences))
        if can_pack(self.model.language_model, length):
            packed, _ = packed_rows([[sequence] for sequence in sequences])
            batch = padded_rows(packed, pad)
            length = batch["input_ids"].shape[1]
            paths = [
                [number * length + index for index in path]
                for number, row in enumerate(packed)
                for path in row.paths
            ]
        else:
            # No attention mask: in a causal model no token sees the padding on its right.
            batch = {"input_ids": pad_rows(sequences, length, pad)}
            paths = [
                list(range(number * length, number * length + len(sequence)))
                for number, sequence in enumerate(sequences)
            ]
        before = [path[position - 1] for path, own in zip(paths, answered, strict=True) for position in own]
        return {**batch, "labels": torch.tensor(labels), "read_index": torch.tensor(before)}


@contextmanager
def neftune_of_prompts(model: Any, inputs: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """Give packed tokens the NEFTune noise that they have in a prompt of their own.

    The noise is divided by the root of a row's length (Jain et al. 2024, NEFTune), and a
    packed row is longer than its prompts.
    """
    embeddings = model.get_input_embeddings()
    alpha = getattr(embeddings, "neftune_noise_alpha", None)
    if alpha is None or "read_index" not in inputs:
        yield
        return
    lengths = inputs["position_ids"].flatten()[inputs["read_index"]].float() + 1
    embeddings.neftune_noise_alpha = alpha * (inputs["input_ids"].shape[1] / float(lengths.mean())) ** 0.5
    try:
        yield
    finally:
        embeddings.neftune_noise_alpha = alpha
