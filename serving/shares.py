"""Divide slots, connections and memory fairly among addresses."""

from collections import Counter
from ipaddress import ip_address


class Full(Exception):
    """Nothing is left, for anybody or for this address; the message says which."""


class Shares:
    """A total of which every address holds at most a share.

    Args:
        total: How much there is.
        share: How much of it one address may hold.
        what: What it is, as refusals name it.
    """

    def __init__(self, total: int, share: int, what: str):
        self.total, self.share, self.what = total, share, what
        self._held: Counter[str] = Counter()
        self._all = 0

    def take(self, address: str, amount: int = 1) -> None:
        """Take `amount` for an address.

        Raises:
            Full: If that is too much.
        """
        if self._all + amount > self.total:
            raise Full(f"{self._all} {self.what}, which is the limit; try again in a moment.")
        if self._held[address] + amount > self.share:
            raise Full(
                f"{self._held[address]} {self.what} from one address, which is its share; "
                "try again in a moment."
            )
        self._held[address] += amount
        self._all += amount

    def give(self, address: str, amount: int = 1) -> None:
        """Give `amount` of an address back."""
        self._all -= amount
        self._held[address] -= amount
        if not self._held[address]:
            del self._held[address]  # else the table grows with every address ever seen


def owner(address: str) -> str:
    """Return whose share an address counts to.

    An IPv4 address has a share of its own. In IPv6 a /64 network has one: providers give
    every household such a network.
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
