"""The caps on what is hard to hold in one's head: what a class remembers, and the length and ways of a function.

A frozen dataclass is a row of values, and may be as wide as its subject.
"""

import ast
from collections.abc import Iterator

MAX_ATTRIBUTES, MAX_BRANCHES, MAX_FUNCTION_LINES = 12, 16, 60
# What is over one of the three today, and by its figure. It may fall, and then the line goes.
OVER = {
    "vgw_lab.bench.command._options": 17,
    "vgw_lab.drills.drill.drill": 65,
    "vgw_lab.instruments.flows.Flow": 16,
    "vgw_lab.instruments.flows.run": 18,
    "vgw_lab.measures.invariants.violations": 17,
    "vgw_lab.reports.drill_page._flows": 19,
    "vgw_lab.reports.report.show_verdicts": 20,
}


def attributes(node: ast.ClassDef) -> int:
    """How many values a class that changes remembers: fields, and what its methods set on `self`."""
    marks = [ast.unparse(mark) for mark in node.decorator_list]
    names = {
        inner.attr
        for inner in ast.walk(node)
        if isinstance(inner, ast.Attribute) and isinstance(inner.ctx, ast.Store)
        if isinstance(inner.value, ast.Name) and inner.value.id == "self"
    }
    if any(mark.startswith("dataclass") and "frozen=True" not in mark for mark in marks):
        names |= {
            ast.unparse(field.target) for field in node.body if isinstance(field, ast.AnnAssign)
        }
    return len(names)


def branches(node: ast.AST) -> int:
    """The ways through a function: one, and one more for each fork, `and` and `or` in it."""
    forks = (ast.If, ast.IfExp, ast.For, ast.While, ast.ExceptHandler, ast.match_case)
    count = 1
    for inner in ast.walk(node):
        if isinstance(inner, ast.BoolOp):
            count += len(inner.values) - 1
        elif isinstance(inner, ast.comprehension):
            count += 1 + len(inner.ifs)
        elif isinstance(inner, forks):
            count += 1
    return count


def size_problems(module: str, source: str) -> Iterator[str]:
    """Classes that remember too much, functions with too many ways or lines; OVER has what may be."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            measures = [(attributes(node), MAX_ATTRIBUTES, "attributes")]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            measures = [
                (branches(node), MAX_BRANCHES, "ways through it"),
                (lines, MAX_FUNCTION_LINES, "lines"),
            ]
        else:
            continue
        allowed = OVER.get(f"{module}.{node.name}", 0)
        for count, most, what in measures:
            if count > max(most, allowed):
                yield f"{module}.{node.name}: {count} {what}, at most {most}; divide it by its subject"
