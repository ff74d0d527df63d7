"""Measure speed and memory against published code and the bare backbone."""
