"""The settings that `meldpunt partner add` writes for a partner: `NAME=value`, one a line.

python -m examples.partners.inbox_partner --settings sandbox.env
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PREFIX = "MELDPUNT_PARTNER_"


@dataclass(frozen=True, repr=False)
class Settings:
    """What the variables `MELDPUNT_PARTNER_*` say; a setting that is missing names itself."""

    values: Mapping[str, str]

    @property
    def organisation(self) -> str:
        """Your organisation's id in the register."""
        return self._need("ORGANISATION")

    @property
    def url(self) -> str:
        """Address of meldpunt's partner interface, or of the sandbox."""
        return self._need("URL")

    @property
    def has_api(self) -> bool:
        """Whether there is an address and a token for calls over HTTP."""
        return all(self.values.get(PREFIX + name) for name in ("URL", "TOKEN_FILE"))

    @property
    def token_file(self) -> Path:
        """The file with your token; it is renewed there, so read it again after a 401."""
        return Path(self._need("TOKEN_FILE"))

    @property
    def folder(self) -> Path:
        """Where your program keeps its log, its cursor and its database."""
        return Path(self.values.get(f"{PREFIX}FOLDER") or ".")

    @property
    def webhook_secret(self) -> str:
        """The secret with which meldpunt signs."""
        return self._need("WEBHOOK_SECRET")

    def _need(self, name: str) -> str:
        value = self.values.get(PREFIX + name)
        if not value:
            raise ValueError(f"{PREFIX}{name} is missing; give --settings FILE or set it.")
        return value


def read_settings(path: Path | None, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of a file over those of the environment. Raises `OSError`."""
    lines = path.read_text(encoding="utf-8").splitlines() if path else []
    given = (line.partition("=") for line in lines if line.strip() and not line.startswith("#"))
    return Settings({**environment, **{name.strip(): value.strip() for name, _, value in given}})


def settings_of(arguments: Sequence[str] | None) -> Settings:
    """The settings that `--settings FILE` among the arguments names."""
    parser = argparse.ArgumentParser(add_help=False)
    add_settings_argument(parser)
    return read_settings(parser.parse_known_args(arguments)[0].settings)


def add_settings_argument(parser: argparse.ArgumentParser) -> None:
    """`--settings FILE`."""
    parser.add_argument("--settings", type=Path, help="file that `meldpunt partner add` wrote")
