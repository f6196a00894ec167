"""A span of time as people write it: 30m, 24h, 7d."""

import re

import click

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class Span(click.ParamType[float]):
    """Seconds, more than none. Several units add up: 1h30m."""

    name = "span"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        parts = re.findall(r"(\d+(?:\.\d+)?)([smhdw])", value)
        seconds = sum(float(count) * _UNITS[unit] for count, unit in parts)
        if "".join(count + unit for count, unit in parts) != value or not 0 < seconds < float("inf"):
            self.fail(f"{value!r} is no span of time: write 90s, 30m, 24h, 7d or 2w.", param, ctx)
        return seconds
