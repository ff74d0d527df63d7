"""Types of command-line arguments that say what they expect."""

import argparse
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network


def integer(least: int, most: int = 2**31 - 1) -> Callable[[str], int]:
    """A whole number from `least` to `most`."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"{text[:40]!r} is no whole number from {least} to {most}")
        return number

    return read


def number(least: float, most: float) -> Callable[[str], float]:
    """A number from `least` to `most`."""

    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        if not least <= number <= most:  # nan is nowhere
            raise argparse.ArgumentTypeError(f"{text[:40]!r} is no number from {least:g} to {most:g}")
        return number

    return read


def network(text: str) -> IPv4Network | IPv6Network:
    """An IP address, or a network of them."""
    try:
        return ip_network(text, strict=False)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text[:40]!r} is no address like 10.0.0.7 or 10.0.0.0/8"
        ) from error
