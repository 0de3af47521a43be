"""Writes the published documents from the code, or checks that they still agree with it.

python scripts/generate.py all                     # write schemas, AsyncAPI and OpenAPI
python scripts/generate.py all --check             # exit 1 and name every file that drifts
python scripts/generate.py release 1.0.0           # keep the present schemas as a release
python scripts/generate.py release 1.0.0 --replace # ... again, as long as nobody uses it
"""

import argparse
import importlib
import inspect
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CONTRACTS = ROOT / "contracts"
SERVICES = ("intake", "routing", "referral", "audit")
Files = Mapping[Path, str]
# 32 bytes of nothing, as base64url: no report is ever sealed with it.
_NO_SECRET = "A" * 43


def schema_files() -> Files:
    """JSON Schema of every event."""
    from contracts.catalogue import MODELS
    from contracts.schema_document import json_schema

    return {CONTRACTS / model.schema_path(): _json(json_schema(model)) for model in MODELS}


def asyncapi_files() -> Files:
    """The AsyncAPI document."""
    from contracts.asyncapi_document import asyncapi_document

    return {CONTRACTS / "asyncapi" / "meldpunt.json": _json(asyncapi_document())}


def openapi_files() -> Files:
    """OpenAPI document of every service; building an application connects to nothing."""
    found = {}
    for service in SERVICES:
        if (ROOT / "services" / service / "app.py").exists():
            _tell(f"building {service}")
            found[CONTRACTS / "openapi" / f"{service}.json"] = _json(openapi_of(service))
        else:
            _tell(f"{service} has no app.py: no OpenAPI document")
    return found


def openapi_of(service: str) -> dict[str, Any]:
    """OpenAPI document of one service, built with settings that lead nowhere."""
    from services.chassis.http import openapi_document

    build = importlib.import_module(f"services.{service}.app").build
    with tempfile.TemporaryDirectory() as folder:
        app = build(_settings_class(service)(**_harmless(service, Path(folder))))
        return openapi_document(app, "")


def _settings_class(service: str) -> type[Any]:
    from services.chassis.settings import ServiceSettings

    module = importlib.import_module(f"services.{service}.settings")
    for _, found in inspect.getmembers(module, inspect.isclass):
        if issubclass(found, ServiceSettings) and found is not ServiceSettings:
            return found
    raise LookupError(f"services/{service}/settings.py has no settings class")


def _harmless(service: str, folder: Path) -> dict[str, Any]:
    """Settings without which a service is not built; the folder is gone afterwards."""
    own: Mapping[str, Mapping[str, Any]] = {
        "intake": {
            "receipt_secret": _NO_SECRET,
            "master_key": _NO_SECRET,
            "referral_url": "https://nowhere.invalid",
        },
        "referral": {
            "intake_url": "https://nowhere.invalid",
            "signing_key_file": folder / "signing-key.pem",
        },
    }
    return {
        **own.get(service, {}),
        "environment": "test",
        "data_dir": folder,
        "http_port": 0,
        "database_url": "postgresql://nowhere.invalid/none",
        "kafka_bootstrap": "nowhere.invalid:9092",
        "auth_jwks": str(folder / "jwks.json"),
        "auth_issuer": "urn:meldpunt:no-issuer",
    }


KINDS: Mapping[str, Callable[[], Files]] = {
    "schemas": schema_files,
    "asyncapi": asyncapi_files,
    "openapi": openapi_files,
}
_PATTERNS = {
    "schemas": "schemas/*.json",
    "asyncapi": "asyncapi/*.json",
    "openapi": "openapi/*.json",
}


def drift(kind: str) -> list[str]:
    """Names of the files that differ from the code, are missing, or belong to nothing any more."""
    wanted = KINDS[kind]()
    present = set(CONTRACTS.glob(_PATTERNS[kind]))
    differing = {path for path, text in wanted.items() if not _holds(path, text)}
    return sorted(str(path.relative_to(ROOT)) for path in differing | (present - wanted.keys()))


def write(kind: str) -> int:
    """Write the files of a kind and delete what is no longer made; gives how many changed."""
    wanted = KINDS[kind]()
    changed = 0
    for path, text in wanted.items():
        if not _holds(path, text):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            changed += 1
    for path in set(CONTRACTS.glob(_PATTERNS[kind])) - wanted.keys():
        path.unlink()
        changed += 1
    return changed


def release(version: str, *, replace: bool) -> int:
    """Keep the committed schemas as a release; gives an exit status."""
    folder = CONTRACTS / "released" / version
    if folder.exists() and not replace:
        _tell(f"contracts/released/{version} exists; take the next version, or --replace it")
        return 1
    if names := drift("schemas"):
        _tell(f"first run `python scripts/generate.py schemas`: {', '.join(names)}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(CONTRACTS / "schemas", folder / "schemas")
    _tell(f"contracts/released/{version} holds {len(list(folder.glob('schemas/*')))} schemas")
    return 0


def _holds(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/generate.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="kind", required=True)
    for kind in (*KINDS, "all"):
        command = commands.add_parser(kind, help=f"write or check {kind}")
        command.add_argument("--check", action="store_true", help="only compare; exit 1 on drift")
    command = commands.add_parser("release", help="keep the present schemas as a release")
    command.add_argument("version", type=_version, help="for example 1.0.0")
    command.add_argument("--replace", action="store_true", help="overwrite a release")
    return parser.parse_args()


def _version(text: str) -> str:
    parts = text.split(".")
    if len(parts) != 3 or not all(part.isdigit() for part in parts):
        raise argparse.ArgumentTypeError("write a version as 1.0.0")
    return text


def main() -> int:
    """Exit status 0 when everything agrees or was written."""
    arguments = _arguments()
    if arguments.kind == "release":
        return release(arguments.version, replace=arguments.replace)
    status = 0
    for kind in KINDS if arguments.kind == "all" else (arguments.kind,):
        if not arguments.check:
            _tell(f"{kind}: {write(kind)} files changed")
        elif names := drift(kind):
            status = 1
            _tell(f"{kind}: run `python scripts/generate.py {kind}`; these drift:")
            print("\n".join(names))
        else:
            _tell(f"{kind}: in agreement")
    return status


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
