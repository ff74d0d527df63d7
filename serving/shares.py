"""What many addresses take from, so that none takes it all: places, connections, memory
for bodies.
"""

from collections import Counter
from ipaddress import ip_address


class Full(Exception):
    """There is nothing left, for anybody or for this address; the message says which."""


class Shares:
    """A whole of which every address has at most a share.

    Args:
        whole: How much there is. each: How much of it one address may hold. what: What it
            is, as refusals call it.
    """

    def __init__(self, whole: int, each: int, what: str):
        self.whole, self.each, self.what = whole, each, what
        self._held: Counter[str] = Counter()
        self._all = 0

    def take(self, address: str, amount: int = 1) -> None:
        """Hold so much more; `Full` if that is too much."""
        if self._all + amount > self.whole:
            raise Full(f"{self._all} {self.what}, which is the limit; try again in a moment.")
        if self._held[address] + amount > self.each:
            raise Full(
                f"{self._held[address]} {self.what} from one address, which is its share; try again in a moment."
            )
        self._held[address] += amount
        self._all += amount

    def give(self, address: str, amount: int = 1) -> None:
        """Hold so much less."""
        self._all -= amount
        self._held[address] -= amount
        if not self._held[address]:
            del self._held[address]  # or the table grows with everybody who ever came


def owner(address: str) -> str:
    """Whose share an address counts to: itself, or its network of 64 bits, which IPv6
    gives to every household.
    """
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    if ip.version == 4:
        return str(ip)
    if ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    return f"{int(ip) >> 64:x}::/64"
