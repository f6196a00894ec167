"""What a node that raised means: kind, inputs, custom node and fix."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_e2e.decisions import verdict
from mcp_e2e.decisions.node_errors import CAUSES, OUT_OF_MEMORY, explain, node_label
from mcp_e2e.model.work import Collected, NodeError, PromptFacts

PLAIN = NodeError("7", "VAEDecode", "ValueError", "bad latent\n")

MEMORY = (
    "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB",
    "torch.OutOfMemoryError: Allocation on device",
    "RuntimeError: CUDA error: out of memory",
    "RuntimeError: CUDA driver error: out of memory",
    "CUDA_ERROR_OUT_OF_MEMORY",
    "torch.OutOfMemoryError: HIP out of memory.",
    "hipErrorOutOfMemory",
    "RuntimeError: MPS backend out of memory (MPS allocated: 17.98 GB)",
    "XPU out of memory. Tried to allocate",
    "UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY",
    "NPU out of memory",
    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    "Could not allocate tensor with 402653184 bytes. There is not enough GPU video memory available!",
    "[enforce fail at alloc_cpu.cpp:114] . DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes.",
    "DefaultCPUAllocator: can't allocate memory: you tried to allocate 281474976710656 bytes",
    "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 256. TiB for an array",
    "MemoryError",
    "std::bad_alloc",
    "OSError: [Errno 12] Cannot allocate memory",
    "OSError: The paging file is too small for this operation to complete.",
    "SafetensorError: Could not map the file. (os error 1455)",
    "OSError: [WinError 1455] Not to be mapped",
    "Failed to allocate memory for requested buffer of size 67108864",
)
OTHER = (
    "ValueError: the batch has no memory of its order",
    "AssertionError: expected 3 images",
    "failed to allocate a port",
    "RuntimeError: memory format option is only supported by strided tensors",
    "KeyError: 'memory'",
)


@pytest.mark.parametrize("text", MEMORY)
def test_every_spelling_of_out_of_memory_is_known(text: str) -> None:
    """In a node's exception, and in the log of a command."""
    assert OUT_OF_MEMORY.search(text)
    name, _, message = text.partition(": ")
    assert explain(replace(PLAIN, exception=name, message=message)).kind == "out_of_memory"


@pytest.mark.parametrize("text", OTHER)
def test_other_words_about_memory_are_something_else(text: str) -> None:
    """A wrong out_of_memory would send an agent after sizes."""
    assert not OUT_OF_MEMORY.search(text)


@pytest.mark.parametrize(
    ("exception", "message", "name"),
    [
        ("OSError", "[Errno 28] No space left on device: '/x/y.png'", "disk full"),
        ("OSError", "[WinError 112] There is not enough space on the disk", "disk full"),
        ("Exception", "**** ERROR: Saving image outside the output folder is not allowed.", "outside of outputs"),
        (
            "safetensors_rust.SafetensorError",
            "Error while deserializing header: header too large",
            "damaged model file",
        ),
        ("RuntimeError", "PytorchStreamReader failed reading zip archive", "damaged model file"),
        ("_pickle.UnpicklingError", "invalid load key, '<'.", "damaged model file"),
        ("RuntimeError", "ERROR: Could not detect model type of: /m/x.safetensors", "file of another kind"),
        ("RuntimeError", "ERROR: clip input is invalid: None", "part not in checkpoint"),
        ("AttributeError", "'NoneType' object has no attribute 'decode'", "nothing came in"),
        ("PIL.UnidentifiedImageError", "cannot identify image file 'x.png'", "unreadable input file"),
        ("av.error.InvalidDataError", "[Errno 1094995529] Invalid data found: 'x.mp4'", "unreadable input file"),
        ("RuntimeError", "mat1 and mat2 shapes cannot be multiplied (77x2048 and 768x320)", "mismatch"),
        ("RuntimeError", "Given groups=1, expected input[1, 16, 8, 8] to have 4 channels, but got 16", "mismatch"),
        ("RuntimeError", "The size of tensor a (64) must match the size of tensor b (77)", "mismatch"),
        ("RuntimeError", "Error(s) in loading state_dict for UNet: size mismatch for x", "mismatch"),
        ("RuntimeError", "CUDA error: no kernel image is available for execution", "GPU not supported"),
        ("RuntimeError", "CUDA error: an illegal memory access was encountered", "GPU fault"),
        ("RuntimeError", "Expected all tensors to be on the same device, but found", "different devices"),
        ("ModuleNotFoundError", "No module named 'insightface'", "missing Python package"),
        ("FileNotFoundError", "[Errno 2] No such file or directory: '/x'", "missing file"),
        ("PermissionError", "[Errno 13] Permission denied: '/x'", "not permitted"),
    ],
)
def test_a_known_cause_is_told_with_its_fix(exception: str, message: str, name: str) -> None:
    """Red as an execution error, ending with what to change."""
    read = explain(replace(PLAIN, exception=exception, message=message))
    (cause,) = [cause for cause in CAUSES if cause.name == name]
    assert read.kind == "execution_error"
    assert read.sentence.startswith(f"node 7 (VAEDecode): {exception}: ")
    assert read.sentence.endswith(f". {cause.fix}")


def test_what_is_unknown_is_told_as_it_is_with_its_plain_inputs() -> None:
    """No fix is made up; the values are what an agent can change."""
    error = replace(PLAIN, inputs={"samples": "from node 3 (KSampler)", "mode": "'tiled'"})
    assert explain(error).sentence == "node 7 (VAEDecode) with mode = 'tiled': ValueError: bad latent"


def test_a_custom_node_is_named() -> None:
    """Its author is whom to ask, and its folder what to update."""
    read = explain(replace(PLAIN, custom_node="ComfyUI-Impact-Pack"))
    assert read.sentence == (
        "node 7 (VAEDecode): ValueError: bad latent (in custom node ComfyUI-Impact-Pack)."
        " Give ComfyUI-Impact-Pack the inputs it expects, or update or repair it."
    )


def test_the_inputs_that_matter_are_told_and_no_others() -> None:
    """By what the cause is about, or because the message quotes their value as a word."""
    inputs = {"ckpt_name": "'junk.safetensors'", "seed": "5", "style": "'euler'", "sampler": "'eule'"}
    damaged = replace(PLAIN, exception="SafetensorError", message="header too large", inputs=inputs)
    assert "(VAEDecode) with ckpt_name = 'junk.safetensors': Safe" in explain(damaged).sentence
    quoted = replace(PLAIN, message="there is no euler here, nor eulers", inputs=inputs)
    assert "(VAEDecode) with style = 'euler': Value" in explain(quoted).sentence


def test_an_input_that_says_what_the_message_says_is_not_told_twice() -> None:
    """A node that raises the text it was given."""
    error = replace(PLAIN, inputs={"message": "'bad latent'", "seed": "7"})
    assert explain(error).sentence == "node 7 (VAEDecode): ValueError: bad latent"


def test_how_much_memory_was_free_makes_no_new_cause_and_another_size_does() -> None:
    """What failed is the same; that the agent made the picture smaller is news."""
    said = "CUDA out of memory. Tried to allocate {} GiB. Process {} has {} GiB in use"
    error = replace(PLAIN, exception="torch.OutOfMemoryError", inputs={"width": "4096", "text": "'a cat'"})
    one = explain(replace(error, message=said.format(2.5, 4711, 7.8)))
    same = explain(replace(error, message="Allocation on device 0", inputs={"width": "4096", "text": "'a dog'"}))
    other = explain(replace(error, message=said.format(2.5, 4711, 7.8), inputs={"width": "2048"}))
    assert one.cause == same.cause != other.cause


def test_another_file_or_message_is_another_signature() -> None:
    """Through the verdict, as the breaker and the guard compare them."""

    def signature(file: str, message: str) -> str:
        error = NodeError("1", "CheckpointLoaderSimple", "SafetensorError", message, inputs={"ckpt_name": file})
        judged = verdict.of_prompt("t", PromptFacts("p", "error", (), (), error=error), Collected(()), {})
        assert judged.failure is not None
        return judged.failure.signature

    first = signature("'a.safetensors'", "header too large in /tmp/x1/a")
    assert first == signature("'a.safetensors'", "header too large in /tmp/x2/a")
    assert first != signature("'b.safetensors'", "header too large in /tmp/x1/a")
    assert first != signature("'a.safetensors'", "incomplete metadata")


@given(
    st.text(max_size=900),
    st.text(max_size=900),
    st.text(max_size=90),
    st.dictionaries(st.text(), st.text(), max_size=9),
)
def test_a_sentence_is_short_and_of_one_line_and_begins_with_the_node(
    message: str, exception: str, title: str, inputs: dict[str, str]
) -> None:
    """Whatever a node raises."""
    shown = {" ".join(name.split())[:30]: " ".join(value.split())[:60] for name, value in inputs.items()}
    error = NodeError("1", "A", " ".join(exception.split()), message, title=title, inputs=shown, custom_node="pack")
    read = explain(error)
    assert len(read.sentence) <= 500
    assert read.sentence.startswith("node 1 ")
    assert len(read.sentence.splitlines()) == 1


@pytest.mark.parametrize("fixed", [True, False])
def test_a_long_message_is_cut_and_the_fix_is_not(fixed: bool) -> None:
    """What to change comes last and has to be read."""
    exception = "SafetensorError" if fixed else "ValueError"
    read = explain(replace(PLAIN, exception=exception, message="word " * 999, custom_node="pack"))
    assert 480 < len(read.sentence) <= 500
    assert "… (in custom node pack). " in read.sentence
    assert read.sentence.endswith("or choose another file." if fixed else "or update or repair it.")


def test_the_cause_is_looked_for_in_the_beginning_of_a_message() -> None:
    """A message of 100 kB is not searched through for each kind of failure."""
    late = replace(PLAIN, message="word " * 20_000 + "no space left")
    assert "Free disk space" not in explain(late).sentence
    assert "Free disk space" in explain(replace(late, message=late.message[-3_000:])).sentence


def test_the_words_of_a_cause_stand_near_each_other() -> None:
    """Else each beginning of one would be followed to the end of the message, every time it comes."""
    (cause,) = (cause for cause in CAUSES if cause.name == "part not in checkpoint")
    assert cause.shows.search("clip input is invalid: None")
    assert not cause.shows.search(f"clip {'word ' * 20}is invalid: None")


def test_what_a_server_adds_for_people_before_its_page_is_left_out() -> None:
    """Stars, the word ERROR and general tips."""
    tips = "CUDA out of memory.\nThis error means you ran out of memory on your GPU.\n\nTIPS: smaller batches."
    read = explain(replace(PLAIN, exception="torch.OutOfMemoryError", message=tips))
    assert "TIPS" not in read.sentence
    unsafe = "Weights only load failed. In PyTorch 2.6, we changed it. Re-running with weights_only=False will succeed"
    assert "Re-running" not in explain(replace(PLAIN, exception="UnpicklingError", message=unsafe)).sentence
    stars = explain(replace(PLAIN, message="**** ERROR: it is broken"))
    assert stars.sentence == "node 7 (VAEDecode): ValueError: it is broken"


@pytest.mark.parametrize(
    ("title", "label"),
    [
        (None, "node 3 (SaveImage)"),
        ("Save Image", "node 3 (SaveImage)"),
        ("", "node 3 (SaveImage)"),
        ("Portrait\nout", 'node 3 "Portrait out" (SaveImage)'),
        ("x" * 99, f'node 3 "{"x" * 39}…" (SaveImage)'),
    ],
)
def test_a_title_is_told_where_it_says_more_than_the_class(title: str | None, label: str) -> None:
    """The page gives every node its class as title."""
    assert node_label("3", "SaveImage", title) == label
