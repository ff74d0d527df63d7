"""transformers' own tests of models and configurations, over tiny EmoNets.

`test_transformers_suite.py` runs them; pytest does not collect this file by itself,
because importing it may fetch transformers' source archive.
"""

from functools import partial
from typing import Any, ClassVar
from unittest import TestCase, mock

import torch
from tiny import DIALOGUE, LABEL_MAPS, OTHER, SPEAKERS, make_tokenizer, text_config
from tiny_prompted import LETTERS
from transformers_suite import load_suite, skip_reason

from emonet.configuration_emonet import EmoNetConfig
from emonet.modeling_emonet import EmoNetForSequenceClassification, EmoNetModel
from emonet.processing_emonet import EmoNetProcessor, pad_rows
from emonet.prompted.configuration import PromptedEmoNetConfig
from emonet.prompted.modeling import PromptedEmoNet
from emonet.prompted.processing import PromptedProcessor

modeling, configuration = load_suite()
# The mixin skips what a class without a loss can't do by its name.
modeling.MODEL_MAPPING_NAMES = {**modeling.MODEL_MAPPING_NAMES, "emonet": "EmoNetModel"}
TOKENIZER = make_tokenizer()
# Tokens are still known when the mixin cuts the last 15 off.
SIZES: dict[str, Any] = {"num_hidden_layers": 2, "vocab_size": len(TOKENIZER) + 20}


class EncoderTester:
    """What the mixin asks for a configuration and its inputs.

    Args:
        family: Of the backbone.
        fields: Those of `EmoNetConfig`.
    """

    is_training = True
    num_hidden_layers, num_attention_heads, hidden_size, batch_size = 2, 4, 32, 2

    def __init__(self, family: str, **fields: Any):
        self.family, self.fields = family, fields
        self.processor = EmoNetProcessor(TOKENIZER, self.get_config(), SPEAKERS)
        self.seq_length = self.get_inputs()["input_ids"].shape[1]

    def get_config(self) -> Any:
        backbone = text_config(self.family, **SIZES)
        return EmoNetConfig(text_config=backbone, num_speakers=3, **LABEL_MAPS, **self.fields)

    def get_inputs(self) -> dict[str, torch.Tensor]:
        inputs = self.processor([DIALOGUE, OTHER])
        return {name: tensor for name, tensor in inputs.items() if name != "labels"}

    def prepare_config_and_inputs_for_common(self) -> tuple[Any, dict[str, torch.Tensor]]:
        return self.get_config(), self.get_inputs()


class PromptedTester(EncoderTester):
    """The same of the prompted form."""

    batch_size = 3

    def __init__(self, family: str, **fields: Any):
        self.family, self.fields = family, fields
        self.processor = PromptedProcessor(TOKENIZER, self.get_config())
        self.seq_length = self.get_inputs()["input_ids"].shape[1]

    def get_config(self) -> Any:
        labels = dict(enumerate(LETTERS))
        return PromptedEmoNetConfig(
            text_config=text_config(self.family, **SIZES), id2label=labels, **self.fields
        )

    def get_inputs(self) -> dict[str, torch.Tensor]:
        prompts = [self.processor.prompts.tokens(DIALOGUE, index) for index in range(self.batch_size)]
        length = max(map(len, prompts))
        mask = pad_rows([[1] * len(prompt) for prompt in prompts], length, 0)
        return {"input_ids": pad_rows(prompts, length, TOKENIZER.pad_token_id), "attention_mask": mask}


class Suite(modeling.ModelTesterMixin):  # type: ignore[misc]
    """The mixin, and the tester of configurations."""

    all_model_classes: ClassVar[tuple[type, ...]] = (EmoNetModel, EmoNetForSequenceClassification)
    _is_composite = True
    make_tester: ClassVar[Any]

    def setUp(self) -> None:
        if reason := skip_reason(type(self).__name__, self._testMethodName):
            self.skipTest(f"EmoNet: {reason}")
        self.model_tester = self.make_tester()
        for model_class in self.all_model_classes:
            patched = mock.patch.object(model_class, "_processor", self.model_tester.processor)
            patched.start()
            self.addCleanup(patched.stop)

    def _prepare_for_class(self, inputs: Any, model_class: Any, return_labels: bool = False) -> Any:
        inputs = super()._prepare_for_class(inputs, model_class, return_labels)
        if return_labels:
            turns = inputs.get("speaker_ids", torch.zeros(self.model_tester.batch_size, 1))
            inputs["labels"] = torch.where(turns >= 0, 1, -100)
        return inputs

    def test_config(self) -> None:
        config = self.model_tester.get_config()
        fields = {name: getattr(config, name) for name in (*self.model_tester.fields, "dataset_version")}
        tester = configuration.ConfigTester(self, type(config), has_text_modality=False, **fields)
        tester.run_common_tests()


class BertTest(Suite, TestCase):
    make_tester = partial(EncoderTester, "bert")


class RobertaSharedMemoryTest(Suite, TestCase):
    make_tester = partial(EncoderTester, "roberta", memory_encoder="shared")


class LlamaTest(Suite, TestCase):
    make_tester = partial(EncoderTester, "llama", memory_encoder="trained", pooling="last")


class PerTurnTest(Suite, TestCase):
    make_tester = partial(EncoderTester, "bert", context_mode="per_turn", memory_encoder="shared")


class FrozenHeadsTest(Suite, TestCase):
    make_tester = partial(
        EncoderTester,
        "bert",
        freeze_backbone=True,
        standardize=True,
        head_members=2,
        head_hidden_size=8,
        identity_position="turn",
    )


class PromptedTest(Suite, TestCase):
    all_model_classes = (PromptedEmoNet,)
    make_tester = partial(PromptedTester, "llama")
