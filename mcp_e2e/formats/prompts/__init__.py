"""Prompts as files for editors and agents: a module and a row for each target. Pure: templates in, texts out."""

from collections.abc import Callable, Mapping, Sequence

from mcp_e2e.formats.prompts import prompt_file, skill
from mcp_e2e.model.prompts import Template

Files = Mapping[str, str]
"""Whole files: paths below the target folder, with ``/``, and their texts."""

TARGETS: Mapping[str, Callable[[Sequence[Template]], Files]] = {
    "skills": skill.files,
    "vscode": prompt_file.files,
}
