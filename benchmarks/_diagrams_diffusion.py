"""The diagrams of the diffusion and flow-matching models: what is modelled, what conditions it, what is trained and what is taken.

Sizes are those that `docs/explanation/{audioldm2,stable-audio,lumina}.md` count from the published configurations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from _diagram import Box, Diagram


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


def _bars(it: Diagram, at: tuple[float, float], channels: Sequence[int]) -> Iterator[Box]:
    """The blocks of a UNet, on a common middle line: the coarser its grid, the lower a block; the first and the last see no text."""
    blocks = len(channels)
    for place, width in enumerate(channels):
        height = 74 - 13 * min(place, blocks - 1 - place)
        tone = {} if place in (0, blocks - 1) else {str(width): 0}
        yield it.cells((at[0] + 29 * place, at[1] - 37 - height / 2), [[str(width)]], size=(26, height), colours=tone)


DIAGRAMS: dict[str, Callable[[], Diagram]] = {"audioldm2": audioldm2}
