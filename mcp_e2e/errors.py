"""Every anticipated failure: a code for machines, a sentence for people, a remedy for the next move.

Doors translate these once: MCP into an ``isError`` result with ``{code, message, remedy}``, the command line into
its envelope and ``exit_status``. Anything that is not an ``E2EError`` is a defect of ours.
"""

from typing import Any, ClassVar


class E2EError(Exception):
    """Base of all anticipated failures; ``facts`` are JSON values that a program may want beside the sentence."""

    code: ClassVar[str] = "internal"
    remedy: ClassVar[str] = "This is a defect of mcp_e2e: please report it with the log."
    exit_status: ClassVar[int] = 3

    def __init__(self, message: str, *, remedy: str | None = None, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.advice = remedy or type(self).remedy
        self.facts = facts

    @classmethod
    def restored(cls, code: str, message: str, advice: str, facts: dict[str, Any]) -> "E2EError":
        """A stored failure as the class it was; the base class where that is not known any more."""
        known: list[type[E2EError]] = [E2EError]
        for error in known:
            known += error.__subclasses__()
        chosen = next((error for error in known if error.code == code and error is not Refused), E2EError)
        return chosen(message, remedy=advice, **facts)

    def __str__(self) -> str:
        return f"{self.message} -> {self.advice}"


class ConfigError(E2EError):
    """The configuration file, ``.env`` or an ``MCP_E2E_*`` variable is missing, unreadable or wrong."""

    code, exit_status = "config", 8
    remedy = "Correct mcp-e2e.toml; it is read again at the next call."


class UsageError(E2EError):
    """A caller's arguments are wrong; nothing ran."""

    code, exit_status = "usage", 2
    remedy = "Correct the arguments and call again."


class NothingSelected(UsageError):
    """A test selection matched nothing; an empty selection never means everything."""

    code, exit_status = "nothing_selected", 5
    remedy = "Choose from the tests that status lists."


class SetupError(E2EError):
    """A test could not even start (missing file, program, node, model, variable): no attempt, never red."""

    code, exit_status = "setup", 8
    remedy = "Repair what the message names, then call again."


class Contradiction(E2EError):
    """A checkpoint claims something else than the server observed."""

    code, exit_status = "contradicts_verdict", 2
    remedy = "Record what the server observed, or repair the cause and run the test again."


class Refused(E2EError):
    """The guard or the breaker stopped the call before it ran.

    ``facts`` is the contract's structured refusal, ``text`` its words for an agent.
    """

    code, exit_status = "refused", 6
    remedy = "Stop, and tell the user what the refusal says."

    def __init__(self, message: str, *, text: str, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.text = text


class NeedsConfirmation(UsageError):
    """A command may destroy what cannot be got back; nothing ran."""

    code = "needs_confirmation"
    remedy = "Ask the user; if they agree, call again with confirm=true (on the command line: --yes)."


class Forbidden(UsageError):
    """A command would touch mcp_e2e's own state or processes; nothing ran."""

    code = "forbidden"
    remedy = "Use stop_session, job(cancel) or report for it; a person's decisions are made by a person in a terminal."


class Differs(E2EError):
    """Files are not as this version would write them."""

    code, exit_status = "differs", 1
    remedy = "Call the same command without --check."


class NotFound(E2EError):
    """A run, job, attempt, service or artifact with that id does not exist here."""

    code, exit_status = "not_found", 2
    remedy = "Take an id from status, job(list) or report(run='list')."


class ServiceUnavailable(E2EError):
    """A service cannot be started, reached or used."""

    code, exit_status = "service_unavailable", 4
    remedy = "Read log_tail, repair the cause, then start_session again."


class PortTaken(ServiceUnavailable):
    """Another program listens on the service's port."""

    code = "port_taken"
    remedy = "Stop that program yourself, choose another port, or set port = 0 for a free one."


class ServiceInUse(ServiceUnavailable):
    """Another client's attempt runs on the service."""

    code = "service_in_use"
    remedy = "Wait until that attempt has ended; status shows it."


class LockHeld(E2EError):
    """Another process holds a lock for longer than we may wait."""

    code, exit_status = "lock_held", 9
    remedy = "Wait for the named holder to end, then call again."


class StoreError(E2EError):
    """The state folder or its database cannot be used (network file system, newer version, read-only, damaged)."""

    code, exit_status = "store", 8
    remedy = "Set [project] state_dir to a local, writable folder."


class LaunchError(E2EError):
    """A process could not be started: program missing, not executable, folder gone, keeper not running."""

    code, exit_status = "launch", 4
    remedy = "Check that the program exists and may be executed."


class Unsupported(E2EError):
    """This operating system lacks what is asked for."""

    code, exit_status = "unsupported", 4
    remedy = "See the README's table of platforms."
