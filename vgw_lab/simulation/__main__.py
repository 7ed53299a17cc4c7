"""`python -m vgw_lab.simulation`: live through many histories, and tell the first that breaks an invariant."""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

from vgw_lab.simulation import pairs, story
from vgw_lab.simulation.faults import Fault
from vgw_lab.simulation.histories import History, Violation, tell
from vgw_lab.simulation.shrink import shortest

CHUNK = 50  # histories that a process lives through before it is heard


def main() -> None:
    """End with 1 where a history breaks an invariant."""
    given = _options().parse_args()
    if given.replay is not None:
        print(story.written(_replayed(given.replay, given.pair, given.faults)))
        return
    began, found = time.monotonic(), list(_violations(given.seed, given.histories, given.processes))
    took = time.monotonic() - began
    kinds = Counter(violation.invariant for _, violation in found)
    for seed, violation in _first_of_each(found):
        print(story.written(shortest(History.of(seed), violation)[0]), end="\n\n")
    for invariant, times in kinds.most_common():
        seeds = [str(seed) for seed, violation in found if violation.invariant == invariant]
        print(f"{times} times: {invariant} (seeds {', '.join(seeds[:12])})")
    rate = given.histories / took
    print(f"{given.histories} histories of a minute, {len(found)} violations, {rate:.0f} a second")
    sys.exit(1 if found else 0)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=story.PROGRAM, description="Simulate many histories of a pair."
    )
    parser.add_argument("--histories", type=int, default=1000, metavar="N")
    parser.add_argument("--seed", type=int, default=0, help="of the first; the others count up")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument(
        "--replay", type=int, metavar="SEED", help="tell this one history as a story"
    )
    parser.add_argument("--pair", choices=tuple(pairs.KINDS), help="another kind of pair for it")
    parser.add_argument("--faults", help="others for it: at,kind,node,seconds;…")
    return parser


def _replayed(seed: int, kind: str | None, faults: str | None) -> History:
    history = History.of(seed)
    if kind:
        history = replace(history, kind=kind)
    if faults is not None:
        rows = [row.split(",") for row in faults.split(";") if row]
        chosen = [Fault(float(at), what, int(node), float(s)) for at, what, node, s in rows]
        history = replace(history, faults=tuple(chosen))
    return history


def broken(first: int, number: int) -> list[tuple[int, Violation]]:
    """Of so many seeds those whose history breaks an invariant."""
    found = ((seed, tell(History.of(seed))) for seed in range(first, first + number))
    return [(seed, violation) for seed, violation in found if violation]


def _violations(seed: int, histories: int, processes: int) -> Iterator[tuple[int, Violation]]:
    firsts = range(seed, seed + histories, CHUNK)
    sizes = [min(CHUNK, seed + histories - first) for first in firsts]
    if processes == 1:
        for first, size in zip(firsts, sizes, strict=True):
            yield from broken(first, size)
        return
    with ProcessPoolExecutor(processes) as pool:
        for found in pool.map(broken, firsts, sizes):
            yield from found


def _first_of_each(found: list[tuple[int, Violation]]) -> list[tuple[int, Violation]]:
    first: dict[str, tuple[int, Violation]] = {}
    for seed, violation in found:
        first.setdefault(violation.invariant, (seed, violation))
    return list(first.values())


if __name__ == "__main__":
    main()
