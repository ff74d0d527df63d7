"""Speed and memory against the published loop and the bare backbone: `emonet speed`."""
