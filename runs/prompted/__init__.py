"""Runs of prompted models."""
