"""Exports and copies of messengers."""
