"""Which modules of the package a function may run, read from the source by following names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import bloomdiff

PACKAGE = Path(bloomdiff.__file__).parent
Place = tuple[str, str]
"""A module (its path below the package) and a name in it; an empty name is the whole module."""


def reached(start: Place, stop: frozenset[str]) -> set[str]:
    """Modules in which something is named by what `start` names, and so on; none beyond `stop`.

    A registry stands for everything that is registered in it. Annotations name nothing.
    """
    seen, todo = {start}, [start]
    while todo:
        for place in names_of(*todo.pop()):
            if place not in seen and place[0] not in stop:
                seen.add(place)
                todo.append(place)
    return {module for module, _ in seen}


@cache
def names_of(module: str, name: str) -> frozenset[Place]:
    """Places that the definition of `name` names itself."""
    definitions, imports = contents(module)
    if name in imports:
        return frozenset({imports[name]})
    found: set[Place] = set()
    if not name:
        return frozenset((module, one) for one in definitions)
    for node in definitions.get(name, definitions.get("__getattr__", ())):
        known = imports | dict(imports_in(node))
        for part in without_annotations(node):
            if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
                target = known.get(part.value.id, ("", "?"))
                if not target[1]:
                    found.add((target[0], part.attr))
            if isinstance(part, ast.Name):
                if part.id in known:
                    found.add(known[part.id])
                elif part.id in definitions:
                    found.add((module, part.id))
            if isinstance(part, ast.Call) and getattr(part.func, "id", "") == "Registry":
                found |= registered(str(Path(module).parent), name)
    return frozenset(found)


@cache
def contents(module: str) -> tuple[dict[str, list[ast.AST]], dict[str, Place]]:
    """Definitions and imports at the top of a module, by name."""
    tree = ast.parse((PACKAGE / module).read_text())
    definitions: dict[str, list[ast.AST]] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            definitions.setdefault(node.name, []).append(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for part in (part for target in targets for part in ast.walk(target)):
                if isinstance(part, ast.Name):
                    definitions.setdefault(part.id, []).append(node)
    top = ast.Module([n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)], [])
    return definitions, dict(imports_in(top))


def imports_in(node: ast.AST) -> Iterator[tuple[str, Place]]:
    """Local name and place of all that `node` imports from the package."""
    for part in ast.walk(node):
        if isinstance(part, ast.ImportFrom) and (part.module or "").startswith("bloomdiff"):
            for alias in part.names:
                module = file_of(f"{part.module}.{alias.name}")
                place = (module, "") if module else (file_of(str(part.module)), alias.name)
                yield alias.asname or alias.name, place


def file_of(dotted: str) -> str:
    """Path below the package of a module's file; '' for what is none."""
    path = PACKAGE.joinpath(*dotted.split(".")[1:])
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.exists():
            return str(file.relative_to(PACKAGE))
    return ""


def without_annotations(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for field, value in ast.iter_fields(node):
        if field not in {"annotation", "returns"}:
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from without_annotations(child)


@cache
def registered(folder: str, registry: str) -> frozenset[Place]:
    """Modules of `folder` that register something, or that its package imports so that they do."""
    users = (
        p for p in (PACKAGE / folder).rglob("*.py") if f"{registry}.register(" in p.read_text()
    )
    imported = contents(f"{folder}/__init__.py")[1].values()
    modules = {str(p.relative_to(PACKAGE)) for p in users} | {m for m, name in imported if not name}
    return frozenset((module, "") for module in modules)
