"""In what the versions that the SIMULATED ComfyUI imitates differ on the wire; ``--imitate`` chooses one."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Version:
    """One row of ``VERSIONS``; every field was seen on a real server of that version."""

    uuid_only: bool  # a prompt_id must be a canonical UUID; otherwise any value serves, as text
    names_the_problem: bool  # unknown classes and cycles have error types of their own
    ui_format_is_500: bool  # a workflow in UI format is answered in text, not as refused
    cached_shows_to_all: bool  # a cached repeat has outputs in the history though it has no client_id
    create_time: bool  # in extra_data
    jobs: bool  # /api/jobs


VERSIONS: Mapping[str, Version] = {
    "0.3": Version(
        uuid_only=False,
        names_the_problem=False,
        ui_format_is_500=False,
        cached_shows_to_all=True,
        create_time=False,
        jobs=False,
    ),
    "0.9": Version(
        uuid_only=False,
        names_the_problem=False,
        ui_format_is_500=False,
        cached_shows_to_all=False,
        create_time=True,
        jobs=True,
    ),
    "0.33": Version(
        uuid_only=True,
        names_the_problem=True,
        ui_format_is_500=True,
        cached_shows_to_all=True,
        create_time=True,
        jobs=True,
    ),
}
NEWEST = "0.33"
