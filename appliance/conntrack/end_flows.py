"""Ends the flows that a former file let pass and the present one does not; prints how many of each kind there were.

The agent runs it as a process of its own when the rules of the present file are in force, for reading a large table takes
a second or two. What to judge by comes on standard input.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator

from appliance import ApplianceError
from appliance.conntrack import passing, table
from appliance.conntrack.passing import Lack, Passing
from appliance.status import typed_json

PASSES = 3  # over the table, at most: entries that move while it is read may be missed


def words(former: Passing, now: Passing) -> str:
    """What to say on its standard input."""
    return json.dumps({"former": typed_json.plain(former), "now": typed_json.plain(now)})


def end(former: Passing, now: Passing) -> Counter[Lack]:
    """End them in the kernel's table; how many of each kind. Raises what `table.remove` does."""
    counts: Counter[Lack] = Counter()

    def named() -> Iterator[list[bytes]]:
        for flows in table.connections():
            found = [(flow, passing.ended(former, now, flow)) for flow in flows]
            counts.update(lack for _, lack in found if lack)
            yield [flow.name for flow, lack in found if lack]

    for _ in range(PASSES):
        if not table.remove(named()).sent:
            break
    return counts


def main() -> None:
    """Do it, and print the counts as a JSON object; an error is told, and ends it with 1."""
    try:
        given = json.load(sys.stdin)
        former, now = (typed_json.read(Passing, given[name]) for name in ("former", "now"))
        sys.stdout.write(json.dumps(end(former, now)) + "\n")
    except ApplianceError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
