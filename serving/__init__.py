"""The demo page and the HTTP endpoint: `emonet serve`."""
