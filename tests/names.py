"""One name for one thing: what two modules of the product may not both call by one name."""

import ast
from collections.abc import Iterator, Mapping

PRODUCT = "appliance"


def name_problems(sources: Mapping[str, str]) -> Iterator[str]:
    """Class names that two modules of the product have, and names of constants with two values."""
    classes: dict[str, str] = {}
    constants: dict[str, tuple[str, str]] = {}
    for module, source in sources.items():
        if module.partition(".")[0] != PRODUCT:
            continue
        tree = ast.parse(source)
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                if node.name in classes:
                    yield f"{module}: class {node.name} is one of {classes[node.name]} too"
                classes[node.name] = module
        for name, value in constants_of(tree):
            first, former = constants.setdefault(name, (module, value))
            if former != value:
                yield f"{module}: {name} is {value} here and {former} in {first}"


def constants_of(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The constants of a module, each with what is written as its value."""
    for node in tree.body:
        pairs: list[tuple[ast.expr, ast.expr]] = []
        if isinstance(node, ast.AnnAssign) and node.value:
            pairs = [(node.target, node.value)]
        elif isinstance(node, ast.Assign):
            target, value = node.targets[0], node.value
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                pairs = list(zip(target.elts, value.elts, strict=False))
            else:
                pairs = [(target, value)]
        for name, value in pairs:
            if isinstance(name, ast.Name) and name.id.strip("_").isupper():
                yield name.id, ast.unparse(value)
