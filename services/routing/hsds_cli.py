"""`meldpunt register export` and `import`: the register as Open Referral HSDS 3.0, and back."""

import argparse
import json
from pathlib import Path
from typing import Any

import yaml

from services.routing.domain import Register
from services.routing.register import RegisterInvalid, load_register

FILE_BYTES_MAX = 20_000_000


class ExchangeError(RuntimeError):
    """The file cannot be exchanged; the text says which entity and field, and what to do."""


def add_export_command(commands: Any) -> None:
    """Add `register export FILE`."""
    parser = commands.add_parser(
        "export",
        help="write the register as Open Referral HSDS 3.0",
        description="Writes organisations, lokets, competences and terms as HSDS 3.0 JSON.",
        epilog="example: meldpunt register export register.hsds.json",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="where to write the JSON")
    parser.add_argument("--register", type=Path, metavar="FILE", help="another register")
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    parser.set_defaults(run=_export)


def add_import_command(commands: Any) -> None:
    """Add `register import FILE --out NEW.yaml`."""
    parser = commands.add_parser(
        "import",
        help="make a register from HSDS 3.0 organisations and this register's rules",
        description="Replaces organisations and terms by those of an HSDS document, and checks it.",
        epilog="example: meldpunt register import register.hsds.json --out new.yaml",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="HSDS 3.0 JSON")
    parser.add_argument("--register", type=Path, metavar="FILE", help="whose rules to keep")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the new register")
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    parser.set_defaults(run=_import)


def _export(arguments: argparse.Namespace) -> int:
    from services.routing.hsds.exporting import export_hsds

    register = _loaded(arguments.register)
    document = export_hsds(register)
    text = json.dumps(document, ensure_ascii=False, indent=1)
    arguments.file.write_text(text + "\n", encoding="utf-8")
    _tell(arguments, len(register.organisations), len(register.terms))
    return 0


def _import(arguments: argparse.Namespace) -> int:
    from services.routing.hsds.importing import HsdsInvalid, import_hsds, import_terms

    kept = _loaded(arguments.register)
    try:
        if arguments.file.stat().st_size > FILE_BYTES_MAX:
            raise ExchangeError(
                f"{arguments.file} is larger than {FILE_BYTES_MAX} bytes; split it."
            )
        document = json.loads(arguments.file.read_text(encoding="utf-8"))
        organisations, terms = import_hsds(document), import_terms(document)
    except HsdsInvalid as error:
        raise ExchangeError(f"{arguments.file} cannot be imported.\n{error}") from None
    except (OSError, ValueError) as error:
        raise ExchangeError(
            f"{arguments.file} is no JSON file that can be read ({type(error).__name__})."
        ) from None
    # HSDS keeps terms with their organisation; the register's own order is that of its reader.
    order = {term.id: place for place, term in enumerate(kept.terms)}
    terms.sort(key=lambda term: order.get(term.id, len(order)))
    made = kept.model_copy(update={"organisations": tuple(organisations), "terms": tuple(terms)})
    _write(made, arguments.out)
    _tell(arguments, len(organisations), len(terms))
    return 0


def _write(register: Register, out: Path) -> None:
    values = register.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    text = yaml.safe_dump(values, allow_unicode=True, sort_keys=False, width=110)
    out.write_text(text, encoding="utf-8")
    try:
        load_register(out)
    except RegisterInvalid as error:
        raise ExchangeError(f"What was imported is no valid register yet.\n{error}") from None


def _loaded(file: Path | None) -> Register:
    try:
        return load_register(file)
    except RegisterInvalid as error:
        raise ExchangeError(f"The register cannot be used.\n{error}") from None


def _tell(arguments: argparse.Namespace, organisations: int, terms: int) -> None:
    target = getattr(arguments, "out", None) or arguments.file
    if arguments.json:
        print(json.dumps({"file": str(target), "organisations": organisations, "terms": terms}))
    else:
        print(f"{target}: {organisations} organisations, {terms} terms.")
