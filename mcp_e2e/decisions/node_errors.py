"""What a node that raised means: node, class, the inputs concerned and what to change, in at most 500 characters.

Each row of ``CAUSES`` is one kind of failure that says the same of every workflow; what no row knows is told as it is.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mcp_e2e.model.runs import FailureKind
from mcp_e2e.model.work import NodeError

MOST_CHARACTERS = 500
_READ_CHARACTERS = 4_000  # of a message; some quote a whole model's keys
_TITLE_CHARACTERS = 40
_MOST_INPUTS = 4
_INPUTS_CHARACTERS = 120

OUT_OF_MEMORY = re.compile(
    r"out[ _]of[ _](?:(?:device|host|gpu|video|cuda)[ _])?memory|OutOfMemory|MemoryError|bad_alloc|_ALLOC_FAILED"
    r"|cudaErrorMemoryAllocation|DefaultCPUAllocator|can(?:no|')t allocate memory"
    r"|not enough (?:gpu |video |system )*memory|(?:unable|failed) to allocate (?:\d|memory|(?:\w+ )?(?:buffer|tensor))"
    r"|could not allocate (?:tensor|memory|buffer)|paging file is too small|(?:WinError|os error) 1455",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Cause:
    """``shows`` finds it in ``exception: message``, ``inputs`` the names of the inputs that have a part in it."""

    name: str
    shows: re.Pattern[str]
    inputs: re.Pattern[str]
    fix: str
    kind: FailureKind = "execution_error"


@dataclass(frozen=True)
class Reading:
    """``cause`` is equal for equal causes; ``sentence`` is what people read."""

    kind: FailureKind
    sentence: str
    cause: str


def _cause(name: str, shows: str, inputs: str, fix: str) -> Cause:
    return Cause(name, re.compile(shows, re.IGNORECASE), re.compile(inputs), fix)


_SIZES = r"width|height|batch|length|frames|size|scale|megapixels|resolution|latent|samples|^images?$|pixels"
_FILES = r"_name\d?$|^(?:file|model|path)"
_MEDIA = r"image|video|audio|file|path|mask"
_MODELS = r"model|vae|clip|lora|control_net|latent|samples|positive|negative|images?\d?$|pixels|mask"
_NONE = r"(?!)"

CAUSES = (
    Cause(
        "out of memory",
        OUT_OF_MEMORY,
        re.compile(_SIZES),
        "Make the picture or the batch smaller, take a smaller or quantized model, or end what else uses the memory.",
        "out_of_memory",
    ),
    _cause(
        "disk full",
        r"Errno (?:28|122)\b|no space left|disk quota|WinError 112\b|not enough space on the disk",
        _NONE,
        "Free disk space where ComfyUI writes; the file it was writing may have been left cut off.",
    ),
    _cause(
        "outside of outputs",
        r"outside (?:of )?the (?:output|save)",
        r"prefix|path|folder",
        "Give a filename_prefix that is relative and holds no '..': files are saved below the output folder only.",
    ),
    _cause(
        "damaged model file",
        r"SafetensorError|UnpicklingError|weights.only load failed|incomplete metadata|header too (?:large|small)"
        r"|invalid ?header|PytorchStreamReader|invalid load key|magic number|BadZipFile|EOFError|data was truncated",
        _FILES,
        "The file is damaged, cut off or no model: compare its size with the original and download it again,"
        " or choose another file.",
    ),
    _cause(
        "file of another kind",
        r"could not detect model type|unsupported model|is not a valid \w+ (?:model|file)",
        _FILES,
        "The file holds another kind of model than this loader takes: move it to the models folder of its kind and load"
        " it with the loader for that, or choose another file.",
    ),
    _cause(
        "part not in checkpoint",
        r"(?:clip|vae|text encoder)[\w ]{0,40} (?:input )?is invalid: None|does not contain a valid (?:clip|vae)",
        r"clip|vae",
        "The checkpoint has no such part: add a node that loads it from a file of its own (CLIPLoader, VAELoader).",
    ),
    _cause(
        "nothing came in",
        r"'NoneType' object (?:has no attribute|is not)",
        r"",
        "A node before this one gave nothing, for example a checkpoint without VAE or text encoder: look at those it is"
        " linked to.",
    ),
    _cause(
        "unreadable input file",
        r"UnidentifiedImageError|cannot identify image|InvalidDataError|invalid data found|image file is truncated"
        r"|broken data stream|truncated file read|DecompressionBomb",
        _MEDIA,
        "That file is no readable picture, video or sound: put a valid one of this name into ComfyUI's input folder,"
        " or choose another.",
    ),
    _cause(
        "mismatch",
        r"shapes? cannot be multiplied|size mismatch|must match the size|sizes of tensors must match"
        r"|(?:to have|expected) \d+ channels|loading state_dict|is invalid for input of size|could not be broadcast"
        r"|expanded size",
        _MODELS,
        "Models of different families or pictures of different sizes meet here: take checkpoint, LoRA, VAE, ControlNet"
        " and latent of one family (all SD1.5, all SDXL, ...), and pictures of one size.",
    ),
    _cause(
        "GPU not supported",
        r"no kernel image|not compiled with (?:CUDA|ROCm)|no NVIDIA driver|not (?:implemented|supported) on the MPS",
        _NONE,
        "This PyTorch does not fit the device: install the build for it into ComfyUI's Python, or start it with --cpu.",
    ),
    _cause(
        "GPU fault",
        r"device-side assert|illegal memory access|unspecified launch failure|(?:CUDA|HIP|cuDNN|CUBLAS) error",
        _NONE,
        "A GPU that failed stays failed in this process: stop_session and start_session before the next test.",
    ),
    _cause(
        "different devices",
        r"expected all tensors to be on the same device|found at least two devices",
        _MODELS,
        "A node left its tensors on another device: update the custom nodes before it, or leave them out.",
    ),
    _cause(
        "missing Python package",
        r"ModuleNotFoundError|ImportError|No module named",
        _NONE,
        "Install the package it names into ComfyUI's own Python (the custom node's requirements.txt), then restart it.",
    ),
    _cause(
        "missing file",
        r"FileNotFoundError|Errno 2\b|no such file|WinError [23]\b",
        _MEDIA + "|" + _FILES,
        "Put the file where the message says, or correct the input that names it.",
    ),
    _cause(
        "not permitted",
        r"PermissionError|Errno (?:13|30)\b|permission denied|read-only file system|WinError 5\b",
        r"prefix|path|folder|file",
        "Let the user that runs ComfyUI read and write that path, or use another one.",
    ),
)


def explain(error: NodeError) -> Reading:
    """What ``error`` means, with the fix where its kind is known or the custom node that it comes from."""
    words = _words(error.message[:_READ_CHARACTERS])
    said = f"{error.exception}: {words}" if words else error.exception
    known = next((cause for cause in CAUSES if cause.shows.search(said)), None)
    told = _concerned(error, known, said)
    concerned = _listed(error, told)
    shown = told if told or known else [name for name in error.inputs if not _linked(error, name)]
    given = _listed(error, [name for name in shown if error.inputs[name].strip("'") != words])  # said already
    where = node_label(error.node, error.node_class, error.title) + (f" with {given}" if given else "")
    came = f" (in custom node {error.custom_node})" if error.custom_node else ""
    fix = known.fix if known else _unknown(error)
    most = MOST_CHARACTERS - len(where) - len(came) - len(fix) - 4  # ": ", ". "
    sentence = f"{where}: {_cut(said.rstrip('.') if came or fix else said, most)}{came}"
    if fix:
        sentence = f"{_ended(sentence)} {fix}"
    if known is not None and known.kind == "out_of_memory":  # how much was free, and what asked for more, is chance
        return Reading(known.kind, sentence, f"node {error.node}: {known.name}; {concerned}")
    return Reading("execution_error", sentence, f"node {error.node}: {_cut(said, 120)}; {concerned}")


def node_label(node: str, node_class: str, title: str | None = None) -> str:
    """``node 3 (KSampler)``, with its title where that says more than its class."""
    plain = " ".join((title or "").split())
    told = plain and plain.replace(" ", "").casefold() != node_class.casefold()
    return f"node {node} {_quoted(plain)} ({node_class})" if told else f"node {node} ({node_class})"


def _quoted(title: str) -> str:
    return f'"{_cut(title, _TITLE_CHARACTERS)}"'


def _concerned(error: NodeError, known: Cause | None, said: str) -> list[str]:
    """The inputs whose value the message quotes, and those that the cause is about."""
    named = [name for name in error.inputs if known is not None and known.inputs.search(name)]
    quoted = [name for name, value in error.inputs.items() if _quotes(said, value.strip("'"))]
    return list(dict.fromkeys([*quoted, *named]))


def _quotes(said: str, value: str) -> bool:
    return len(value) > 3 and re.search(rf"(?<!\w){re.escape(value)}(?!\w)", said) is not None


def _linked(error: NodeError, name: str) -> bool:
    return error.inputs[name].startswith("from node ")


def _listed(error: NodeError, names: Sequence[str]) -> str:
    return _cut(", ".join(f"{name} = {error.inputs[name]}" for name in names[:_MOST_INPUTS]), _INPUTS_CHARACTERS)


def _unknown(error: NodeError) -> str:
    return f"Give {error.custom_node} the inputs it expects, or update or repair it." if error.custom_node else ""


def _words(message: str) -> str:
    """The message in one line, without stars, a server's tips, and the advice to load a file without any check."""
    told = re.split(r"This error means you ran out of memory|In PyTorch 2\.6,", message, maxsplit=1)[0]
    return re.sub(r"^[*\s]*(?:ERROR:?\s+)?", "", " ".join(told.split()))


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "…")) else f"{text}."


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: max(most - 1, 20)].rstrip()}…"
