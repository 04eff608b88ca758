"""What the latent diffusion models of sound share: reading a folder of parts, drawing sound after sound, telling how far it is.

Takes a folder in the layout of diffusers and the classes that its parts must have; gives the parts. Takes a function that draws one
sound; gives the sounds of a request, each from a generator of its own on the CPU. Every part is read by its own class: no name in the
folder chooses code, nothing but safetensors is opened, and a weight that is missing is an error where the libraries would fill it with
random numbers. It knows no model.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from kapelle.audio.waveform import Waveform
from kapelle.errors import CannotObey, Interrupted, KapelleError, Missing, NotEnoughMemory, UnreadableInput, UsageError
from kapelle.text_audio import claims

if TYPE_CHECKING:
    from pathlib import Path

    from kapelle.progress import Report
    from kapelle.text_audio.catalogue import SoundModel
    from kapelle.text_audio.places import Place
    from kapelle.text_audio.request import SoundRequest

INDEX = "model_index.json"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
UNBOUNDED_TOKENS = 1_000_000
TOKENS_AS_PUBLISHED = 512
OUT_OF_MEMORY = ("out of memory", "allocate memory", "invalid buffer size", "not enough memory")
Drawn = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Part:
    """One part of a pipeline.

    Args:
        kind: The class that reads it.
        names: What the folder may call this class: published folders name some by older names.
        exact: Compute in float32 whatever the place says: small networks that end in samples, where half precision is heard.
    """

    kind: type[Any]
    names: tuple[str, ...] = ()
    exact: bool = False


def read_parts(folder: Path, pipeline: str, parts: Mapping[str, Part], place: Place) -> dict[str, Any]:
    """The parts of a pipeline, by name, on their device and ready to use.

    Args:
        folder: In the layout that diffusers publishes.
        pipeline: The class of pipeline that it must declare.
        parts: What it must have.
        place: Where they run.

    Raises:
        Missing: The folder, or a file of it, is not there.
        UnreadableInput: It is another kind of pipeline, or a file is damaged, incomplete or not safetensors.
        NotEnoughMemory: It would not fit.
    """
    declared = _declared(folder, pipeline)
    for name, part in parts.items():
        called = declared.get(name)
        if not isinstance(called, list) or len(called) != 2 or called[1] not in (part.kind.__name__, *part.names):
            raise UnreadableInput("{folder} declares {name} as {found}", folder=folder, name=name, found=called, hint=REFETCH)
    read = {}
    with quietly(), guarded(place):
        for name, part in parts.items():
            read[name] = read_part(folder / name, part, place)
    return read


REFETCH = "fetch the model again, or check that --weights names the folder of the right model"


def _declared(folder: Path, pipeline: str) -> dict[str, Any]:
    index = folder / INDEX
    if not folder.is_dir():
        raise Missing("there is no folder {folder}", folder=folder, hint=REFETCH)
    if not index.is_file():
        raise Missing("{folder} holds no {file}: it is no published pipeline", folder=folder, file=INDEX, hint=REFETCH)
    try:
        declared = json.loads(index.read_text(encoding="utf-8"))
        found = declared["_class_name"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnreadableInput("{file} cannot be read: {why}", file=index, why=error, hint=REFETCH) from error
    if found != pipeline:
        raise UnreadableInput("{folder} holds {found}, not {pipeline}", folder=folder, found=found, pipeline=pipeline, hint=REFETCH)
    return dict(declared)


def read_part(folder: Path, part: Part, place: Place) -> Any:
    """One part from its folder; networks on their device, ready to use. To be called inside `quietly` and `guarded`."""
    if not folder.is_dir():
        raise Missing("the model lacks its part {name}: there is no {folder}", name=folder.name, folder=folder, hint=REFETCH)
    is_network = issubclass(part.kind, torch.nn.Module)
    asked: dict[str, Any] = {"local_files_only": True}
    if part.kind.__name__.startswith("Auto") and not is_network:
        asked["trust_remote_code"] = False  # else transformers asks whoever sits at the terminal
    if is_network:
        _check_weights(folder)
        asked |= {"use_safetensors": True, "output_loading_info": True}
        # the two libraries call it by two names
        asked["dtype" if part.kind.__module__.startswith("transformers.") else "torch_dtype"] = torch.float32 if part.exact else place.dtype
    try:
        with torch.random.fork_rng(devices=[]):  # weights are drawn before they are read
            if is_network:
                claims.check(part.kind, folder)
            read = part.kind.from_pretrained(folder, **asked)
    except (KapelleError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # what these libraries raise at a bad folder is of every kind
        if _is_out_of_memory(error):
            raise
        raise UnreadableInput(
            "{folder} cannot be read as a {kind}: {why}", folder=folder, kind=part.kind.__name__, why=claims.reason(error), hint=REFETCH
        ) from error
    if not is_network:
        return read
    network, told = read
    # of what was not found, buffers are computed, and tied weights are not parameters of their own
    lacking = sorted(set(told["missing_keys"]) & {name for name, _ in network.named_parameters()})
    if lacking:
        raise UnreadableInput(
            "{folder} lacks {n} weights, {name} among them", folder=folder, n=len(lacking), name=lacking[0], hint=REFETCH
        )  # fmt: skip
    return network.to(place.device).eval().requires_grad_(False)


def _check_weights(folder: Path) -> None:
    """Raise unless every file of weights is whole safetensors; the header alone is read."""
    from safetensors import SafetensorError, safe_open

    files = sorted(folder.glob("*.safetensors"))
    if not files:
        if pickles := sorted(path.name for pattern in PICKLES for path in folder.glob(pattern)):
            raise UnreadableInput(
                "{folder} has its weights as {name}, a pickle, which can run any program when it is opened",
                folder=folder, name=pickles[0], hint="take a revision of the model that has .safetensors files",
            )  # fmt: skip
        raise Missing("{folder} holds no weights: there is no .safetensors file", folder=folder, hint=REFETCH)
    for file in files:
        try:
            with safe_open(file, framework="pt"):
                pass
        except (SafetensorError, OSError) as error:
            raise UnreadableInput("{file} is damaged or was not fetched to its end: {why}", file=file, why=error, hint=REFETCH) from error


@contextmanager
def quietly() -> Iterator[None]:
    """Within it the libraries draw no bars of their own and warn of nothing; after it they are as before."""
    import diffusers.utils.logging as of_diffusers
    import transformers.utils.logging as of_transformers

    with ExitStack() as after:
        after.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        for logging in (of_transformers, of_diffusers):
            after.callback(logging.set_verbosity, logging.get_verbosity())
            logging.set_verbosity(logging.CRITICAL)
            if logging.is_progress_bar_enabled():
                after.callback(logging.enable_progress_bar)
                logging.disable_progress_bar()
        yield


@contextmanager
def guarded(place: Place) -> Iterator[None]:
    """Within it, running out of memory is an error of ours."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        hint = "ask for a shorter sound, or take --device cpu or --dtype float16"
        if place.device.type == "cpu":
            hint = "ask for a shorter sound, close other programs, or take a smaller model"
        raise NotEnoughMemory("the {device} has not enough memory for this", device=place.device.type, hint=hint) from error


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(words in str(error).lower() for words in OUT_OF_MEMORY)


@dataclass
class Course:
    """How far a request is: told at each step, and stopped there.

    Args:
        total: Steps of all sounds and candidates.
        progress: Told how many are done.
        cancelled: Asked before each.
    """

    total: int
    progress: Report
    cancelled: Callable[[], bool]
    done: int = field(default=0, init=False)
    n_sounds: int = field(default=0, init=False)

    def check(self) -> None:
        """Raise Interrupted if somebody wants it to stop."""
        if self.cancelled():
            raise Interrupted("stopped after {n} whole sounds", n=self.n_sounds, hint="what was made so far is kept")

    def step(self) -> None:
        """One step is done."""
        self.done += 1
        self.progress(self.done, self.total)
        self.check()


Draw = Callable[[torch.Generator, Course], Drawn]
"""Draws one sound, samples (F, C), from what the generator says, and tells the course each step."""


def imagine(
    request: SoundRequest, model: SoundModel, place: Place, course: Course, draw: Draw, choose: Callable[[Sequence[Drawn]], int]
) -> Iterator[Waveform]:
    """The sounds of a request, as soon as each is ready.

    Sound i has a generator of its own, seeded with ``seed + i``; its candidates are drawn from it one after the other, so that the first
    candidate is the sound that is drawn without candidates.

    Args:
        request: What is asked for.
        model: Facts of the model.
        place: Where it runs.
        course: Of all steps.
        draw: Draws one sound of `request.n_frames` frames or more.
        choose: The place of the best among candidates; called if there are several.

    Raises:
        Interrupted: The course was stopped.
        NotEnoughMemory: It would not fit.
        CannotObey: The model gave numbers that are none.
    """
    n_frames = request.n_frames(model.sample_rate)
    course.check()
    for index in range(request.count):
        generator = torch.Generator("cpu").manual_seed(request.seed + index)
        with quietly(), guarded(place), torch.inference_mode():  # never over a yield: the caller is not to live in these
            drawn = [draw(generator, course)[:n_frames] for _ in range(request.candidates)]
            best = drawn[choose(drawn)] if len(drawn) > 1 else drawn[0]
        if best.shape != (n_frames, model.channels):
            raise UnreadableInput(
                "{model} gave samples of shape {found}, not {wanted}",
                model=model.name, found=best.shape, wanted=(n_frames, model.channels), hint=REFETCH,
            )  # fmt: skip
        course.n_sounds += 1
        yield Waveform(best, model.sample_rate)


def check_finite(numbers: torch.Tensor, place: Place) -> None:
    """Raise CannotObey if a number is NaN or infinite: nothing good comes after it."""
    if torch.isfinite(numbers).all():
        return
    dtype = str(place.dtype).removeprefix("torch.")
    hint = "take less guidance; if that does not help, fetch the model again" if dtype == "float32" else "take --dtype float32"
    raise CannotObey("the model left the range of {dtype}: it gave numbers that are none", dtype=dtype, hint=hint)


def check_length(what: str, text: str, tokenizer: Any, model: SoundModel) -> None:
    """Raise UsageError if a model would not read a text to its end."""
    with quietly():
        n_tokens = len(tokenizer(text).input_ids)
    if n_tokens > tokenizer.model_max_length:
        raise UsageError(
            "the {what} has {n} tokens; {model} reads {limit}",
            what=what, n=n_tokens, model=model.name, limit=tokenizer.model_max_length, hint="say it in fewer words",
        )  # fmt: skip


def bound(tokenizer: Any) -> Any:
    """The tokenizer, with a longest text: without one in its folder, padding up to it would never end."""
    if tokenizer.model_max_length > UNBOUNDED_TOKENS:
        tokenizer.model_max_length = TOKENS_AS_PUBLISHED
    return tokenizer


def guided(both: torch.Tensor, guidance: float) -> torch.Tensor:
    """What the network says of the prompt, drawn away from what it says of its contrary: rows 0 contrary, 1 prompt; float32."""
    against, wanted = both.float().chunk(2)
    return against + guidance * (wanted - against)
