"""Backbones that work without a Hub."""
