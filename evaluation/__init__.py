"""Metrics, and what a run leaves behind."""
