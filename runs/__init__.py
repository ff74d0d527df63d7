"""Runs: a training from corpus to folder, an evaluation from folder to figures."""
