"""What people read: tables of a lab's state and of drills' verdicts, coloured on a terminal only."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from appliance import ApplianceError
from vgw_lab.drills.course import Check
from vgw_lab.drills.verdict import Verdict, summary
from vgw_lab.faults.fault import Fault
from vgw_lab.worlds.running import Lab

COLOURS = {"MASTER": "green", "BACKUP": "cyan", "FAULT": "red", "off": "dim"}


def console() -> Console:
    """Where tables go: plain text when nobody watches, never cut to a terminal that is not there."""
    found = Console(highlight=False)
    if not found.is_terminal:
        found.width = 120
    return found


def status(lab: Lab) -> dict[str, Any]:
    """A lab's state as data, for JSON and for the table."""
    holders = lab.holders()
    gateways = [spec.name for spec in lab.topology.gateways]
    nodes: dict[str, dict[str, Any]] = {}
    for spec in lab.topology.nodes:
        on = lab.node(spec.name).on
        nodes[spec.name] = {
            "kind": spec.kind,
            "on": on,
            "addresses": [str(wire.address) for wire in spec.wires if wire.address],
        }
        if spec.name in gateways:
            told = lab.status(spec.name)
            nodes[spec.name] |= {
                "role": lab.role(spec.name),
                "holds_vgw": spec.name in holders,
                "sentence": told.sentence if told else "",
            }
    return {
        "name": lab.name,
        "engine": lab.engine,
        "profile": lab.topology.vgw.profile,
        "vgw": str(lab.topology.vgw.address.ip),
        "nodes": nodes,
        "capture": _capture(lab),
    }


def _capture(lab: Lab) -> dict[str, Any] | None:
    """The capture as data; None where the internet is off, or is the real one."""
    try:
        return asdict(lab.capture())
    except ApplianceError:
        return None


def show_status(found: dict[str, Any]) -> None:
    """Print a lab's state."""
    table = Table(title=_title(found), title_justify="left")
    for heading in ("node", "kind", "role", "addresses", "says"):
        table.add_column(heading)
    for name, node in found["nodes"].items():
        role = node.get("role", "on") if node["on"] else "off"
        colour = COLOURS.get(role, "")
        addresses = list(node["addresses"])
        if node.get("holds_vgw"):
            addresses.append(f"{found['vgw']} (VGW)")
        table.add_row(
            name,
            node["kind"],
            f"[{colour}]{role}[/]" if colour else role,
            "\n".join(addresses),
            node.get("sentence", ""),
        )
    out = console()
    out.print(table)
    seen = found["capture"]
    if seen is None:
        out.print("What the internet saw is not known: the lab's own is off, or not in it.")
        return
    out.print(
        f"The internet saw {seen['translated']} translated packets "
        f"and {seen['untranslated']} untranslated ones."
    )


def _title(found: dict[str, Any]) -> str:
    title = f"lab '{found['name']}', profile {found['profile']}"
    return title if found["engine"] == "namespaces" else f"{title}, in {found['engine']}"


class Stage:
    """Where a long show tells what it does: a spinner on a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        self._out = console()

    @contextmanager
    def act(self, sentence: str) -> Iterator[None]:
        """Something that takes a while."""
        self._out.print(f"- {sentence}")
        if self._out.is_terminal:
            with self._out.status(sentence):
                yield
        else:
            yield

    def check(self, check: Check) -> None:
        """A check, as it is done."""
        mark = "[green]ok[/]  " if check.passed else "[red]FAIL[/]"
        self._out.print(f"  {mark} {check.what}: {check.seen}")

    def done(self, sentence: str) -> None:
        """A sentence at the end of something."""
        self._out.print(sentence)


def show_verdicts(lab: Lab, verdicts: Sequence[Verdict]) -> None:
    """Print what drills cost, against what the profile promises, and what was broken."""
    # Without borders it fits a terminal of 80 columns, with every word whole.
    table = Table(
        title=f"profile {lab.topology.vgw.profile}, times in ms",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=0,
        pad_edge=False,
        show_edge=False,
    )
    for heading in ("drill", "MASTER", "lost", "gap", "allowed", "takeover", "formula", "return"):
        left = heading in ("drill", "MASTER")
        table.add_column(heading, justify="left" if left else "right", no_wrap=True)
    table.add_column("promise", no_wrap=True)
    for verdict in verdicts:
        table.add_row(
            verdict.drill,
            verdict.after,
            f"{verdict.lost}/{verdict.sent}",
            f"{verdict.gap:.0f}",
            "-" if verdict.bar is None else f"{verdict.bar:.0f}",
            "-" if verdict.takeover is None else f"{verdict.takeover:.0f}",
            f"{verdict.prediction:.0f}",
            f"{verdict.return_gap:.0f}",
            "[green]held[/]" if verdict.held else "[red]broken[/]",
        )
    out = console()
    out.print(table)
    if any(verdict.flows for verdict in verdicts):
        out.print()
        out.print(_flows(verdicts))
    for verdict in verdicts:
        for sentence in verdict.broken:
            out.print(f"{verdict.drill}: broken: {sentence}")
    for sentence in dict.fromkeys(remark for verdict in verdicts for remark in _remarks(verdict)):
        out.print(sentence)
    for name in dict.fromkeys(verdict.drill for verdict in verdicts):
        if name in lab.remarks:
            out.print(f"{name}: {lab.remarks[name]}")
        gaps = [verdict.gap for verdict in verdicts if verdict.drill == name]
        if len(gaps) > 1:
            figures = summary(gaps)
            out.print(
                f"{name}, {len(gaps)} times: longest gap {figures['median']:.0f} ms in the median, "
                f"{figures['min']:.0f} to {figures['max']:.0f} ms"
            )


def show_faults(listed: Iterable[Fault]) -> None:
    """Print which drills there are."""
    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False)
    table.add_column("drill", no_wrap=True)
    table.add_column("rows", no_wrap=True)
    table.add_column("what happens to the MASTER")
    for one in listed:
        table.add_row(one.name, ", ".join(map(str, one.rows)), one.what)
    console().print(table)


def _remarks(verdict: Verdict) -> Iterator[str]:
    """What a verdict tells besides its row and what it broke."""
    for what, value in verdict.figures.items():
        yield f"{verdict.drill}: {what}: {value:g}"
    for node, programs in verdict.restarts.items():
        for program, times in programs.items():
            yield f"{verdict.drill}: {program} on {node} ended by itself: {times} times"
    for sentence in verdict.limits:
        yield f"{verdict.drill}: known limit: {sentence}"


def _flows(verdicts: Sequence[Verdict]) -> Table:
    """How the flows fared: broken and moved ones, and the longest wait of one that lives."""
    table = Table(
        title="flows: takeover/return, stalls in ms",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=0,
        pad_edge=False,
        show_edge=False,
    )
    for heading in ("drill", "kind", "flows", "broken", "moved", "stall"):
        left = heading in ("drill", "kind")
        table.add_column(heading, justify="left" if left else "right", no_wrap=True)
    for verdict in verdicts:
        phases = list(verdict.flows.values())
        for kind in phases[0] if phases else ():
            tallies = [phase[kind] for phase in phases]
            table.add_row(
                verdict.drill,
                kind,
                str(tallies[0].flows),
                "/".join(str(sum(tally.broken.values())) for tally in tallies),
                "/".join(str(tally.changed) for tally in tallies),
                "/".join(f"{tally.stall_ms:.0f}" for tally in tallies),
            )
    return table


def verdicts_as_data(lab: Lab, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Drills as data, for JSON: each verdict, and the figures of each kind together."""
    names = dict.fromkeys(verdict.drill for verdict in verdicts)
    return {
        "engine": lab.engine,
        "remarks": {name: lab.remarks[name] for name in names if name in lab.remarks},
        "profile": lab.topology.vgw.profile,
        "held": all(verdict.held for verdict in verdicts),
        "summary": {
            name: {
                figure: summary([getattr(v, figure) for v in verdicts if v.drill == name])
                for figure in ("gap", "lost", "return_gap")
            }
            for name in names
        },
        "verdicts": [asdict(verdict) for verdict in verdicts],
    }
