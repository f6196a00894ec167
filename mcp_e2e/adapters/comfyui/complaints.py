"""One complaint of a server about one input as a sentence: what it got, what it takes, what to change. Pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from mcp_e2e.adapters.comfyui import wiring
from mcp_e2e.adapters.comfyui.raised import shown
from mcp_e2e.adapters.comfyui.workflow import Graph, ModelFile, is_link, model_files

_SHOWN_CHOICES = 5
_FILE = re.compile(r"\.[A-Za-z]\w{1,10}(?: \[\w+\])?$")
_MODEL_FOLDERS = {
    "ckpt_name": "checkpoints",
    "clip_name": "text_encoders",
    "control_net_name": "controlnet",
    "gligen_name": "gligen",
    "hypernetwork_name": "hypernetworks",
    "lora_name": "loras",
    "style_model_name": "style_models",
    "unet_name": "diffusion_models",
    "vae_name": "vae",
}
_CLASS_FOLDERS = {"CLIPVisionLoader": "clip_vision", "UpscaleModelLoader": "upscale_models"}
_KINDS = {"INT": "a whole number", "FLOAT": "a number", "BOOLEAN": "true or false", "STRING": "text"}


@dataclass(frozen=True)
class Complaint:
    """One entry of a node's ``errors``; ``value`` is what our graph has there when the server does not say."""

    graph: Graph
    node: str
    kind: str
    message: str
    details: str
    extra: Mapping[str, Any]

    @property
    def input(self) -> str:
        return str(self.extra.get("input_name") or "?")

    @property
    def value(self) -> Any:
        own = self.graph.nodes.get(self.node, {}).get("inputs", {}).get(self.input)
        return self.extra.get("received_value", own)

    @property
    def config(self) -> Sequence[Any]:
        """``[type or choices, options]`` of the input."""
        found = self.extra.get("input_config")
        return found if isinstance(found, list) and found else (None,)

    def limit(self, name: str) -> str:
        options = self.config[1] if len(self.config) > 1 else None
        return f" {options[name]}" if isinstance(options, Mapping) and name in options else ""


def told(graph: Graph, node: str, error: Mapping[str, Any]) -> str:
    """What follows the node's name."""
    extra = error.get("extra_info")
    complaint = Complaint(
        graph,
        node,
        str(error.get("type") or "invalid"),
        " ".join(str(error.get("message") or "").split()),
        " ".join(str(error.get("details") or "").split()),
        extra if isinstance(extra, Mapping) else {},
    )
    return _TOLD.get(complaint.kind, _plain)(complaint)


def _plain(it: Complaint) -> str:
    where = f"input {it.input} = {shown(it.value)}: " if "input_name" in it.extra else ""
    said = ": ".join(text for text in (it.message or it.kind, it.details) if text)
    return f"{where}{said}"


def _missing(it: Complaint) -> str:
    return f"input {it.input} is missing: set it, or export the workflow again from the version of ComfyUI it runs on"


def _choice(it: Complaint) -> str:
    choices = choices_of(it.extra.get("input_config"))
    if choices is None:
        return _plain(it)
    for model in model_files(it.graph):
        if (model.node, model.input) == (it.node, it.input):
            return missing_model(model, choices)
    return f"input {it.input}: {shown(it.value)} is not a valid choice{nearest(it.value, choices)}"


def _too_big(it: Complaint) -> str:
    return f"input {it.input} = {shown(it.value)} is too big: give at most{it.limit('max')}"


def _too_small(it: Complaint) -> str:
    return f"input {it.input} = {shown(it.value)} is too small: give at least{it.limit('min')}"


def _type(it: Complaint) -> str:
    wanted = str(it.config[0])
    return f"input {it.input} = {shown(it.value)} cannot be read as {wanted}: give {_KINDS.get(wanted, f'a {wanted}')}"


def _mismatch(it: Complaint) -> str:
    link = it.extra.get("linked_node") or it.value
    gives, takes = it.extra.get("received_type", "another type"), it.config[0]
    takes = takes if isinstance(takes, str) else "one of a list"
    feeder = f"output {link[1]} of {wiring.label(it.graph, link[0])}" if is_link(link) else "the node it is linked to"
    return f"input {it.input} takes {takes}, but {feeder} gives {gives}: link it to an output that gives {takes}"


def _no_link(it: Complaint) -> str:
    return (
        f'input {it.input} = {shown(it.value)} is a list, and a list can only be a link, ["<node id>", <output>]:'
        " link it or give a plain value"
    )


def _custom(it: Complaint) -> str:
    why = it.details.removeprefix(f"{it.input} - ").removeprefix(it.input).strip(" -:") or it.message
    if not isinstance(it.value, str) or not _FILE.search(it.value):
        return f"input {it.input} = {shown(it.value)} is refused by the node: {why}; change it accordingly"
    return (
        f"input {it.input} = {shown(it.value)} is refused by the node: {why}; put that file into ComfyUI's input"
        " folder, or name one that is there"
    )


_TOLD: Mapping[str, Callable[[Complaint], str]] = {
    "required_input_missing": _missing,
    "value_not_in_list": _choice,
    "value_bigger_than_max": _too_big,
    "value_smaller_than_min": _too_small,
    "invalid_input_type": _type,
    "return_type_mismatch": _mismatch,
    "bad_linked_input": _no_link,
    "custom_validation_failed": _custom,
}


def choices_of(config: object) -> Sequence[object] | None:
    """The values an input accepts when it is a list to choose from, else None; both the old and the new spelling."""
    if not isinstance(config, Sequence) or isinstance(config, str) or not config:
        return None
    if isinstance(config[0], Sequence) and not isinstance(config[0], str):
        return config[0]
    options = config[1].get("options") if len(config) > 1 and isinstance(config[1], Mapping) else None
    return options if config[0] == "COMBO" and isinstance(options, Sequence) else None


def nearest(received: object, choices: Sequence[object]) -> str:
    """``; nearest: 'x'`` or the first few choices; empty-handed it says that there are none."""
    texts = [str(choice) for choice in choices]
    if not texts:
        return "; the server has none to choose from"
    alike = {_stem(text): text for text in reversed(texts)}
    near = get_close_matches(_stem(str(received)), alike, n=1, cutoff=0.6)
    if near:
        return f"; nearest: {alike[near[0]]!r}"
    more = f" and {len(texts) - _SHOWN_CHOICES} more" if len(texts) > _SHOWN_CHOICES else ""
    return f"; valid: {', '.join(map(repr, texts[:_SHOWN_CHOICES]))}{more}"


def _stem(name: str) -> str:
    """The name of a file in whatever folder without its suffix: files are not alike for being of one kind."""
    return re.split(r"[\\/]", _FILE.sub("", name))[-1].casefold()


def missing_model(model: ModelFile, choices: Sequence[object]) -> str:
    """A model file that the server does not list, and where it belongs."""
    folder = _CLASS_FOLDERS.get(model.node_class) or _MODEL_FOLDERS.get(model.input.rstrip("0123456789"))
    return (
        f"input {model.input}: model {model.file!r} is not installed; put it into models/{folder or '<its folder>'}"
        f" or choose another{nearest(model.file, choices)}"
    )
