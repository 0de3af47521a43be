"""What processes cost: CPU time and resident memory, from /proc."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped,unused-ignore]

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """CPU seconds since the start of each process, and its resident bytes, by name."""

    cpu: Mapping[str, float]
    resident: Mapping[str, int]

    def since(self, earlier: "Usage") -> dict[str, float]:
        """CPU seconds between two readings."""
        return {name: self.cpu[name] - earlier.cpu[name] for name in self.cpu}


def read_usage(processes: Mapping[str, int]) -> Usage:
    """Usage of processes with all that they started, also of children that have ended."""
    cpu, resident = {}, {}
    for name, pid in processes.items():
        seconds, held = _own(pid, ended_children=True)
        for child in psutil.Process(pid).children(recursive=True):
            more, more_held = _own(child.pid, ended_children=False)
            seconds, held = seconds + more, held + more_held
        cpu[name], resident[name] = seconds, held
    return Usage(cpu, resident)


def _own(pid: int, *, ended_children: bool) -> tuple[float, int]:
    try:
        # The name, between brackets, may hold spaces; what follows has fixed places.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0, 0
    ticks = int(fields[11]) + int(fields[12])
    if ended_children:
        ticks += int(fields[13]) + int(fields[14])
    return ticks / _TICKS_PER_SECOND, int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
