"""Linux: what a command is kept from by the kernel, applied between fork and exec, without any dependency.

Each layer is a row of ``LAYERS``. A layer that cannot be applied raises OSError and has changed nothing that harms.
The order is that of ``LAYERS``: what needs privileges comes before what takes them away.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

assert sys.platform == "linux"

from .quiet import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)

_NEWNS, _NEWUSER = 0x20000, 0x10000000
_RDONLY, _REMOUNT, _BIND, _REC, _SLAVE = 1, 32, 4096, 16384, 1 << 19
_SET_SECCOMP, _CAPBSET_DROP, _NO_NEW_PRIVS, _FILTER = 22, 24, 38, 2
_SCOPE_SIGNAL, _SCOPE_ABI = 2, 6
_CAPABILITY_V3 = 0x20080522

# what leads out of the read-only view, into the kernel or to the end of the machine: raw memory, modules, tracing,
# mounts, handles, reboot, MAC, BPF and checkpoints. As in a container, the rest of root's powers stays.
_FORBIDDEN_CAPABILITIES = (2, 16, 17, 19, 21, 22, 32, 33, 38, 39, 40)

# x86-64 and arm64 numbers of: reboot, kexec_load, kexec_file_load, init_module, finit_module, delete_module, swapon,
# swapoff, settimeofday, clock_settime, open_by_handle_at, pidfd_getfd
_FORBIDDEN_CALLS = {
    0xC000003E: (169, 246, 320, 175, 313, 176, 167, 168, 164, 227, 304, 438),
    0xC00000B7: (142, 104, 294, 105, 273, 106, 224, 225, 170, 112, 265, 438),
}
_PRLIMIT = {0xC000003E: 302, 0xC00000B7: 261}
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def _mounts(rules: Mapping[str, Any]) -> None:
    """A view of the file system of its own, in which the folders are read-only, and no power to change that view."""
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        _call("unshare", _NEWNS)
    else:
        _call("unshare", _NEWNS | _NEWUSER)
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:  # noqa: PTH123
                file.write(text)
    # mounts that appear outside later are seen here too, never the other way round
    _call("mount", None, b"/", None, _REC | _SLAVE, None)
    for folder in rules["read_only"]:
        path = os.fsencode(folder)
        _call("mount", path, path, None, _BIND, None)
        # flags that the file system has already (nosuid, nodev, …) may not be dropped by an ordinary user
        kept = os.statvfs(folder).f_flag & 0x0E
        _call("mount", None, path, None, _BIND | _REMOUNT | _RDONLY | kept, None)
    _drop_capabilities(range(64) if uid else _FORBIDDEN_CAPABILITIES)


def _drop_capabilities(numbers: Sequence[int]) -> None:
    for number in numbers:
        _prctl(_CAPBSET_DROP, number, checked=False)  # unknown to an older kernel: not there to be had
    header = struct.pack("Ii", _CAPABILITY_V3, 0)
    data = ctypes.create_string_buffer(24)
    _call("capget", header, data)
    keep = ~sum(1 << number for number in numbers)
    words = list(struct.unpack("6I", data.raw))  # effective, permitted, inheritable of the lower 32, then the upper
    halves = [word & (keep >> 32 * (at // 3)) & 0xFFFFFFFF for at, word in enumerate(words)]
    _call("capset", header, struct.pack("6I", *halves))


def _landlock(_rules: Mapping[str, Any]) -> None:
    """No signal to, and no tracing of, any process but those that this one starts; also for root, also ``kill -1``."""
    if _libc.syscall(444, None, ctypes.c_size_t(0), 1) < _SCOPE_ABI:
        raise OSError(0, "this kernel cannot scope signals (Landlock of Linux 6.12)")
    attributes = struct.pack("QQQ", 0, 0, _SCOPE_SIGNAL)
    ruleset = _call("syscall", 444, attributes, ctypes.c_size_t(len(attributes)), 0)
    try:
        _prctl(_NO_NEW_PRIVS, 1)
        _call("syscall", 446, ruleset, 0)
    finally:
        os.close(ruleset)


def _seccomp(_rules: Mapping[str, Any]) -> None:
    """Calls fail with EPERM that end or change the whole machine, or set another process's limits."""
    architecture = _ARCHITECTURES.get(os.uname().machine)
    if architecture is None:
        raise OSError(0, f"no list of system calls for {os.uname().machine}")
    program = _filter(architecture)
    code = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    _prctl(_NO_NEW_PRIVS, 1)
    _prctl(_SET_SECCOMP, _FILTER, ctypes.c_char_p(head))


def _filter(architecture: int) -> bytes:
    """Classic BPF over struct seccomp_data (number at 0, architecture at 4, first argument at 16)."""
    load, equal, at_least, give = 0x20, 0x15, 0x35, 0x06
    allow, deny = (give, 0, 0, 0x7FFF0000), (give, 0, 0, 0x00050001)  # EPERM
    calls = _FORBIDDEN_CALLS[architecture]
    steps = [(load, 0, 0, 4), (equal, 1, 0, architecture), deny, (load, 0, 0, 0)]
    steps += [(at_least, 0, 1, 0x40000000), deny]  # the x32 twins of the same calls
    for number in calls:
        steps += [(equal, 0, 1, number), deny]
    # prlimit: on oneself only (pid 0)
    steps += [(equal, 0, 3, _PRLIMIT[architecture]), (load, 0, 0, 16), (equal, 1, 0, 0), deny, allow]
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def _call(name: str, *arguments: Any) -> int:
    result = int(getattr(_libc, name)(*arguments))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def _prctl(option: int, argument: Any, more: Any = 0, *, checked: bool = True) -> None:
    if _libc.prctl(option, argument, more, 0, 0) and checked:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


LAYERS = {"mounts": _mounts, "landlock": _landlock, "seccomp": _seccomp}
