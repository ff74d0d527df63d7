"""The cache folder."""

import os
from pathlib import Path


def cache_root() -> Path:
    """The cache folder, which holds embedded backbones, cached features and knowledge.

    ``$EMONET_CACHE``, else ``emonet`` under ``$XDG_CACHE_HOME`` (default ``~/.cache``).
    """
    if configured := os.environ.get("EMONET_CACHE"):
        return Path(configured).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "emonet"
