"""How much memory a device has free, as far as it can be told; nothing is allocated.

Takes the name of a device; gives bytes, or None where the system does not tell. It needs no package of its own. Of main memory, what
counts is what the system could hand out without swapping, and what the group of processes may still take where a container or a service
sets a limit.

Source: proc(5); the kernel's documentation of control groups, versions 1 and 2; vm_stat(1) of macOS; GlobalMemoryStatusEx of Windows.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

NO_LIMIT = 1 << 60
"""Control groups of version 1 write a number near 2^63 where there is no limit."""

VM_STAT_S = 5.0


def free(device: str) -> int | None:
    """Bytes that are free on "cpu", "cuda" or "mps"; None if nobody tells."""
    if device == "cuda":
        return _cuda()
    if device == "mps":
        return _mps()
    if sys.platform == "darwin":
        return _macos()
    if sys.platform == "win32":
        return _windows()
    return linux()


def linux(root: Path = Path("/")) -> int | None:
    """Bytes of main memory that this process may still take, on Linux.

    Args:
        root: Below which ``proc`` and ``sys`` lie.
    """
    found = [*_available(root), *_groups(root)]
    return max(min(found), 0) if found else None


def _available(root: Path) -> list[int]:
    text = _text(root / "proc" / "meminfo")
    line = re.search(r"^MemAvailable:\s+(\d+) kB", text, re.MULTILINE)
    return [int(line[1]) * 1024] if line else []


def _groups(root: Path) -> list[int]:
    """What each control group around this process leaves, if it has a limit."""
    left = []
    for line in _text(root / "proc" / "self" / "cgroup").splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controllers not in ("", "memory") and "memory" not in controllers.split(","):
            continue
        place = root / "sys" / "fs" / "cgroup" / ("memory" if controllers else "")
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if controllers else ("memory.max", "memory.current")
        inner = Path(path.lstrip("/"))
        for group in (inner, *inner.parents):  # inside a container the path may be the host's: then only the top is there
            limit, used = (_number(place / group / name) for name in names)
            if limit is not None and used is not None and limit < NO_LIMIT:
                left.append(limit - used + _reclaimable(place / group))
    return left


def _reclaimable(group: Path) -> int:
    """Bytes of files that the kernel keeps and would give up."""
    found = re.findall(r"^(?:total_)?inactive_file (\d+)", _text(group / "memory.stat"), re.MULTILINE)
    return max((int(number) for number in found), default=0)


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _macos() -> int | None:
    try:
        done = subprocess.run(["vm_stat"], capture_output=True, text=True, timeout=VM_STAT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return pages(done.stdout)


def pages(told: str) -> int | None:
    """Bytes that macOS could hand out, from what vm_stat tells."""
    size = re.search(r"page size of (\d+) bytes", told)
    counts = [int(n) for n in re.findall(r"^Pages (?:free|inactive|speculative|purgeable):\s+(\d+)\.", told, re.MULTILINE)]
    return int(size[1]) * sum(counts) if size and counts else None


def _windows() -> int | None:
    import ctypes

    class Status(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_ulong), ("load", ctypes.c_ulong), ("total", ctypes.c_ulonglong), ("available", ctypes.c_ulonglong),
            *((name, ctypes.c_ulonglong) for name in ("page_total", "page_available", "virtual_total", "virtual_available", "extended")),
        )  # fmt: skip

    status = Status()
    status.length = ctypes.sizeof(status)
    system = getattr(ctypes, "windll", None)
    if system is None or not system.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return None
    return int(status.available)


def _cuda() -> int | None:
    """What is free on the card, and what torch holds of it without using it."""
    import torch

    if not torch.cuda.is_available():
        return None
    left, _ = torch.cuda.mem_get_info()
    return int(left + torch.cuda.memory_reserved() - torch.cuda.memory_allocated())


def _mps() -> int | None:
    import torch

    if not torch.backends.mps.is_available():
        return None
    return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
