"""Loading the register: from YAML to a checked value, with errors that say where and what to do."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from contracts.situation import UNKNOWN, Accused, Kind, Reporter, Sector, Subject, Urgency
from services.routing.domain import (
    AFFILIATION,
    NO_AFFILIATION,
    Match,
    Organisation,
    Register,
    register_hash,
)
from services.routing.register_checks import handling_checks, regime_checks

__all__ = [
    "Problem",
    "RegisterInvalid",
    "cross_checks",
    "load_register",
    "register_hash",
    "register_schema",
    "write_schema",
]

REGISTER_PATH = Path(__file__).parent / "register" / "register.yaml"
SCHEMA_PATH = Path(__file__).parent / "register" / "register.schema.json"
FILE_BYTES_MAX = 2_000_000
PROBLEMS_MAX = 25
# Evidence that nobody has checked: what rests on it must say so.
UNCHECKED_SOURCES = frozenset({"K", "J"})

Path_ = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault in a register: where it is, what is wrong and what to do."""

    line: int
    field: str
    problem: str
    remedy: str


class RegisterInvalid(Exception):
    """The register may not be used: file, line, field and remedy of every problem."""

    def __init__(self, file: Path, problems: tuple[Problem, ...]) -> None:
        self.file = file
        self.problems = problems
        rows = (
            f"{file}:{p.line}: {p.field}: {p.problem}. {p.remedy}" for p in problems[:PROBLEMS_MAX]
        )
        left = len(problems) - PROBLEMS_MAX
        super().__init__("\n".join((*rows, *([f"... and {left} more"] if left > 0 else []))))


def load_register(path: Path | None = None) -> Register:
    """Reads and checks a register file; without `path` the one that is shipped.

    Raises `RegisterInvalid` with every problem found.
    """
    file = path or REGISTER_PATH
    root, data = _read(file)
    duplicates = tuple(_duplicate_keys(root, ()))
    if duplicates:
        raise RegisterInvalid(file, duplicates)
    try:
        # JSON mode is strict ("1" is no number) and still lets a list be a tuple, a string an enum.
        register = Register.model_validate_json(json.dumps(data))
    except ValidationError as error:
        raise RegisterInvalid(file, _from_pydantic(error, root)) from None
    problems = tuple(
        _located(root, path_, problem, remedy) for path_, problem, remedy in cross_checks(register)
    )
    if problems:
        raise RegisterInvalid(file, problems)
    return register


def register_schema() -> str:
    """The JSON Schema of a register file, as it is committed next to it."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Register.model_json_schema(by_alias=True),
    }
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def write_schema() -> None:
    """Writes `register.schema.json` anew after a change of the model."""
    SCHEMA_PATH.write_text(register_schema(), encoding="utf-8")


def _read(file: Path) -> tuple[yaml.Node, Any]:
    try:
        size_bytes = file.stat().st_size
        if size_bytes > FILE_BYTES_MAX:
            raise RegisterInvalid(
                file,
                (
                    Problem(
                        1, "file", f"it has {size_bytes} bytes", f"Keep it under {FILE_BYTES_MAX}"
                    ),
                ),
            )
        text = file.read_text(encoding="utf-8")
        root, data = _parse(text)
    except OSError as error:
        raise RegisterInvalid(
            file,
            (
                Problem(
                    1,
                    "file",
                    error.strerror or "cannot be read",
                    "Give the path of a readable register file",
                ),
            ),
        ) from None
    except UnicodeDecodeError:
        raise RegisterInvalid(
            file, (Problem(1, "file", "it is not UTF-8", "Save the file as UTF-8"),)
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(error, "problem", None) or "no valid YAML"
        raise RegisterInvalid(
            file, (Problem(line, "file", problem, "Correct the YAML on this line"),)
        ) from None
    if not isinstance(root, yaml.MappingNode):
        raise RegisterInvalid(
            file,
            (Problem(1, "file", "it is not a mapping", "Start from the shipped register.yaml"),),
        )
    return root, data


def _parse(text: str) -> tuple[yaml.Node | None, Any]:
    """The nodes, which know their lines, and the data built from them; by libyaml if present."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        root = loader.get_single_node()
        return root, None if root is None else loader.construct_document(root)
    finally:
        loader.dispose()


def _duplicate_keys(node: yaml.Node, path: Path_) -> Iterator[Problem]:
    if isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            yield from _duplicate_keys(child, (*path, index))
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, child in node.value:
            name = str(key.value)
            if name in seen:
                yield Problem(
                    key.start_mark.line + 1,
                    _field((*path, name)),
                    "this key is there twice",
                    "Remove one of the two",
                )
            seen.add(name)
            yield from _duplicate_keys(child, (*path, name))


def _line(root: yaml.Node, path: Path_) -> int:
    """Line of the deepest node on the path that exists in the file."""
    node = root
    for part in path:
        child: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            child = next((value for key, value in node.value if key.value == part), None)
        elif (
            isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value)
        ):
            child = node.value[part]
        if child is None:
            break
        node = child
    return int(node.start_mark.line) + 1


def _field(path: Path_) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".") or "register"


def _located(root: yaml.Node, path: Path_, problem: str, remedy: str) -> Problem:
    return Problem(_line(root, path), _field(path), problem, remedy)


REMEDIES = {
    "extra_forbidden": "Remove or correct the key: register.schema.json lists the keys",
    "missing": "Add the key: register.schema.json says what it holds",
    "enum": "Use one of the values that the message names",
    "literal_error": "Use one of the values that the message names",
}


def _from_pydantic(error: ValidationError, root: yaml.Node) -> tuple[Problem, ...]:
    return tuple(
        _located(
            root,
            tuple(item["loc"]),
            item["msg"],
            REMEDIES.get(
                item["type"], "Correct the value: register.schema.json says what it holds"
            ),
        )
        for item in error.errors(include_url=False, include_input=False, include_context=False)
    )


Finding = tuple[Path_, str, str]


def cross_checks(register: Register) -> Iterator[Finding]:
    """What a schema cannot say: unique ids, living references, evidence, an end to the order."""
    yield from _enums(register)
    yield from _unique(register)
    yield from _references(register)
    yield from _evidence(register)
    yield from _organisations(register)
    yield from _last_rule(register)
    yield from handling_checks(register)
    yield from regime_checks(register)


def _enums(register: Register) -> Iterator[Finding]:
    known = {
        "sectors": Sector,
        "reporters": Reporter,
        "kinds": Kind,
        "subjects": Subject,
        "accused": Accused,
        "urgency": Urgency,
    }
    for name, enum in known.items():
        expected = {value.value for value in enum} - {UNKNOWN}
        if set(register.enums.get(name, ())) != expected:
            yield (
                ("enums", name),
                "differs from the answers that the contract knows",
                f"List exactly: {', '.join(sorted(expected))}",
            )


def _unique(register: Register) -> Iterator[Finding]:
    for name in (
        "organisations",
        "routing_rules",
        "terms",
        "duties",
        "help_lines",
        "regimes",
        "derived_flags",
    ):
        counts = Counter(item.id for item in getattr(register, name))
        for index, item in enumerate(getattr(register, name)):
            if counts[item.id] > 1:
                yield (
                    (name, index, "id"),
                    f"id {item.id} is there {counts[item.id]} times",
                    "Give each its own id",
                )
    for index, organisation in enumerate(register.organisations):
        names = [loket.id for loket in organisation.loketten]
        if len(set(names)) != len(names):
            yield (
                ("organisations", index, "loketten"),
                "two loketten have the same id",
                "Give each its own id",
            )


def _references(register: Register) -> Iterator[Finding]:
    parties = {o.id for o in register.organisations}
    parties |= {f"{o.id}/{loket.id}" for o in register.organisations for loket in o.loketten}
    remedy = "Name an organisation, or organisation/loket, that the register holds"
    for path, party in _named_parties(register):
        if party not in parties:
            yield path, f"{party} does not exist", remedy
    rules = {rule.id for rule in register.routing_rules}
    for index, term in enumerate(register.terms):
        if sum((bool(term.organisations or term.rules), term.match is not None)) != 1:
            yield (
                ("terms", index),
                "it is not clear when this term is shown",
                "Give organisations and/or rules, or match",
            )
        for rule in set(term.rules) - rules:
            yield (
                ("terms", index, "rules"),
                f"rule {rule} does not exist",
                "Name a rule of routing_rules",
            )
    committees = {o.id for o in register.organisations if o.requires_affiliation} | {
        NO_AFFILIATION,
        UNKNOWN,
    }
    for path, match in _matches(register):
        for value in set(match.affiliation) - committees:
            yield (
                (*path, "affiliation"),
                f"{value} is no committee",
                f"Use one of {', '.join(sorted(committees))}",
            )


def _named_parties(register: Register) -> Iterator[tuple[Path_, str]]:
    yield ("desk",), register.desk
    for accused, listed in register.accused_parties.items():
        for party in listed:
            yield ("accused_parties", accused), party
    for name, party in register.step_aliases.items():
        yield ("step_aliases", name), party
    for index, term in enumerate(register.terms):
        for party in (term.organisation, *term.organisations):
            yield ("terms", index), party
    for index, line in enumerate(register.help_lines):
        yield ("help_lines", index, "show"), line.show
    yield from _parties_of_rules(register)
    yield from _parties_of_organisations(register)


def _parties_of_rules(register: Register) -> Iterator[tuple[Path_, str]]:
    for index, rule in enumerate(register.routing_rules):
        named = [("primary", rule.primary)]
        named += [("also", party) for party in rule.also]
        named += [("never_via", party) for party in rule.never_via]
        for key, party in named:
            if party != AFFILIATION:
                yield ("routing_rules", index, key), party


def _parties_of_organisations(register: Register) -> Iterator[tuple[Path_, str]]:
    for index, organisation in enumerate(register.organisations):
        path: Path_ = ("organisations", index)
        for party in organisation.escalates_to:
            yield (*path, "escalates_to"), party
        for order in organisation.loket_order:
            for loket in order.order:
                yield (*path, "loket_order"), f"{organisation.id}/{loket}"


def _matches(register: Register) -> Iterator[tuple[Path_, Match]]:
    for name in ("routing_rules", "duties", "help_lines", "derived_flags", "terms"):
        for index, item in enumerate(getattr(register, name)):
            if item.match is not None:
                yield (name, index, "match"), item.match


def _evidence(register: Register) -> Iterator[Finding]:
    for path, item in _sourced(register.model_dump(mode="json", by_alias=True), ()):
        source = item["src"]
        if source not in register.sources:
            yield (
                (*path, "src"),
                f"source {source} does not exist",
                "Add it to sources, or use one that is there",
            )
        elif source in UNCHECKED_SOURCES and item.get("to_verify") is False:
            yield (*path, "src"), f"source {source} is unchecked", "Add to_verify: true"


def _sourced(value: Any, path: Path_) -> Iterator[tuple[Path_, dict[str, Any]]]:
    if isinstance(value, dict):
        if isinstance(value.get("src"), str):
            yield path, value
        for key, child in value.items():
            yield from _sourced(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _sourced(child, (*path, index))


def _organisations(register: Register) -> Iterator[Finding]:
    for index, organisation in enumerate(register.organisations):
        path: Path_ = ("organisations", index)
        if organisation.referral_mode == "show_only" and organisation.feedback != "geen":
            yield (
                (*path, "feedback"),
                "an organisation that is only shown gets no referral and reports nothing back",
                "Set feedback: geen",
            )
        if organisation.referral_mode == "show_only" and organisation.id == register.desk:
            yield (
                (*path, "referral_mode"),
                "the desk must take cases",
                "Remove referral_mode: show_only",
            )
        if organisation.outcome not in register.enums.get("outcome", ()):
            yield (
                (*path, "outcome"),
                f"outcome {organisation.outcome} is not in enums",
                "Use a listed outcome",
            )
        if organisation.id == register.desk:
            yield from _desk_takes_all(register, organisation, path)
    for index, line in enumerate(register.help_lines):
        shown = next((o for o in register.organisations if o.id == line.show), None)
        if shown is not None and shown.referral_mode != "show_only":
            yield (
                ("help_lines", index, "show"),
                f"{line.show} has a queue",
                "A help line must be show_only",
            )


def _desk_takes_all(register: Register, desk: Organisation, path: Path_) -> Iterator[Finding]:
    for name in ("sectors", "reporters", "kinds", "subjects"):
        missing = set(register.enums.get(name, ())) - {str(value) for value in getattr(desk, name)}
        if missing:
            yield (
                (*path, name),
                f"the desk does not take {', '.join(sorted(missing))}",
                "The desk must take everything",
            )


def _last_rule(register: Register) -> Iterator[Finding]:
    index = len(register.routing_rules) - 1
    last = register.routing_rules[index]
    if last.match != Match():
        yield (
            ("routing_rules", index, "match"),
            "the last rule does not catch everything",
            "End with match: {} and the desk as primary",
        )
    if last.primary != register.desk:
        yield (
            ("routing_rules", index, "primary"),
            "the last rule does not end at the desk",
            f"Set primary: {register.desk}",
        )
