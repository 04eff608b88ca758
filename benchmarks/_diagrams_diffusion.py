"""The diagrams of the diffusion and flow-matching models: what is modelled, what conditions it, what is trained and what is taken.

Sizes are those that `docs/explanation/{audioldm2,stable-audio,lumina}.md` count from the published configurations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from _diagram import Box, Diagram

FAMILIES = (
    ("MusicGen", ("T5 base", "110 M"), ("Transformer", "draws codes left to right\n422 M to 3,295 M"),
     ("4 rows of codes", "50 × 4 a second"), ("EnCodec", "59 M in all"), ("32 kHz", "mono or stereo")),
    ("AudioLDM2", ("CLAP, Flan-T5", "466 M"), ("GPT-2, UNet", "take out noise, 200 times\n471 M"),
     ("latent mel", "25 × 128 a second"), ("VAE, HiFi-GAN", "111 M in all"), ("16 kHz", "mono")),
    ("Stable Audio", ("T5 base, seconds", "110 M"), ("Transformer", "takes out noise, 100 times\n1,057 M"),
     ("latent wave", "21.5 × 64 a second"), ("Oobleck", "156 M in all"), ("44.1 kHz", "stereo")),
    ("Lumina", ("Flan-T5", "341 M"), ("Transformer", "moves noise, 40 times\n198 M"),
     ("latent mel", "31.25 × 20 a second"), ("VAE, BigVGAN", "212 M"), ("16 kHz", "mono")),
)  # fmt: skip
"""Name; what reads the words; what makes the description, the description; what makes sound of it, the sound. Counted by
`sound_models.py` and on the pages of the models."""


def text_to_audio() -> Diagram:
    """The four families side by side: what reads, what makes a description of sound, what makes it heard."""
    it = Diagram(66 + 84 * len(FAMILIES))
    for x, words in ((183, "reads the words"), (362, "makes a description"), (535, "which is"), (692, "makes it heard"), (838, "as")):
        it.note((x, 28), words)
    kinds = ("frozen", "trained", "data", "before", "data")
    columns = ((116, 134), (280, 164), (474, 122), (626, 132), (788, 100))
    for row, (name, *parts) in enumerate(FAMILIES):
        y = 48 + 84 * row
        it.note((14, y + 32), name, side="left", strong=True)
        boxes = [
            it.box((x, y, width, 64), text, note=note, kind=kind)
            for (x, width), (text, note), kind in zip(columns, parts, kinds, strict=True)
        ]
        for left, right in pairwise(boxes):
            it.arrow(left.right, right.left)
    return it


def audioldm2() -> Diagram:
    """AudioLDM2: two text encoders, GPT-2 that writes the language of audio, a UNet that hears both, a mel decoder, a vocoder."""
    it = Diagram(474)
    prompt = it.box((20, 112, 82, 38), "prompt", kind="data")
    clap = it.box((140, 62, 118, 50), "CLAP, text", note="125 M: 1 × 512", kind="frozen")
    t5 = it.box((140, 152, 118, 50), "Flan-T5 large", note="341 M: L × 1024", kind="frozen")
    it.arrow(prompt.right, (121, 131), (121, 87), clap.left)
    it.arrow((121, 131), (121, 177), t5.left)
    project = it.box((304, 84, 100, 62), "projection", note="both to\n768 wide", kind="trained")
    it.arrow(clap.right, (281, 87), (281, 103), project.on("left", 103))
    it.arrow(t5.on("right", 167), (281, 167), (281, 128), project.on("left", 128))
    gpt = it.box((440, 84, 100, 62), "GPT-2", note="124 M", kind="trained", copies=12)
    it.arrow(project.right, gpt.left)
    loa = it.box((592, 90, 170, 50), "language of audio", note="8 × 768, one after another", kind="data")
    it.arrow((550, 115), loa.left)
    mae = it.box((592, 20, 170, 38), "AudioMAE of the sound", kind="loss")
    it.arrow(mae.bottom, loa.top, label="to be met", at=(712, 74), dashed=True)
    noise = it.box((20, 272, 118, 50), "noise", note="8 × 256 × 16", kind="data")
    bars = list(_bars(it, (277, 338), (128, 256, 384, 640, 640, 640, 384, 256, 128)))
    unet = it.group([*bars, Box(266, 264, 280, 88)], "UNet, 347 M: channels of its blocks", kind="trained", rim=10)
    it.note((406, 351), "blue: attend to themselves, 8 vectors, words")
    it.arrow(noise.right, unet.on("left", 297), label="200 steps\nof DDIM")
    it.arrow(loa.bottom, (677, 256), unet.on("right", 256), label="first cross-attention", at=(616, 247))
    it.arrow(t5.bottom, (199, 220), (330, 220), unet.on("top", 330), label="second cross-attention", at=(265, 211))
    latent = it.box((616, 292, 122, 44), "latent", note="8 × 256 × 16", kind="data")
    it.arrow(unet.on("right", 314), latent.left)
    it.arrow(latent.bottom, (677, 386), (79, 386), noise.bottom, label="a little less noisy each time", at=(330, 376))
    vae = it.box((776, 286, 104, 56), "VAE decoder", note="55 M in all", kind="before")
    it.arrow(latent.right, vae.left)
    mel = it.box((776, 396, 104, 50), "mel", note="1024 × 64", kind="data")
    it.arrow(vae.bottom, mel.top)
    vocoder = it.box((560, 396, 130, 50), "HiFi-GAN", note="55 M, hop 160", kind="before")
    it.arrow(mel.left, vocoder.right)
    sound = it.box((372, 396, 130, 50), "10.24 s of sound", note="16 kHz, one channel", kind="data")
    it.arrow(vocoder.left, sound.right)
    rank = it.box((160, 396, 152, 50), "CLAP, both sides", note="which take is nearest?", kind="frozen")
    it.arrow(sound.left, rank.right)
    return it


def stable_audio() -> Diagram:
    """Stable Audio Open: T5 and two numbers lead a transformer over 1,024 latents of a stereo wave."""
    it = Diagram(492)
    prompt = it.box((20, 62, 90, 38), "prompt", kind="data")
    t5 = it.box((146, 56, 122, 50), "T5 base", note="110 M: 128 × 768", kind="frozen")
    it.arrow(prompt.right, t5.left)
    seconds = it.box((20, 156, 90, 50), "seconds", note="start, end", kind="data")
    numbers = it.box((146, 156, 122, 50), "two numbers", note="as waves: 2 × 768", kind="trained")
    it.arrow(seconds.right, numbers.left)
    together = it.joint((330, 81), "‖")
    it.arrow(t5.right, together.left)
    it.arrow(numbers.on("right", 171), (330, 171), together.bottom)
    it.note((330, 52), "130 × 768")
    level = it.box((20, 250, 90, 38), "noise level", kind="data")
    added = it.joint((330, 269), "+")
    it.arrow(level.right, added.left, label="as waves", at=(220, 261))
    it.arrow(numbers.on("right", 191), (300, 191), (300, 226), (330, 226), added.top, label="1 × 1536", at=(366, 215))
    own = it.box((440, 168, 230, 34), "attention to itself", kind="trained")
    cross = it.box((440, 118, 230, 34), "attention to words and times", kind="trained")
    wide = it.box((440, 68, 230, 34), "gated feed-forward, 6144 wide", kind="trained")
    it.arrow(own.top, cross.bottom)
    it.arrow(cross.top, wide.bottom)
    it.group([wide, cross, own], "transformer, 1,057 M: 24 times", kind="trained", rim=14)
    it.arrow(together.right, (388, 81), (388, 135), cross.left)
    noise = it.box((440, 308, 150, 50), "noise", note="64 × 1024", kind="data")
    line = it.joint((515, 244), "‖")
    it.arrow(noise.top, line.bottom, label="100 steps\nof DPM++ SDE", at=(566, 285))
    it.arrow(added.right, (460, 269), (460, 244), line.left, label="first of 1025", at=(400, 260))
    it.arrow(line.top, (515, 202))
    latent = it.box((716, 112, 168, 50), "latent", note="64 × 1024, 21.5 a second", kind="data")
    it.arrow((684, 137), latent.left)
    it.arrow(latent.on("bottom", 765), (765, 333), noise.right, label="a little less noisy each time", at=(684, 324))
    it.box((785, 226, 95, 64), "Oobleck", note="decoder, 78 M\n×2048 longer", kind="before")
    it.arrow(latent.on("bottom", 832), (832, 226))
    it.box((772, 396, 112, 56), "sound", note="stereo, 44.1 kHz\n47.55 s", kind="data")
    it.arrow((832, 290), (832, 396), label="cut", at=(850, 385))
    given = it.box((20, 396, 150, 56), "a sound to change", note="if there is one", kind="data")
    encoder = it.box((228, 396, 120, 56), "Oobleck", note="encoder, 78 M", kind="before")
    it.arrow(given.right, encoder.left)
    begun = it.joint((515, 424), "+")
    it.arrow(encoder.right, begun.left, label="noise by strength", at=(424, 414))
    it.arrow(begun.top, noise.bottom, label="instead of noise alone", at=(590, 390))
    return it


def lumina() -> Diagram:
    """Lumina-T2Music: Flan-T5 leads a Flag-DiT that tells velocities of mel latents; a decoder and BigVGAN make sound of them."""
    it = Diagram(420)
    prompt = it.box((20, 62, 90, 38), "prompt", kind="data")
    t5 = it.box((146, 56, 122, 50), "Flan-T5 large", note="341 M: 77 × 1024", kind="frozen")
    it.arrow(prompt.right, t5.left)
    time = it.box((20, 176, 90, 38), "time t", kind="data")
    added = it.joint((330, 195), "+")
    it.arrow(time.right, added.left, label="as waves", at=(220, 187))
    it.arrow(t5.on("bottom", 225), (225, 140), (330, 140), added.top, label="its mean", at=(290, 132))
    adapted = it.box((430, 188, 240, 34), "shift, scale, gate: 6 × 768", kind="trained")
    both = it.box((430, 128, 240, 40), "attention to the sound", note="and to the words, gated by head", kind="trained")
    wide = it.box((430, 74, 240, 34), "SwiGLU, 2048 wide", kind="trained")
    it.arrow(both.top, wide.bottom)
    it.arrow(adapted.top, both.bottom)
    it.group([wide, both, adapted], "Flag-DiT, 198 M: 16 times, 32 heads of 24", kind="trained", rim=14)
    it.arrow(added.right, (380, 195), (380, 205), adapted.left)
    it.arrow(t5.right, (300, 81), (300, 108), (404, 108), (404, 148), both.left)
    noise = it.box((475, 290, 150, 50), "noise, t = 0", note="20 × 313 for 10 s", kind="data")
    it.arrow(noise.top, (550, 236), label="40 Euler steps", at=(602, 264))
    latent = it.box((712, 124, 172, 50), "latent, t = 1", note="20 channels, 31.25 a second", kind="data")
    it.arrow((684, 149), latent.left)
    it.arrow(latent.on("bottom", 760), (760, 315), noise.right, label="x + Δt · velocity", at=(692, 306))
    it.box((785, 226, 95, 52), "mel decoder", note="99 M, ×2", kind="before")
    it.arrow(latent.on("bottom", 832), (832, 226))
    mel = it.box((785, 336, 95, 50), "mel", note="80 × 626", kind="data")
    it.arrow((832, 278), (832, 336))
    vocoder = it.box((300, 356, 130, 50), "BigVGAN", note="112 M, ×256", kind="before")
    sound = it.box((70, 356, 150, 50), "10 s of sound", note="16 kHz, one channel", kind="data")
    it.arrow(mel.on("left", 376), vocoder.on("right", 376))
    it.arrow(vocoder.left, sound.right)
    return it


def _bars(it: Diagram, at: tuple[float, float], channels: Sequence[int]) -> Iterator[Box]:
    """The blocks of a UNet, on a common middle line: the coarser its grid, the lower a block; the first and the last see no text."""
    blocks = len(channels)
    for place, width in enumerate(channels):
        height = 74 - 13 * min(place, blocks - 1 - place)
        tone = {} if place in (0, blocks - 1) else {str(width): 0}
        yield it.cells((at[0] + 29 * place, at[1] - 37 - height / 2), [[str(width)]], size=(26, height), colours=tone)


DIAGRAMS: dict[str, Callable[[], Diagram]] = {
    "text-to-audio": text_to_audio,
    "audioldm2": audioldm2,
    "stable-audio": stable_audio,
    "lumina": lumina,
}
