"""A plan as text that a person can read and a golden file can hold."""

from appliance.drivers import links, nftables, routes, xfrm
from appliance.planning.wanted import Plan


def text(plan: Plan) -> str:
    """The whole plan, a section a kind of object, in the words of the programs that know them."""
    sections = [
        ("ruleset", nftables.text(plan.ruleset) if plan.ruleset else "none"),
        *([("links", "\n".join(map(links.say, plan.links)))] if plan.links else []),
        ("sysctls", "\n".join(f"{key} = {value}" for key, value in plan.sysctls)),
        ("routes", "\n".join(map(routes.say, plan.routes))),
        ("rules", "\n".join(map(routes.say, plan.rules))),
        ("policies", xfrm.say(plan.blocks, plan.closed)),
        ("forwarding", " ".join(plan.forwarding) or "off"),
        *((file.name, file.text) for file in plan.files),
    ]
    return "\n".join(f"===== {name} =====\n{body.strip()}\n" for name, body in sections)
