"""A whole scope, seen part by part. What is named one by one comes first: a huge folder must not crowd it out."""

import os
from pathlib import Path

from mcp_e2e.world.checkouts import GIT_SHARE, checkout_of, is_checkout, see_checkout
from mcp_e2e.world.fingerprint import Scope
from mcp_e2e.world.git import GitFailed, ignores
from mcp_e2e.world.looking import Look, inside
from mcp_e2e.world.walk import relative, see_folder, see_glob


def see(scope: Scope, look: Look) -> None:
    """Blocks until all is counted, or the look's budget is spent."""
    project = os.path.realpath(scope.project)
    excluded = map(os.path.realpath, scope.excluded)
    look.exclude([folder for folder in excluded if not inside(project, folder)])
    for file in scope.files:
        path = str(Path(os.path.realpath(file.parent)) / file.name)  # of the file itself it would follow the link
        look.file(b"file " + _label(path, project), path, follow=True)
    for base, pattern in scope.globs:
        folder = os.path.realpath(base)
        see_glob(look, folder, pattern, b"glob " + _label(folder, project))
    _see_project(look, project)
    for watched in scope.watched:
        _see_watched(look, os.path.realpath(watched), project)


def _see_project(look: Look, project: str) -> None:
    root = checkout_of(project)
    if root is None:
        see_folder(look, project, b"project")
        return
    try:
        see_checkout(look, root, b"project")
        ignored = project != root and ignores(look.git, root, project, look.budget.share(GIT_SHARE))
    except GitFailed as failed:
        look.note(f"{failed}, so the files of the project folder were compared without it")
        ignored = True
    if ignored:  # git would be silent about every edit in it
        see_folder(look, project, b"folder")


def _see_watched(look: Look, folder: str, project: str) -> None:
    label = b"watched " + _label(folder, project)
    if not is_checkout(folder):  # a folder inside one may be ignored there, as ComfyUI ignores its custom nodes
        look.file(label, folder)
        see_folder(look, folder, label)
        return
    try:
        see_checkout(look, folder, label)
    except GitFailed as failed:
        look.note(f"{failed}, about {Path(folder).name}")
        see_folder(look, folder, label)


def _label(path: str, project: str) -> bytes:
    """Where it lies in the project; outside, its name only: another clone has its neighbours elsewhere."""
    return relative(path, project) if inside(path, project) else b"~ " + os.fsencode(Path(path).name)
