"""Serve the demo page and the JSON endpoint of this Space.

A secret EMONET_AUTH (NAME:PASSWORD) makes both require a login.
"""

import os

from emonet.serving.server import serve

if __name__ == "__main__":
    login = os.environ.get("EMONET_AUTH") or None
    serve("$model", host="0.0.0.0", port=7860, login=login, frames=("https://huggingface.co",))
