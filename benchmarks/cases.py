"""The cases of `emonet bench`, each run in its own process.

A case returns its `seconds`, and the number of `turns` and encoded `tokens`.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import torch

from ..backbones.embedded import resolve_backbone
from ..constants import AUTO
from ..engines.auto_dtype import resolved_dtype
from ..engines.precision import computing_in
from ..modeling_emonet import EmoNetForSequenceClassification
from ..train_trainer import EmoNetTrainer, EmoNetTrainingArguments
from .published_loop import PublishedLoop
from .workload import dialogues_of, prepared, tokens_of

# As many dialogues per step as in the preset, in small batches to limit peak memory.
BATCH, ACCUMULATION = 1, 8


def train_emonet(folder: Path, backbone: str) -> dict[str, Any]:
    """Train the `emonet-thesis` preset with `EmoNetTrainer`, packed, as by default."""
    return _train(folder, backbone)


def train_emonet_float32(folder: Path, backbone: str) -> dict[str, Any]:
    """Train it in float32, as `emonet train --dtype float32` does."""
    return _train(folder, backbone, dtype="float32")


def train_per_turn(folder: Path, backbone: str) -> dict[str, Any]:
    """Train the same model with one sequence per turn."""
    return _train(folder, backbone, context_mode="per_turn")


def train_published(folder: Path, backbone: str) -> dict[str, Any]:
    """Train with the reimplemented loop of CoMPM."""
    dialogues = dialogues_of(folder)
    labels = sorted({turn["emotion"] for turns in dialogues for turn in turns})
    loop = PublishedLoop(str(resolve_backbone(backbone)), len(labels))
    with _timed() as timer:
        turns = loop.train(dialogues, labels)
    return {**timer, "turns": turns, "tokens": loop.tokens}


def train_bare_backbone(folder: Path, backbone: str) -> dict[str, Any]:
    """Train only the backbone, on the batches of `train_emonet`."""
    trainer = _trainer(folder, backbone)
    batches = list(trainer.get_train_dataloader())
    model = trainer.model
    assert isinstance(model, EmoNetForSequenceClassification)
    encoder = model.emonet.encoder.train()
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=5e-5, fused=True)
    with _timed() as timer:
        for index, batch in enumerate(batches, start=1):
            states = encoder(
                input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
            ).last_hidden_state
            (states.square().mean() / ACCUMULATION).backward()
            if index % ACCUMULATION == 0 or index == len(batches):
                optimizer.step()
                optimizer.zero_grad()
    return {**timer, "turns": _turns(batches), "tokens": tokens_of(batches)}


def evaluate_emonet(folder: Path, backbone: str) -> dict[str, Any]:
    """Evaluate as `emonet evaluate` does, with memory features from training's cache."""
    return _evaluate(folder, backbone, AUTO)


def evaluate_emonet_float32(folder: Path, backbone: str) -> dict[str, Any]:
    """Evaluate in float32, as `emonet evaluate --dtype float32` does."""
    return _evaluate(folder, backbone, "float32")


def predict_text(folder: Path, backbone: str) -> dict[str, Any]:
    """Predict from raw text with `predict_dialogues`, including memory utterances."""
    from ..inference.predict import predict_dialogues

    model, corpus = prepared(folder, backbone, "emonet-thesis")
    dialogues = [
        [{"speaker": turn["speaker"], "text": turn["text"]} for turn in turns]
        for turns in dialogues_of(folder)
    ]
    with _tokens_read(model) as tokens, _timed() as timer:
        predict_dialogues(model, corpus.processor, dialogues)
    return {**timer, "turns": sum(map(len, dialogues)), "tokens": tokens["read"]}


def evaluate_published(folder: Path, backbone: str) -> dict[str, Any]:
    """Evaluate with the reimplemented loop of CoMPM, turn by turn."""
    dialogues = dialogues_of(folder)
    loop = PublishedLoop(str(resolve_backbone(backbone)), 7)
    with _timed() as timer:
        turns = len(loop.predict(dialogues))
    return {**timer, "turns": turns, "tokens": loop.tokens}


def stream(folder: Path, backbone: str, near: int = 5, far: int = 200, sessions: int = 3) -> dict[str, Any]:
    """Stream turns through `EmoNetSession`.

    The seconds of a turn are the median over sessions and over the turns around it.
    """
    from ..inference.session import EmoNetSession

    model, corpus = prepared(folder, backbone, "emonet-thesis")
    texts = [turn["text"] for turns in dialogues_of(folder) for turn in turns]
    times: dict[int, list[float]] = {}
    with _timed() as timer:
        for index in range(sessions):
            session = EmoNetSession(model, corpus.processor)
            for turn in range(1, far + 5):
                started = time.perf_counter()
                session.add("ABCD"[turn % 4], texts[(turn + 50 * index) % len(texts)])
                times.setdefault(turn, []).append(time.perf_counter() - started)
    by_turn = {turn: median(seconds) for turn, seconds in times.items()}
    around = {
        turn: median(by_turn[nearby] for nearby in range(turn - 3, turn + 4)) for turn in (near, 50, 100, far)
    }
    return {
        **timer,
        "turns": sessions * (far + 4),
        "seconds_by_turn": around,
        "slowest": max(by_turn.values()),
        "mean_of_last_50": sum(by_turn[turn] for turn in range(far - 45, far + 5)) / 50,
    }


def build_memory_cache(folder: Path, backbone: str) -> dict[str, Any]:
    """Encode each memory utterance once, then load it from the cache.

    `tokens_if_encoded_by_turn` is the cost of encoding every turn's history.
    """
    from ..data.features import cached_memory_features

    model, corpus = prepared(folder, backbone, "emonet-thesis")
    tokens = corpus.processor.encode_memory(corpus.texts)
    histories = [row for example in corpus["train"].examples for row in example["memory_index"]]
    cache = Path(tempfile.mkdtemp(dir=folder))
    try:
        with _timed() as built:
            cached_memory_features(model.emonet, corpus.processor, corpus.texts, cache, progress=False)
        with _timed() as loaded:
            cached_memory_features(model.emonet, corpus.processor, corpus.texts, cache, progress=False)
    finally:
        shutil.rmtree(cache)
    return {
        **built,
        "turns": len(corpus.texts),
        "tokens": sum(len(ids) for text, ids in dict(zip(corpus.texts, tokens, strict=True)).items()),
        "tokens_if_encoded_by_turn": sum(len(tokens[index]) for row in histories for index in row),
        "seconds_from_cache": loaded["seconds"],
    }


def cold_start(folder: Path, backbone: str) -> dict[str, Any]:
    """Time new processes: imports, and the first prediction from a checkpoint."""
    model, corpus = prepared(folder, backbone, "emonet-thesis")
    model.processor = corpus.processor
    checkpoint = folder / "checkpoint"
    model.save_pretrained(checkpoint)
    programs = {
        "python": "pass",
        "import_transformers": "import transformers",
        "import_emonet": "import emonet",
        "import_torch": "import torch",
        "import_auto_model": "from transformers import AutoModelForSequenceClassification",
        "first_prediction": "from emonet import EmoNetForSequenceClassification as E\n"
        f"E.from_pretrained({str(checkpoint)!r}).predict([{{'speaker': 'Ann', 'text': 'We won!'}}])",
    }
    times: dict[str, list[float]] = {name: [] for name in programs}
    with _timed() as timer:
        for _ in range(5):
            for name, program in programs.items():
                started = time.perf_counter()
                subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
                times[name].append(time.perf_counter() - started)
    return {**timer, **{f"seconds_{name}": median(seconds) for name, seconds in times.items()}}


def pipeline_throughput(folder: Path, backbone: str, sizes: tuple[int, ...] = (1, 4, 16)) -> dict[str, Any]:
    """Measure the pipeline's turns per second by `batch_size`."""
    from ..pipeline_emonet import EmoNetPipeline

    model, corpus = prepared(folder, backbone, "emonet-thesis")
    pipe = EmoNetPipeline(model=model, processor=corpus.processor)
    dialogues = [
        [{"speaker": turn["speaker"], "text": turn["text"]} for turn in turns]
        for turns in dialogues_of(folder)
    ]
    turns = sum(map(len, dialogues))
    speeds = {}
    with _timed() as timer:
        for size in sizes:
            started = time.perf_counter()
            pipe(dialogues, batch_size=size)
            speeds[size] = turns / (time.perf_counter() - started)
    return {**timer, "turns": turns * len(sizes), "turns_per_second_by_batch_size": speeds}


CASES: dict[str, Callable[[Path, str], dict[str, Any]]] = {
    case.__name__: case
    for case in (
        train_emonet,
        train_emonet_float32,
        train_per_turn,
        train_published,
        train_bare_backbone,
        evaluate_emonet,
        evaluate_emonet_float32,
        evaluate_published,
        predict_text,
        stream,
        build_memory_cache,
        cold_start,
        pipeline_throughput,
    )
}


def _train(folder: Path, backbone: str, dtype: str = AUTO, **config: Any) -> dict[str, Any]:
    trainer = _trainer(folder, backbone, dtype, **config)
    batches = list(trainer.get_train_dataloader())
    with _timed() as timer:
        trainer.train()
    return {**timer, "turns": _turns(batches), "tokens": tokens_of(batches)}


def _evaluate(folder: Path, backbone: str, dtype: str) -> dict[str, Any]:
    from ..inference.predict import predict_logits

    model, corpus = prepared(folder, backbone, "emonet-thesis")
    split = corpus["train"]
    computing_in(model, dtype)
    with _tokens_read(model) as tokens, _timed() as timer:
        predict_logits(model, corpus.processor, split.windows, corpus.collator.memory)
    return {**timer, "turns": len(split.labels()), "tokens": tokens["read"]}


def _trainer(folder: Path, backbone: str, dtype: str = AUTO, **config: Any) -> EmoNetTrainer:
    model, corpus = prepared(folder, backbone, "emonet-thesis", **config)
    arguments = EmoNetTrainingArguments(
        output_dir=str(folder / "trainer"),
        num_train_epochs=1,
        per_device_train_batch_size=BATCH,
        gradient_accumulation_steps=ACCUMULATION,
        eval_strategy="no",
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        bf16=resolved_dtype(dtype) == "bfloat16",
        disable_tqdm=True,
    )
    return EmoNetTrainer(model, arguments, train_dataset=corpus["train"], data_collator=corpus.collator)


def _turns(batches: list[dict[str, Any]]) -> int:
    # A turn in two windows has its label in only one of them.
    return sum(int((batch["labels"] >= 0).sum()) for batch in batches)


@contextmanager
def _timed() -> Iterator[dict[str, float]]:
    figures: dict[str, float] = {}
    started = time.perf_counter()
    yield figures
    figures["seconds"] = time.perf_counter() - started


@contextmanager
def _tokens_read(model: EmoNetForSequenceClassification) -> Iterator[dict[str, int]]:
    """Count the tokens that the encoders read, without padding."""
    counts = {"read": 0}
    forward, encode = model.forward, model.emonet.encode_utterances

    def counted_forward(**batch: Any) -> Any:
        counts["read"] += tokens_of([batch])
        return forward(**batch)

    def counted_encode(input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        counts["read"] += int(attention_mask.sum())
        vectors: torch.Tensor = encode(input_ids, attention_mask)
        return vectors

    with (
        patch.object(model, "forward", counted_forward),
        patch.object(model.emonet, "encode_utterances", counted_encode),
    ):
        yield counts
