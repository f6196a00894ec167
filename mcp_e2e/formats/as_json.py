"""The report as JSON: ``data`` for answers, ``render`` for files. Times as ISO 8601, absent things left out."""

import json
from dataclasses import asdict
from typing import Any

from mcp_e2e.formats.clean import utc
from mcp_e2e.model.report import Report

SCHEMA = "mcp-e2e/report/1"


def data(report: Report) -> dict[str, Any]:
    """JSON values of the whole report; ``counts``, rates and durations keep their zeros and an unknown rate is null."""
    told: dict[str, Any] = _without_nothing(asdict(report))
    told.update({name: utc(told[name]) for name in ("started", "ended", "written") if name in told})
    return {**told, "duration_s": round(report.duration_s, 3), "success_rate": report.success_rate}


def _without_nothing(value: Any) -> Any:
    match value:
        case dict():
            return {key: _without_nothing(item) for key, item in value.items() if item not in (None, "")}
        case tuple() | list():
            return [_without_nothing(item) for item in value]
    return value


def render(report: Report) -> str:
    """The report with its ``schema``, indented, ending with a newline; every character can be written as UTF-8."""
    text = json.dumps({"schema": SCHEMA, **data(report)}, indent=2, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode("utf-8") + "\n"
