"""The guard's rules, each a pure function ``(window, call) -> Ruling | None``; ``decisions.guard`` holds their table.

Thresholds are numbers of calls, the judged one included.
"""
