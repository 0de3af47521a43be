"""The jars of Apache Kafka: a lock file with checksums, and a cache that several stacks share.

The lock file names coordinates and SHA-256 sums only. `python -m deploy.local.jars` resolves the
coordinates of `ROOTS` again and writes a new lock file; that is the one moment at which
dependencies may change.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped,unused-ignore]

KAFKA_VERSION = "4.3.1"
LOCK_FILE = Path(__file__).with_name("kafka.lock")
# The second root gives Kafka's log lines an outlet; without it slf4j drops them.
ROOTS = (
    f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}",
    "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4",
)
DOWNLOADS_AT_ONCE = 6
DOWNLOAD_TIMEOUT_SECONDS = 60
ATTEMPTS = 3
CACHE_VARIABLE = "MELDPUNT_CACHE"
MIRROR_VARIABLE = "MELDPUNT_MAVEN_MIRROR"
_SCRATCH = ".download-"

Say = Callable[[str], None]


class JarUnavailableError(RuntimeError):
    """A jar cannot be had or is not the locked one; the text says which and what to do."""


@dataclass(frozen=True)
class LockedJar:
    """One file of the lock: coordinate (`group:artifact:version`), SHA-256 and size."""

    coordinate: str
    sha256: str
    size_bytes: int

    @property
    def file_name(self) -> str:
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


def read_lock(path: Path = LOCK_FILE) -> tuple[LockedJar, ...]:
    """The locked jars, in class path order."""
    return tuple(LockedJar(**entry) for entry in json.loads(path.read_text())["jars"])


def cache_folder(data_dir: Path) -> Path:
    """Where downloads are kept: `MELDPUNT_CACHE`, else `<data>/cache`."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen).expanduser().resolve() if chosen else data_dir / "cache"


def ensure_jars(cache: Path, say: Say, jars: Sequence[LockedJar] | None = None) -> tuple[Path, ...]:
    """Paths of all jars, each with the locked checksum; downloads what is missing.

    Raises `JarUnavailableError` when a download fails or gives other bytes than the lock names.
    """
    wanted = tuple(jars if jars is not None else read_lock())
    folder = cache / f"kafka-{KAFKA_VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(folder)
    missing = [jar for jar in wanted if not _is_sound(folder / jar.file_name, jar)]
    if missing:
        _download_all(missing, folder, say)
    return tuple(folder / jar.file_name for jar in wanted)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_sound(path: Path, jar: LockedJar) -> bool:
    return (
        path.is_file() and path.stat().st_size == jar.size_bytes and sha256_of(path) == jar.sha256
    )


def _remove_abandoned(folder: Path) -> None:
    """Remove what ended processes left; the cache may be in use by other stacks now."""
    for scratch in folder.glob(f"{_SCRATCH}*"):
        owner = scratch.name.removeprefix(_SCRATCH).partition("-")[0]
        if not psutil.pid_exists(int(owner)):
            shutil.rmtree(scratch, ignore_errors=True)


def _download_all(missing: Sequence[LockedJar], folder: Path, say: Say) -> None:
    total = sum(jar.size_bytes for jar in missing)
    say(
        f"Downloading Apache Kafka {KAFKA_VERSION}: {len(missing)} files, {total / 1e6:.0f} MB "
        f"(once; kept in {folder})"
    )
    done = 0
    with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
        largest_first = sorted(missing, key=lambda jar: -jar.size_bytes)
        tasks = {pool.submit(download, jar, folder): jar for jar in largest_first}
        try:
            for count, task in enumerate(as_completed(tasks), start=1):
                task.result()
                done += tasks[task].size_bytes
                if count % 10 == 0 or count == len(tasks):
                    say(
                        f"  {count} of {len(tasks)} files, {done / 1e6:.0f} of {total / 1e6:.0f} MB"
                    )
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def download(jar: LockedJar, folder: Path) -> Path:
    """Fetch one jar into `folder`; the file appears there whole and checked, or not at all."""
    problem = "unknown"
    for _ in range(ATTEMPTS):
        with tempfile.TemporaryDirectory(prefix=f"{_SCRATCH}{os.getpid()}-", dir=folder) as scratch:
            try:
                fetched = _fetch(jar.coordinate, Path(scratch))
            except Exception as error:  # noqa: BLE001 - the resolver's and its transport's errors have no common root.
                problem = f"{type(error).__name__}: {error}"
                continue
            return keep(fetched, jar, folder)
    raise JarUnavailableError(
        f"Could not download {jar.coordinate} after {ATTEMPTS} attempts ({problem}). Check the"
        f" network and any proxy settings, or set {MIRROR_VARIABLE} to a Maven repository that this"
        f" machine can reach, or put {jar.file_name} in {folder} by hand; then start again."
        " Files that did arrive are kept."
    )


def keep(fetched: Path, jar: LockedJar, folder: Path) -> Path:
    """Move a fetched file to its place in `folder`.

    Raises `JarUnavailableError` when its checksum is not the locked one.
    """
    actual = sha256_of(fetched)
    if actual != jar.sha256:
        raise JarUnavailableError(
            f"The downloaded {jar.coordinate} is not the locked file: SHA-256 {actual}, expected"
            f" {jar.sha256}. It was thrown away. A proxy may have changed it: try another network"
            f" or set {MIRROR_VARIABLE}. If the artifact itself was replaced, do not use it; report"
            " it to the maintainers of this project."
        )
    target = folder / jar.file_name
    fetched.replace(target)
    return target


def _fetch(coordinate: str, scratch: Path) -> Path:
    from jgo.maven import MavenContext

    mirror = os.environ.get(MIRROR_VARIABLE)
    remotes = {"mirror": mirror.rstrip("/")} if mirror else None
    context = MavenContext(
        repo_cache=scratch, remote_repos=remotes, timeout=DOWNLOAD_TIMEOUT_SECONDS
    )
    return Path(context.create_dependency(coordinate).artifact.resolve())


def resolve_lock(roots: Iterable[str] = ROOTS) -> tuple[LockedJar, ...]:
    """Resolve the runtime dependencies of `roots` anew, download them, compute their checksums."""
    from jgo.maven import MavenContext

    scratch = Path(tempfile.mkdtemp(prefix="meldpunt-lock-"))
    try:
        context = MavenContext(repo_cache=scratch, timeout=DOWNLOAD_TIMEOUT_SECONDS)
        found: dict[str, LockedJar] = {}
        for root in roots:
            # One root at a time: together, the version management of one root would change the
            # versions of the other.
            inputs, transitive = context.resolver.resolve([context.create_dependency(root)])
            for dependency in [*inputs, *transitive]:
                project = f"{dependency.groupId}:{dependency.artifactId}"
                if project not in found:
                    path = Path(dependency.artifact.resolve())
                    found[project] = LockedJar(
                        f"{project}:{dependency.version}", sha256_of(path), path.stat().st_size
                    )
        return tuple(found[project] for project in sorted(found))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write_lock(jars: Sequence[LockedJar], path: Path = LOCK_FILE) -> None:
    """Write the lock file, one jar a line so that a change reads well in a diff."""
    lines = ",\n".join("    " + json.dumps(vars(jar)) for jar in jars)
    path.write_text(f'{{\n  "jars": [\n{lines}\n  ]\n}}\n')


if __name__ == "__main__":
    write_lock(resolve_lock())
