"""The one door to the lab: a package of its own beside the product, which no installed gateway has.

Nothing of it is imported before one of its commands is asked for.
"""

import gc
import importlib
import importlib.util
from collections.abc import Sequence

from appliance import ApplianceError

LAB = "vgw_lab"
LAB_COMMANDS = {
    "lab": "The pair, two machines and a small internet, in network namespaces or in containers.",
    "demo": "Show the pair at work: a fresh lab, pings, a power cut, and what it cost.",
    "drill": "Drill the pair you run: faults on its MASTER, measured from a machine behind it.",
    "bench": "Measure the pair beside the ways in which people build one today, and draw the result.",
}
# What to say of a command where the lab is missing.
NO_LAB = (
    "{}: the lab is no part of an installed gateway; it comes with the source: `make demo` in a "
    "checkout shows it, and its .venv/bin/vgw has this command"
)


def is_there() -> bool:
    """Whether the lab can be imported; that it can is not tried."""
    return importlib.util.find_spec(LAB) is not None


def run(words: Sequence[str]) -> None:
    """Run one of the lab's commands: its name and what follows. Raises ApplianceError without a lab."""
    if not is_there():
        raise ApplianceError(NO_LAB.format(words[0]))
    try:
        lab = importlib.import_module(f"{LAB}.commands.commands")
    except ModuleNotFoundError as error:
        raise ApplianceError(
            f"{words[0]}: the Python package '{error.name}' is missing, which the lab needs; "
            "`pip install --editable '.[lab]'` in the checkout brings it"
        ) from None
    gc.enable()  # a lab may live for hours
    lab.run(words)
