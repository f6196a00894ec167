"""Time that a session saved by staying alive, and how it was reckoned: measured facts only. Pure."""

from collections.abc import Iterable, Sequence
from statistics import median

from mcp_e2e.decisions.wording import some
from mcp_e2e.model.report import AttemptLine, ModelUse, SlotLine
from mcp_e2e.model.runs import Run, Verdict

TOLD = 3  # tests that the formula names


def boot_saved(run: Run, boots: Sequence[float]) -> tuple[float | None, str | None]:
    """Seconds not spent on booting, and how they were reckoned; None when no boot was measured."""
    if not boots:
        return None, None
    joined = sum(bool(attempt.joined_running) for slot in run.slots for attempt in slot.attempts if not attempt.open)
    boot_s = median(boots)
    saved_s = round(joined * boot_s, 1)
    how = (
        f"{some(joined, 'attempt')} found the service running x {boot_s:.1f} s"
        f" (median of {some(len(boots), 'measured boot')}) = {saved_s} s"
    )
    return saved_s, how


def model_uses(tests: Iterable[SlotLine]) -> tuple[ModelUse, ...]:
    """Each test with each set of models its attempts loaded, equal sets beside each other."""
    found: dict[tuple[tuple[str, ...], str], list[tuple[int, AttemptLine]]] = {}
    for line in sorted(tests, key=lambda line: line.slot):
        for attempt in line.attempts:
            if attempt.models:
                found.setdefault((attempt.models, line.test), []).append((line.slot, attempt))
    return tuple(_use(*key, tries) for key, tries in sorted(found.items()))


def _use(models: tuple[str, ...], test: str, tries: Sequence[tuple[int, AttemptLine]]) -> ModelUse:
    slots = tuple(dict.fromkeys(slot for slot, _ in tries))
    cold, warm = (_seconds((attempt for _, attempt in tries), wanted) for wanted in (False, True))
    cold_s, warm_s = (round(median(each), 3) if each else None for each in (cold, warm))
    saved_s = None
    if cold_s is not None:
        saved_s = 0.0 if warm_s is None else round(max(0.0, len(warm) * (cold_s - warm_s)), 1)
    return ModelUse(models, test, slots, len(cold), len(warm), cold_s, warm_s, saved_s)


def _seconds(attempts: Iterable[AttemptLine], warm: bool) -> list[float]:
    """Of passed attempts only: a failure may have come before or long after the models were loaded."""
    passed = (attempt for attempt in attempts if attempt.verdict is Verdict.PASSED and attempt.warm is warm)
    return [attempt.duration_s for attempt in passed if attempt.duration_s is not None]


def load_saved(uses: Sequence[ModelUse]) -> tuple[float | None, str | None]:
    """Seconds not spent on loading models, and how they were reckoned; None where no cold attempt passed."""
    measured = [use for use in uses if use.saved_s is not None]
    if not measured:
        return None, None
    saved_s = round(sum(use.saved_s or 0.0 for use in measured), 1)
    by_most = sorted(measured, key=lambda use: -(use.saved_s or 0.0))
    more = [f"{some(len(measured) - TOLD, 'more test')}"] if len(measured) > TOLD else []
    parts = "; ".join([*map(_reckoned, by_most[:TOLD]), *more])
    unknown = sum(use.saved_s is None and use.warm > 0 for use in uses)
    besides = f"; {some(unknown, 'test')} without a cold attempt not counted" if unknown else ""
    return saved_s, f"warm attempts x (median cold - median warm) of those that passed: {parts}{besides} = {saved_s} s"


def _reckoned(use: ModelUse) -> str:
    if use.warm_s is None:
        return f"{use.test} 0 warm"
    return f"{use.test} {use.warm} x ({use.cold_s:.2f} s - {use.warm_s:.2f} s)"
