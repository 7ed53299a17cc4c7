"""What the kernel would do now with a packet from inside: nothing is sent, and nothing changed."""

from collections.abc import Mapping
from dataclasses import dataclass

from appliance import rtnetlink
from appliance.addresses import Address
from appliance.drivers.routes import Link
from appliance.rtnetlink import Ruling, WayEntry


@dataclass(frozen=True)
class Passage:
    """What became of the question: the way, or the kernel's word why there is none; and the name of the way's interface."""

    destination: Address
    way: WayEntry | None
    refused: str = ""
    interface: str = ""


@dataclass(frozen=True)
class Question:
    """A packet from `source`, which comes in by `lan` and bears our mark, to each of some destinations.

    The answer should be `wan`, the interface there; `first_rule` is the priority of our first routing rule.
    """

    source: Address
    destinations: tuple[Address, ...]
    lan: str
    wan: str
    mark: int
    first_rule: int


def passages(question: Question, links: Mapping[str, Link]) -> tuple[Passage, ...]:
    """What the kernel answers for each destination; `links` are this machine's."""
    names = {link.index: name for name, link in links.items()}
    return tuple(_passage(question, each, links, names) for each in question.destinations)


def _passage(
    question: Question, destination: Address, links: Mapping[str, Link], names: Mapping[int, str]
) -> Passage:
    lan = links[question.lan].index
    try:
        way = rtnetlink.way(question.source, destination, lan, question.mark)
    except OSError as error:
        return Passage(destination, None, error.strerror or str(error))
    return Passage(destination, way, interface=names.get(way.link, f"interface {way.link}"))


def rulings() -> tuple[Ruling, ...]:
    """All routing rules of this network namespace, in the order in which they count."""
    return rtnetlink.rulings()
