"""What a keeper is to execute, and within what."""

from __future__ import annotations

from .quiet import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


GROUP = "cgroup"  # told among the layers of confinement: a control group holds the tree to its limits
CLIENT_JOB = "client-job"  # told among the layers of confinement, though none: the job ends when the client does


class Program:
    """``confinement`` and ``limits`` are ``model.jobs``'s, as the spec has them."""

    def __init__(
        self,
        argv: Sequence[str],
        cwd: str,
        env: Mapping[str, str],
        confinement: Mapping[str, Any] | None = None,
        limits: Mapping[str, Any] | None = None,
    ) -> None:
        self.argv, self.cwd, self.env = argv, cwd, env
        self.confinement = confinement or {"layers": (), "required": False}
        self.limits = limits or {}
