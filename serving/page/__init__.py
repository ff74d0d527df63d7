"""The demo page (Gradio)."""
