"""The language-model form: LoRA, speaker store, biographies, prompts. Heavy libraries are imported where they are used."""
