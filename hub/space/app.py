"""The demo page and the JSON endpoint of this Space."""

from emonet.serving.server import serve

if __name__ == "__main__":
    serve("$model", host="0.0.0.0", port=7860)
