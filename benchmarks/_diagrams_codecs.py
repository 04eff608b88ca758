"""The diagrams of the neural codec and of MusicGen: what becomes of a sound, of its codes, and what teaches the networks.

Sizes are those that `docs/explanation/{codecs,musicgen}.md` count from the published configurations; the orders of codes are computed by
`kapelle.text_audio.patterns`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from _diagram import Box, Diagram

from kapelle.text_audio import patterns

CODEBOOKS = "abcd"


def encodec() -> Diagram:
    """EnCodec at 32 kHz: encoder, residual quantiser, decoder, and the losses that teach them."""
    it = Diagram(486)
    sound = it.box((20, 44, 98, 52), "1 s of sound", note="32,000", kind="data")
    encoder = _row(it, 44, [("conv 7", "64 × 32,000", 1), ("÷ 4", "128 × 8,000", 1), ("÷ 4", "256 × 2,000", 1), ("÷ 5", "512 × 400", 1),
                            ("÷ 8", "1024 × 50", 1), ("LSTM", "1024 × 50", 2), ("conv 7", "128 × 50", 1)])  # fmt: skip
    it.group(encoder, "encoder, 28.4 M: convolutions and an LSTM", kind="trained", rim=9)
    it.arrow(sound.right, encoder[0].left)
    vectors = it.box((768, 150, 100, 48), "vectors", note="128 × 50", kind="data")
    it.arrow(encoder[-1].bottom, vectors.top)
    books = [it.box((634 - 114 * place, 150, 94, 48), f"codebook {place + 1}", note="2048 × 128", kind="trained") for place in range(4)]
    it.group(books, "residual vector quantiser: each names the row nearest to what is left", kind="trained", rim=9)
    it.arrow(vectors.left, books[0].right)
    for one, other in pairwise(books):
        it.arrow(one.left, other.right)
    ids = it.box((124, 150, 132, 48), "ids: 4 × 50", note="11 bits: 2.2 kbit/s", kind="data")
    it.arrow(books[-1].left, ids.right)
    commitment = it.box((752, 224, 132, 44), "commitment", note="weight 1, on its own", kind="loss")
    it.arrow(vectors.bottom, commitment.top, dashed=True)
    rows = it.box((20, 308, 98, 52), "sum of rows", note="128 × 50")
    it.arrow(ids.left, (69, 174), rows.top)
    decoder = _row(it, 308, [("conv 7", "1024 × 50", 1), ("LSTM", "1024 × 50", 2), ("× 8", "512 × 400", 1), ("× 5", "256 × 2,000", 1),
                             ("× 4", "128 × 8,000", 1), ("× 4", "64 × 32,000", 1), ("conv 7", "1 × 32,000", 1)])  # fmt: skip
    it.group(decoder, "decoder, 28.4 M: the mirror image", kind="trained", rim=9)
    it.arrow(rows.right, decoder[0].left)
    coded = it.box((768, 414, 100, 48), "coded sound", note="32,000", kind="data")
    it.arrow(decoder[-1].bottom, coded.top)
    losses = [
        it.box((614, 414, 112, 48), "waveform", note="L1: 0.1", kind="loss"),
        it.box((456, 414, 144, 48), "mel, 5 resolutions", note="L1 and L2: 2", kind="loss"),
        it.box((240, 414, 202, 48), "5 discriminators of STFTs", note="hinge: 4, their features: 4", kind="loss"),
    ]
    group = it.group(losses, "losses, and their weights", kind="loss", rim=9)
    it.arrow(coded.left, group.on("right", 438), dashed=True)
    balancer = it.box((20, 414, 172, 48), "balancer", note="slopes: 1 %, 20 %, 40 + 40 %", kind="loss")
    it.arrow(group.on("left", 438), balancer.right, dashed=True)
    return it


def _row(it: Diagram, y: float, blocks: list[tuple[str, str, int]]) -> list[Box]:
    """Boxes of a network from left to right, joined by arrows."""
    boxes = [it.box((150 + 104 * place, y, 88, 52), name, note=note, kind="trained", copies=copies)
             for place, (name, note, copies) in enumerate(blocks)]  # fmt: skip
    for one, other in pairwise(boxes):
        it.arrow(one.right, other.left)
    return boxes


def musicgen() -> Diagram:
    """MusicGen: a text encoder, four streams of ids, a transformer, four heads, guidance, and the codec's decoder."""
    it = Diagram(404)
    prompt = it.box((24, 40, 96, 46), "prompt", kind="data")
    t5 = it.box((160, 32, 120, 62), "T5 base", note="110 M\nL × 768", kind="frozen", copies=12)
    project = it.box((330, 36, 106, 54), "projection", note="768 to 1024", kind="trained")
    nothing = it.box((160, 128, 120, 46), "no prompt", note="zeros: L × 1024", kind="data")
    it.arrow(prompt.right, t5.left)
    it.arrow(t5.right, project.left)
    net = it.box(
        (520, 120, 150, 86), "transformer", note="420 M, 1024 wide\n16 heads, causal,\nhears the prompt", kind="trained", copies=24
    )
    it.arrow(project.right, (595, 63), (595, 108), label="cross-attention", at=(516, 53))
    it.arrow(nothing.right, net.on("left", 151), label="the same, for guidance", at=(398, 141))
    streams = [[f"{CODEBOOKS[k]}{t - k}" if t - k > 0 else "S" for t in range(1, 6)] for k in range(4)]
    colours = {f"{CODEBOOKS[k]}{t}": k for k in range(4) for t in range(1, 6)}
    ids = it.cells((24, 236), [["S", *row] for row in streams], colours=colours)
    it.note((102, 222), "ids so far, delayed", strong=True)
    embed = it.box((232, 242, 126, 76), "4 tables", note="2049 × 1024 each,\nadded up, and the\nplace of the step", kind="trained")
    it.arrow(ids.on("right", 280), embed.left)
    it.arrow(embed.right, (595, 280), net.bottom)
    heads = it.box((726, 123, 140, 80), "4 heads", note="2048 logits each,\nwith and\nwithout prompt", kind="trained")
    it.arrow(net.right, heads.left)
    guide = it.box((726, 242, 140, 54), "guidance, top-k", note="draw 4 ids", kind="fixed")
    it.arrow(heads.bottom, guide.top)
    it.arrow(guide.bottom, (796, 338), (102, 338), ids.bottom, label="the next column: 50 for a second of music", at=(440, 328))
    undo = it.box((620, 352, 120, 40), "undo delays", kind="fixed")
    it.arrow((796, 338), (796, 372), undo.right)
    codec = it.box((424, 348, 150, 48), "EnCodec decoder", note="28.4 M", kind="before")
    it.arrow(undo.left, codec.right)
    sound = it.box((250, 348, 120, 48), "sound", note="32 kHz", kind="data")
    it.arrow(codec.left, sound.right)
    it.note((866, 20), "sizes of musicgen-small", side="right")
    return it


def delay() -> Diagram:
    """The codes of four moments, and in which order four patterns write them."""
    moments = 4
    codes = np.arange(16).reshape(4, moments)
    names = [[f"{CODEBOOKS[k]}{t + 1}" for t in range(moments)] for k in range(4)]
    colours = {name: k for k, row in enumerate(names) for name in row}
    it = Diagram(392)

    def table(at: tuple[float, float], sequence: np.ndarray, title: str, *, size: tuple[float, float] = (26, 22)) -> None:
        shown = [[names[code // moments][code % moments] if code < 16 else "S" for code in row] for row in sequence]
        it.note((at[0], at[1] - 13), title, side="left", strong=True)
        it.cells(at, shown, colours=colours, size=size)

    table((24, 40), codes, "codes: 4 codebooks, 4 moments")
    table((300, 40), patterns.delay((0, 1, 2, 3)).interleave(codes, 16), "delay: 8 steps, 30 s in 1,504")
    table((620, 40), patterns.parallel(4).interleave(codes, 16), "parallel: 5 steps, 30 s in 1,501")
    table((24, 168), patterns.flatten(4).interleave(codes, 16), "flatten: 17 steps, 30 s in 6,001", size=(25, 22))
    table((560, 168), patterns.coarse_first(4).interleave(codes, 16), "coarse first: 9 steps, 30 s in 3,001")
    table((24, 296), patterns.grouped(4).interleave(codes, 16), "grouped by two: 17 steps, 30 s in 6,001", size=(25, 22))
    it.note((560, 305), "letters: codebooks, a the coarsest; numbers: moments", side="left")
    it.note((560, 327), "S: nothing here (id 2048)", side="left")
    it.note((560, 349), "a column is one step of the language model", side="left")
    return it


DIAGRAMS: dict[str, Callable[[], Diagram]] = {"encodec": encodec, "musicgen": musicgen, "delay": delay}
