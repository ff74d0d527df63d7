"""Compute a frozen backbone's vectors once per dialogue and memory-map them."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tqdm.auto import tqdm

from ..checkpoint.adapters import weights_digest
from ..checkpoint.run_record import write_json
from ..engines.precision import encoder_in
from ..files.cache import cache_root
from ..files.disk import room_on_disk
from ..inference.predict import TOKENS_PER_PASS, batches_by_length, memory_vectors
from ..modeling_emonet import EmoNetForSequenceClassification, EmoNetModel
from ..processing_emonet import EmoNetProcessor

_ROOM = "run the same command again, or set EMONET_CACHE to another folder"

FloatArray = npt.NDArray[np.float32]

# The configuration fields that a frozen backbone's turn vectors depend on.
_TURN_FIELDS = ("context_mode", "causal", "context_window", "pooling", "pool_marker", "readout_layer")


def cached_turn_features(
    model: EmoNetModel,
    processor: EmoNetProcessor,
    windows: Sequence[Mapping[str, Any]],
    cache_dir: Path | None = None,
    progress: bool = True,
    dtype: str = "float32",
) -> list[FloatArray]:
    """Turn vectors (T, H) of each window from the frozen backbone.

    They are read from the cache if they are in it, and else computed in `dtype` (a
    resolved one, see [`resolved_dtype`]) and stored there. The cache goes by the tokens
    of a window, so that other splits of a corpus find the vectors of the same dialogues.
    """
    key = _key(model, model.encoder, dtype, _TURN_FIELDS, ())
    digests = [_digest((window["input_ids"], window["turn_ids"])) for window in windows]
    stored = _stored_turns(key, model.config.hidden_size, cache_dir)
    missing = {name: window for name, window in zip(digests, windows, strict=True) if name not in stored}
    if missing:
        parts = list(missing.values())
        sizes = [len(window["speaker_ids"]) for window in parts]
        starts = np.cumsum([0, *sizes])

        def compute(out: FloatArray) -> None:
            names = ("input_ids", "attention_mask", "turn_ids", "speaker_ids", "sequence_index", "read_mask")
            with encoder_in(dtype, model.encoder):
                for indices in _passes(parts, progress, "turn features"):
                    batch = processor.collate([{**parts[index], "memory_index": []} for index in indices])
                    vectors = model.encode_turns(**{name: batch[name] for name in names if name in batch})
                    for row, index in enumerate(indices):
                        end = starts[index] + sizes[index]
                        out[starts[index] : end] = vectors[row, : sizes[index]].float().cpu().numpy()

        name = f"{key}/{_digest(list(missing))}"
        shape = (int(starts[-1]), model.config.hidden_size)
        table = _cached(name, shape, compute, cache_dir)
        with room_on_disk(_folder(cache_dir), _ROOM):
            write_json(_folder(cache_dir) / f"{name}.json", dict(zip(missing, sizes, strict=True)))
        stored |= zip(missing, np.split(table, starts[1:-1]), strict=True)
    return [stored[name] for name in digests]


def _stored_turns(key: str, width: int, cache_dir: Path | None) -> dict[str, FloatArray]:
    """Map the digest of each cached window to its vectors, without damaged tables."""
    stored: dict[str, FloatArray] = {}
    for index in sorted((_folder(cache_dir) / key).glob("*.json")):
        with suppress(ValueError, EOFError, OSError, AttributeError, TypeError):
            sizes: dict[str, int] = json.loads(index.read_bytes())
            table = np.load(index.with_suffix(".npy"), mmap_mode="r", allow_pickle=False)
            if table.shape == (sum(sizes.values()), width):
                stored |= zip(sizes, np.split(table, np.cumsum([*sizes.values()])[:-1]), strict=True)
    return stored


def cached_memory_features(
    model: EmoNetModel,
    processor: EmoNetProcessor,
    texts: Sequence[str],
    cache_dir: Path | None = None,
    progress: bool = True,
    dtype: str = "float32",
) -> FloatArray:
    """Vectors (N, H) of the utterances `texts` from the frozen memory encoder.

    Equal texts are encoded once; `dtype` as in `cached_turn_features`.
    """
    distinct = list(dict.fromkeys(texts))
    tokens = processor.encode_memory(distinct)

    encoder = model.encoder if model.memory_encoder is None else model.memory_encoder

    def compute(out: FloatArray) -> None:
        with encoder_in(dtype, encoder):
            for indices, vectors in memory_vectors(model, processor, tokens, progress):
                out[indices] = vectors

    key = _key(model, encoder, dtype, ("pooling", "readout_layer"), tokens)
    table = _cached(key, (len(distinct), model.config.hidden_size), compute, cache_dir)
    if not texts:
        return table
    row_of = {text: row for row, text in enumerate(distinct)}
    return table[np.array([row_of[text] for text in texts], dtype=np.int64)]


def set_concept_vectors(
    model: EmoNetForSequenceClassification,
    processor: EmoNetProcessor,
    cache_dir: Path | None = None,
    progress: bool = True,
    dtype: str = "float32",
) -> None:
    """Encode the knowledge graph's concepts and set them in the context module.

    The backbone reads each concept as an utterance; its vector is standardized like those
    of turns. `dtype` is that of `cached_turn_features`.
    """
    assert processor.concepts is not None
    base: Any = model.emonet
    names = [concept.replace("_", " ") for concept in processor.concepts.concepts]
    features = cached_memory_features(base, processor, names, cache_dir, progress, dtype)
    vectors = torch.from_numpy(np.array(features))
    if base.standardizer is not None:
        vectors = base.standardizer(vectors.to(model.device))
    base.context.set_concepts(vectors, torch.tensor(processor.concepts.affect))


def _passes(examples: Sequence[Mapping[str, Any]], progress: bool, title: str) -> Iterable[list[int]]:
    batches = batches_by_length(examples, 256, TOKENS_PER_PASS)
    with torch.inference_mode(), tqdm(total=len(examples), desc=title, disable=not progress) as bar:
        for indices in batches:
            yield indices
            bar.update(len(indices))


def _key(
    model: EmoNetModel, encoder: torch.nn.Module, dtype: str, fields: Sequence[str], tokens: Iterable[Any]
) -> str:
    """Digest of everything that the cached vectors depend on."""
    digest = hashlib.sha256(b"1")  # version of the cached file's layout
    digest.update(weights_digest(encoder).encode())
    if dtype != "float32":  # the type of all vectors that were cached before there was a choice
        digest.update(dtype.encode())
    settings = {name: getattr(model.config, name) for name in fields}
    if "causal" in settings and (model.config.context_window == 0 or model.config.is_decoder_backbone):
        settings["causal"] = True  # the backbone reads no later turn, whatever the setting
    digest.update(json.dumps(settings).encode())
    for item in tokens:
        digest.update(json.dumps(item).encode())
    return digest.hexdigest()[:32]


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


def _folder(cache_dir: Path | None) -> Path:
    return (cache_dir or cache_root()) / "features"


def _cached(
    key: str, shape: tuple[int, int], compute: Callable[[FloatArray], None], cache_dir: Path | None
) -> FloatArray:
    """Memory-map the float32 table under `key`; compute it first if it is missing.

    It is computed into a temporary file and moved when complete, so an interrupted run
    leaves no partial table.
    """
    path = _folder(cache_dir) / f"{key}.npy"
    folder = path.parent
    if path.is_file():
        with suppress(ValueError, EOFError):  # compute a damaged table again
            table: FloatArray = np.load(path, mmap_mode="r", allow_pickle=False)
            if table.shape == shape:
                return table
    with room_on_disk(folder, _ROOM):
        folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(suffix=".npy", dir=folder)
        os.close(handle)
        try:
            table = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float32, shape=shape)
            _reserve(temporary)
            compute(table)
            table.flush()
            os.replace(temporary, path)
        finally:
            Path(temporary).unlink(missing_ok=True)
    table = np.load(path, mmap_mode="r")
    return table


def _reserve(path: str) -> None:
    """Allocate a mapped file's blocks on disk.

    On a full disk, writing to an unallocated map would kill the process (SIGBUS).
    """
    if hasattr(os, "posix_fallocate"):
        with open(path, "r+b") as file:
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
