"""A plan as text that a person can read and a golden file can hold."""

from collections.abc import Callable, Iterable

from appliance.planning.ruleset import Ruleset
from appliance.planning.wanted import Plan


def text(plan: Plan, rules: Callable[[Ruleset], str]) -> str:
    """The whole plan, a section a kind of object, in the words of the programs that know them.

    `rules` says the ruleset in the words of the node's firewall.
    """
    sections = [
        ("ruleset", rules(plan.ruleset) if plan.ruleset else "none"),
        *([("links", _lines(plan.links))] if plan.links else []),
        ("sysctls", "\n".join(f"{key} = {value}" for key, value in plan.sysctls)),
        ("routes", _lines(plan.routes)),
        ("rules", _lines(plan.rules)),
        ("policies", _lines(plan.policies)),
        ("forwarding", " ".join(plan.forwarding) or "off"),
        *((file.name, file.text) for file in plan.files),
    ]
    return "\n".join(f"===== {name} =====\n{body.strip()}\n" for name, body in sections)


def _lines(wanted: Iterable[object]) -> str:
    return "\n".join(map(str, wanted))
