"""Find the uses of names that Django, DRF and the other LIBRARIES keep to themselves.

Counted, once for each place:

- an attribute that begins with one underscore and that a library defines, unless the module itself defines it; on
  `self`, `cls` and `super()`, unless any class of the checkout defines it and no library's base class does
- such a name in `getattr(row, "_name")`, its like, and `vars(row).pop("_name")`
- a method that overrides a private one of a library's class
- an import of such a name, or from a module of UNDOCUMENTED
- an attribute of a queryset's `.query`, and one named in INTERNAL: without an underscore, and yet not documented

Names of DOCUMENTED are public in spite of their underscore, as `_fields` of a named tuple. The libraries' source is
read as it is installed, so that two checkouts are measured alike.
"""

import ast
import importlib.util
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from pathlib import Path

LIBRARIES = ("django", "rest_framework", "django_filters", "drf_spectacular", "asgiref", "psycopg", "psycopg_pool")
SERVERS = ("uvicorn",)
UNDOCUMENTED = ("django.db.models.sql", "django.db.models.query.", "psycopg._", "psycopg_pool._")
DOCUMENTED = {"_meta", "_state", "_default_manager", "_base_manager", "_fields"}
INTERNAL = {"UpdateQuery", "get_compiler", "execute_returning_sql", "add_update_values", "context_to_thread_executor"}
NOT_READ = {"tests", "gis", "locale"}
BY_NAME = {"getattr", "setattr", "hasattr", "delattr"}
THEMSELVES = {"self", "cls", "super"}

type Use = tuple[int, str]  # line and name


class Names:
    """The private names that some modules define: all, those of each class, and the bases of the classes."""

    def __init__(self, trees: Iterable[ast.Module], owners: Collection[str] | None = THEMSELVES) -> None:
        """Take an attribute that is set on anything else than the `owners` for somebody else's. None: for its own."""
        self.all: set[str] = set()
        self.of_class: dict[str, set[str]] = defaultdict(set)
        self.bases: dict[str, set[str]] = defaultdict(set)
        for tree in trees:
            self.all |= _definitions(tree, owners)
            aliases = _aliases(tree)
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    self.of_class[node.name] |= _definitions(node, owners)
                    self.bases[node.name] |= {aliases.get(name, name) for name in _base_names(node)}

    def ancestors(self, classes: set[str]) -> set[str]:
        """Return the names of these classes and of all classes above them."""
        seen: set[str] = set()
        while classes := classes - seen:
            seen |= classes
            classes = set().union(*(self.bases.get(name, ()) for name in classes))
        return seen


@cache
def library_names(libraries: tuple[str, ...]) -> Names:
    return Names(_library_trees(libraries), owners=None)


def _library_trees(libraries: tuple[str, ...]) -> Iterator[ast.Module]:
    for name in libraries:
        spec = importlib.util.find_spec(name)
        for folder in (spec and spec.submodule_search_locations) or ():
            for path in Path(folder).rglob("*.py"):
                if not NOT_READ & set(path.parts):
                    yield ast.parse(path.read_text())


def find_private_uses(modules: dict[str, ast.Module], libraries: tuple[str, ...] = LIBRARIES) -> list[str]:
    """Return each use as `path:line: name`, in the order of the modules."""
    ours, library = Names(modules.values()), library_names(libraries)
    uses = ((path, use) for path, tree in modules.items() for use in _uses_in_module(tree, ours, library))
    return [f"{path}:{line}: {name}" for path, (line, name) in uses]


def _uses_in_module(tree: ast.Module, ours: Names, library: Names) -> list[Use]:
    inherited = {
        node: _inherited_names(node, tree, ours, library) for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    }
    overridden = set().union(*inherited.values())
    here = _definitions(tree) - overridden
    uses = {(use.lineno, use.name) for node, names in inherited.items() for use in _methods(node) if use.name in names}
    for node in ast.walk(tree):
        for line, name, of_itself in _uses(node):
            if (
                not _is_private(name)
                or name in overridden
                or (name in library.all and name not in (ours.all if of_itself else here))
            ):
                uses.add((line, name))
        uses |= set(_imports(node))
    return sorted(uses)


def _inherited_names(node: ast.ClassDef, tree: ast.Module, ours: Names, library: Names) -> set[str]:
    """Return the private names that a class of ours inherits from a library."""
    aliases = _aliases(tree)
    above = ours.ancestors({aliases.get(name, name) for name in _base_names(node)})
    return set().union(*(library.of_class.get(name, ()) for name in library.ancestors(above)))


def _methods(node: ast.ClassDef) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (item for item in node.body if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)))


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and len(name) > 1 and name not in DOCUMENTED


def _definitions(tree: ast.AST, owners: Collection[str] | None = THEMSELVES) -> set[str]:
    """Return the private functions, classes, variables and attributes that the code beneath a node defines."""
    return {name for node in ast.walk(tree) if _is_private(name := _defined_name(node, owners))}


def _defined_name(node: ast.AST, owners: Collection[str] | None) -> str:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.Attribute(attr=name, value=owner, ctx=ast.Store()) if owners is None or _own_name(owner) in owners:
            return name
        case ast.Name(id=name, ctx=ast.Store()):
            return name
    return ""


def _aliases(tree: ast.Module) -> dict[str, str]:
    """Return the own name of each imported class that the module knows by another one."""
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {alias.asname: alias.name for node in imports for alias in node.names if alias.asname}


def _base_names(node: ast.ClassDef) -> set[str]:
    """Return the names of the base classes, without modules and type arguments."""
    bases = [base.value if isinstance(base, ast.Subscript) else base for base in node.bases]
    return {_own_name(base) for base in bases} - {""}


def _own_name(node: ast.AST) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=function):
            return _own_name(function)
    return ""


def _uses(node: ast.AST) -> Iterator[tuple[int, str, bool]]:
    """Yield the line and the name of a use of a private attribute, and whether it is one of `self`."""
    match node:
        case ast.Attribute(attr=name, value=value, end_lineno=int(line)) if _is_private(name):
            yield line, name, _own_name(value) in THEMSELVES
        case ast.Attribute(attr=name, value=value, end_lineno=int(line)):
            if name in INTERNAL or (isinstance(value, ast.Attribute) and value.attr == "query"):
                yield line, name, False
        case ast.Call(func=function, args=[owner, ast.Constant(value=str(name)), *_]) if _is_private(name):
            if _own_name(function) in BY_NAME:
                yield node.lineno, name, _own_name(owner) in THEMSELVES
        case ast.Call(func=ast.Attribute(value=values), args=[ast.Constant(value=str(name)), *_]):
            if _is_private(name) and _own_name(values) == "vars":
                yield node.lineno, name, False


def _imports(node: ast.AST) -> Iterator[Use]:
    if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in LIBRARIES and not node.level:
        for alias in node.names:
            path = f"{node.module}.{alias.name}"
            if _is_private(alias.name) or path.startswith(UNDOCUMENTED):
                yield node.lineno, path
    elif isinstance(node, ast.Import):
        yield from ((node.lineno, alias.name) for alias in node.names if alias.name.startswith(UNDOCUMENTED))
