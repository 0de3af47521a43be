"""Which code decides: a name for it that changes whenever the deciding code does.

A decision that is made again and comes out otherwise is either damaged or made by other code. The
name that is stored with each decision tells the two apart.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec

_ROOTS = ("services.routing.rules", "services.routing.explain")
_OWN = ("services.routing.", "contracts.")
_HEX_DIGITS = 16


@cache
def engine_version() -> str:
    """The first 16 hex digits of the SHA-256 over the source of all that takes part in deciding."""
    digest = hashlib.sha256()
    for name, source in sorted(_sources().items()):
        digest.update(f"{name}\0{source}\0".encode())
    return digest.hexdigest()[:_HEX_DIGITS]


def _sources() -> dict[str, str]:
    """Source text of the deciding modules and, in turn, of what they import of ours."""
    found: dict[str, str] = {}
    pending = list(_ROOTS)
    while pending:
        name = pending.pop()
        if name not in found and (source := _source(name)) is not None:
            found[name] = source
            pending += _imports(source)
    return found


def _source(module: str) -> str | None:
    try:
        spec = find_spec(module)
    except ModuleNotFoundError:
        # `from module import name` was tried as a module; it is a name in one.
        return None
    get_source = getattr(spec.loader, "get_source", None) if spec else None
    return get_source(module) if get_source else None


def _imports(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.startswith(_OWN))
