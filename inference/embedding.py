"""Embed utterances as sentence vectors, for similarity search in speaker stores."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm
from transformers import AutoModel, AutoTokenizer

from ..backbones.embedded import backbone_name, resolve_backbone
from ..checkpoint.adapters import weights_digest
from ..checkpoint.integrity import check_backbone
from ..dialogue.turns import clean_text
from .predict import batches_by_length

_LONGEST, _TOKENS_PER_PASS = 128, 4096


class UtteranceEmbedder:
    """Mean-pooled, normalised vectors of an encoder, each utterance on its own.

    Args:
        model: A sentence encoder: an embedded backbone (`minilm`), a Hub id or a folder.

    Attributes:
        name: The model's name and its weights' digest; stores with the same name have
            comparable vectors.
        size: The width of a vector.
    """

    def __init__(self, model: str = "minilm"):
        path = resolve_backbone(model)
        self.tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
        check_backbone(path, AutoModel)
        self.encoder: Any = AutoModel.from_pretrained(
            path, dtype=torch.float32, trust_remote_code=False
        ).eval()
        self.size: int = self.encoder.config.hidden_size
        self.name = f"{backbone_name(path)}-{weights_digest(self.encoder)[:12]}"

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str], progress: bool = False) -> np.ndarray:
        """Embed texts as a (N, size) float32 array; equal texts are encoded once."""
        distinct = list(dict.fromkeys(clean_text(text) for text in texts))
        if not distinct:
            return np.zeros((0, self.size), np.float32)
        tokens = self.tokenizer(distinct, truncation=True, max_length=_LONGEST)["input_ids"]
        table = np.zeros((len(distinct), self.size), np.float32)
        with tqdm(total=len(distinct), disable=not progress, desc="embedding") as bar:
            for indices in batches_by_length([{"input_ids": ids} for ids in tokens], 256, _TOKENS_PER_PASS):
                batch = self.tokenizer.pad(
                    {"input_ids": [tokens[index] for index in indices]}, return_tensors="pt"
                )
                mask = batch["attention_mask"].unsqueeze(-1).float()
                hidden = self.encoder(
                    input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
                ).last_hidden_state
                vectors = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
                table[indices] = torch.nn.functional.normalize(vectors, dim=-1).numpy()
                bar.update(len(indices))
        row = {text: index for index, text in enumerate(distinct)}
        return table[[row[clean_text(text)] for text in texts]]
