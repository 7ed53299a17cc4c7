"""A run: what is to be measured, how long it will take, and the result as it grows."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from appliance import ApplianceError, __version__, system
from vgw_lab.bench import cost, forwarding, outages, router, setups, verdicts
from vgw_lab.reports import host
from vgw_lab.worlds import entry

SECTIONS = ("outages", "tables", "throughput", "connections", "mappings", "cost")
# Rows of these sections lie together: both are outages, at an empty and at a filled table.
KEYS = ("outages", "throughput", "connections", "mappings", "cost")
FILE = "bench.json"
_SPARE_ENTRIES = 10_000
_MOST = "net.netfilter.nf_conntrack_max"
_FLOOD, _QUICK_FLOOD = 50_000, 10_000
_LEARNED = 100_000
Row = dict[str, Any]
Result = dict[str, Any]


@dataclass(frozen=True)
class Options:
    """What was asked for. `name` is the labs'."""

    runs: int
    setups: tuple[str, ...]
    sections: tuple[str, ...]
    entries: tuple[int, ...]
    quick: bool
    name: str

    @property
    def table_runs(self) -> int:
        """How often each filled table is met: in two rounds of five, but thrice at least, if there are."""
        return max(2 * self.runs // 5, min(self.runs, 3))


@dataclass(frozen=True)
class Part:
    """A piece of work: where its rows go, how many are to come, and about how long each takes."""

    key: str
    title: str
    rows: int
    seconds: float
    work: Callable[[Callable[[str], None]], Iterator[Row]]


def room(options: Options) -> tuple[tuple[int, ...], list[str]]:
    """The table sizes that this machine has room for, and a sentence for each one it has not.

    A kernel that does not say yet, for its module is not loaded, is asked again when a table is filled.
    """
    told = entry.sysctls([_MOST]).get(_MOST)
    if told is None:
        return options.entries, []
    most = int(told)
    found, missing = [], []
    for entries in options.entries:
        if most >= entries + _SPARE_ENTRIES:
            found.append(entries)
        else:
            missing.append(
                f"tables: {entries:,} entries were left out: {_MOST} is {most}, they need "
                f"{entries + _SPARE_ENTRIES}; an administrator can allow it with "
                f"`sysctl -w {_MOST}={entries + _SPARE_ENTRIES}`"
            )
    return tuple(found), missing


def parts(options: Options, sizes: Sequence[int]) -> list[Part]:
    """All work of a run, in its order."""
    chosen = setups.chosen(options.setups)
    episodes = []
    if "outages" in options.sections:
        episodes += outages.empty(chosen, options.runs)
    if "tables" in options.sections:
        episodes += outages.filled(chosen, options.table_runs, sizes)
    found = [_outage(options, one) for one in outages.by_rounds(episodes)]
    bench = {
        "throughput": (3, 6.5, _throughput),
        "connections": (2, 9.0, _connections),
        "mappings": (3, 6.0, _mappings),
    }
    for key, (variants, seconds, work) in bench.items():
        if key in options.sections:
            rows = options.runs * variants
            found.append(Part(key, key, rows, seconds, _bound(work, options)))
    if "cost" in options.sections:
        found.append(Part("cost", "cost", 1, 45.0, _bound(_cost, options)))
    return found


def _bound(
    work: Callable[[Options, Callable[[str], None]], Iterator[Row]], options: Options
) -> Callable[[Callable[[str], None]], Iterator[Row]]:
    return lambda say: work(options, say)


def _outage(options: Options, episode: outages.Episode) -> Part:
    def work(say: Callable[[str], None]) -> Iterator[Row]:
        try:
            found = outages.run(options.name, episode, say)
        except ApplianceError as error:  # on a busy machine not all flows open in time
            say(f"{title}: once more, for: {error}")
            found = outages.run(options.name, episode, say)
        yield from map(asdict, found)

    title = f"{episode.setup.name}, {episode.entries} entries, round {episode.round + 1}"
    seconds = 7.0 * len(episode.faults) + 8.0 + episode.entries / 12_000
    rows = len(episode.faults)
    return Part("outages", title, rows, seconds / rows, work)


def _throughput(options: Options, say: Callable[[str], None]) -> Iterator[Row]:
    if system.find_program("iperf3") is None:
        raise ApplianceError("iperf3: program not found; install Debian's iperf3")
    with router.routing(options.name) as one:
        yield from forwarding.throughput(one, options.runs, 1.0 if options.quick else 2.0, say)


def _connections(options: Options, say: Callable[[str], None]) -> Iterator[Row]:
    with router.routing(options.name) as one:
        yield from forwarding.connections(one, options.runs, _flows(options), say)


def _mappings(options: Options, say: Callable[[str], None]) -> Iterator[Row]:
    with router.routing(options.name) as one:
        yield from forwarding.mappings(one, options.runs, _flows(options), say)


def _flows(options: Options) -> int:
    return _QUICK_FLOOD if options.quick else _FLOOD


def _cost(options: Options, say: Callable[[str], None]) -> Iterator[Row]:
    yield from cost.measure(
        options.name,
        2 * _QUICK_FLOOD if options.quick else _LEARNED,
        3.0 if options.quick else 20.0,
        say,
    )


def begin(options: Options, command: str) -> Result:
    """A result without rows: what was asked for, of which machine."""
    return {
        "vgw": __version__,
        "quick": options.quick,
        "command": command,
        "began": system.time_of_day(system.wall()),
        "seconds": 0.0,
        "machine": host.described(["iperf3"]),
        "options": {**asdict(options), "table_runs": options.table_runs},
        **{key: [] for key in KEYS},
        "missing": [],
        "verdicts": [],
    }


def work(
    result: Result, todo: Sequence[Part], out: Path, tell: Callable[[Part, str, float], None]
) -> None:
    """Do all parts; `tell` hears what is done now, and how many seconds of the plan are behind.

    The file is written again after each row, so that a run which is broken off leaves what it has.
    """
    began = time.monotonic()
    for part in todo:
        done = 0

        def say(sentence: str, part: Part = part) -> None:
            tell(part, sentence, 0.0)

        try:
            for row in part.work(say):
                result[part.key].append(row)
                done += 1
                if done <= part.rows:
                    tell(part, "", part.seconds)
                result["seconds"] = round(time.monotonic() - began, 1)
                save(result, out)
        except ApplianceError as error:
            result["missing"].append(f"{part.title}: {error}")
            tell(part, f"{part.title}: left out: {error}", part.seconds * (part.rows - done))
    result["verdicts"] = verdicts.judge(result)
    save(result, out)


def save(result: Result, out: Path) -> None:
    """Put the result in place, whole."""
    system.replace(out / FILE, json.dumps(result, indent=1) + "\n", 0o644)
