"""PostgreSQL as a child process.

Its own cluster in the data folder, checksummed, password on TCP, never as root.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import psutil  # type: ignore[import-untyped,unused-ignore]

from deploy.local.installation import (
    OUTSIDE,
    can_run,
    copy_installation,
    installation,
    open_to_others,
    unprivileged_account,
)
from deploy.local.jars import Say
from deploy.local.process import Program, run_to_end
from deploy.local.state import HOST, Ports, Secrets, read_json, write_private

SUPERUSER = "postgres"
INITDB_TIMEOUT_SECONDS = 120
STOP_SECONDS = 15.0

_SETTINGS = {
    "listen_addresses": f"'{HOST}'",
    "unix_socket_directories": "''",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "effective_cache_size": "512MB",
    "work_mem": "4MB",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "10min",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "password_encryption": "'scram-sha-256'",
    "max_worker_processes": "4",
    "max_parallel_workers": "2",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "lc_messages": "'C'",
    # Statements and their values may hold what a person wrote; the log must not.
    "log_statement": "'none'",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length_on_error": "0",
    "log_checkpoints": "off",
}


class Postgres:
    """One PostgreSQL cluster in `<data>/postgres`, or in `/var/lib/meldpunt`.

    The latter when this process is root and the data folder is closed to the account that
    PostgreSQL then runs as; `<data>/postgres-location.json` says where it went.
    """

    name = "postgres"
    start_timeout_seconds = 60.0

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir.resolve()
        self._secrets = Secrets(self._data_dir)
        self._account = unprivileged_account() if os.geteuid() == 0 else None
        self._home = self._data_dir / "postgres"
        self._installation = installation()
        self._port = 0

    @property
    def admin_url(self) -> str:
        """DSN of the superuser; known after `prepare`."""
        password = self._secrets.get("postgres")
        return f"postgresql://{SUPERUSER}:{password}@{HOST}:{self._port}/postgres"

    @property
    def port(self) -> int:
        return self._port

    @property
    def cluster(self) -> Path:
        """The folder with the database files; known after `prepare`."""
        return self._home / "cluster"

    def prepare(self, say: Say) -> None:
        """Choose a place and a port, create the cluster, clear what a killed server left.

        Blocks; repeatable.
        """
        self._home = self._choose_home()
        self._installation = self._usable_installation()
        self._end_leftovers()
        if not (self.cluster / "PG_VERSION").exists():
            say("Preparing PostgreSQL's data folder")
            self._initialise()
        # Chosen once a run: clients that know the port must find a restarted server on it.
        self._port = self._port or Ports(self._data_dir).get("postgres")
        self._write_configuration()

    def program(self) -> Program:
        """The server as a child process; call after `prepare`."""
        command = (str(self._installation / "bin" / "postgres"), "-D", str(self.cluster))
        return replace(
            self._as_account(self.name, command),
            port=self._port,
            # SIGINT is PostgreSQL's fast shutdown: sessions are ended, nothing needs recovery at
            # the next start.
            stop_signal=signal.SIGINT,
            stop_seconds=STOP_SECONDS,
            death_signal=signal.SIGINT,
        )

    def answers(self) -> bool:
        """Whether the server accepts connections now."""
        program = str(installation() / "bin" / "pg_isready")
        command = [program, "--quiet", f"--host={HOST}", f"--port={self._port}", "--timeout=2"]
        environment = _environment()
        done = subprocess.run(command, check=False, env=environment, stdin=subprocess.DEVNULL)
        return done.returncode == 0

    def _choose_home(self) -> Path:
        inside = self._data_dir / "postgres"
        inside.mkdir(parents=True, exist_ok=True)
        if self._account is None:
            return inside
        record = self._data_dir / "postgres-location.json"
        home = Path(read_json(record).get("folder", inside))
        is_new = home == inside and not (inside / "cluster").exists()
        if is_new and not open_to_others(self._data_dir):
            OUTSIDE.mkdir(parents=True, exist_ok=True)
            home = Path(tempfile.mkdtemp(prefix="postgres-", dir=OUTSIDE))
            reason = f"{self._account.name} cannot enter {self._data_dir}"
            write_private(record, {"folder": str(home), "reason": reason})
        home.mkdir(parents=True, exist_ok=True)
        os.chown(home, self._account.user_id, self._account.group_id)
        home.chmod(0o700)
        return home

    def _usable_installation(self) -> Path:
        if self._account is None or can_run(installation() / "bin" / "postgres", self._account):
            return installation()
        return copy_installation(self._account)

    def _initialise(self) -> None:
        # A first start that was broken off leaves a half-made cluster without a version file.
        shutil.rmtree(self.cluster, ignore_errors=True)
        for broken_off in self._home.glob("cluster.new-*"):
            shutil.rmtree(broken_off, ignore_errors=True)
        scratch = Path(tempfile.mkdtemp(prefix="cluster.new-", dir=self._home))
        password = self._home / "password"
        password.touch(mode=0o600)
        password.write_text(self._secrets.get("postgres") + "\n")
        for path in (scratch, password):
            self._give(path)
        try:
            run_to_end(
                self._as_account("initdb", self._initdb(scratch, password)),
                self._data_dir / "logs",
                INITDB_TIMEOUT_SECONDS,
            )
        finally:
            password.unlink()
        scratch.rename(self.cluster)

    def _initdb(self, target: Path, password: Path) -> tuple[str, ...]:
        program = str(self._installation / "bin" / "initdb")
        superuser = (f"--username={SUPERUSER}", f"--pwfile={password}", "--auth=scram-sha-256")
        locale = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
        safety = ("--data-checksums", "--encoding=UTF8")
        return (program, f"--pgdata={target}", *superuser, *locale, *safety)

    def _give(self, path: Path) -> None:
        if self._account:
            os.chown(path, self._account.user_id, self._account.group_id)

    def _as_account(self, name: str, command: tuple[str, ...]) -> Program:
        account = self._account
        return Program(
            name,
            command,
            _environment(),
            user_id=account.user_id if account else None,
            group_id=account.group_id if account else None,
        )

    def _write_configuration(self) -> None:
        settings = {**_SETTINGS, "port": str(self._port)}
        lines = [f"{key} = {value}\n" for key, value in settings.items()]
        path = self.cluster / "postgresql.auto.conf"
        path.write_text("# Written at every start.\n" + "".join(lines))
        self._give(path)

    def _end_leftovers(self) -> None:
        """End a server of an earlier run, and sessions of a killed one that still compute.

        Without this the next start is refused until they are done, or for ever when the number in
        the pid file now belongs to another process.
        """
        left = [process for process in psutil.process_iter() if self._is_of_cluster(process)]
        with contextlib.suppress(psutil.Error, FileNotFoundError, ValueError, IndexError):
            pid = int((self.cluster / "postmaster.pid").read_text().splitlines()[0])
            parent = next((process for process in left if process.pid == pid), None)
            if parent:
                parent.send_signal(signal.SIGINT)
                parent.wait(STOP_SECONDS)
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=STOP_SECONDS)
        (self.cluster / "postmaster.pid").unlink(missing_ok=True)

    def _is_of_cluster(self, process: psutil.Process) -> bool:
        try:
            return bool(process.name() == "postgres" and process.cwd() == str(self.cluster))
        except psutil.Error:
            return False


def discard(data_dir: Path) -> None:
    """Remove what `Postgres` keeps outside a data folder that is about to be deleted."""
    folder = read_json(data_dir / "postgres-location.json").get("folder")
    if folder and Path(folder).parent == OUTSIDE:
        shutil.rmtree(folder, ignore_errors=True)


def _environment() -> dict[str, str]:
    # Settings for clients of another database (PGHOST, PGPASSWORD, ...) must not reach this one.
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    return kept | {"TZ": "UTC"}
