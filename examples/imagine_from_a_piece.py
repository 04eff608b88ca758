"""Compose a piece, let it say in a sentence what it is, and have a text-to-audio model play that sentence along its melody.

python examples/imagine_from_a_piece.py [FOLDER]

Without the extra "audio", or weights of musicgen-melody that were fetched before, it stops after the sentence and says what is missing.
"""

import sys
from pathlib import Path

import kapelle
from kapelle import api
from kapelle.text_audio.request import SoundRequest

SECONDS = 8
MODEL = "musicgen-melody"


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
    folder.mkdir(parents=True, exist_ok=True)
    tune = kapelle.compose(genre="jazz", bars=8, seed=7).save(folder / "tune.mid", force=True)
    prompt = api.prompt_of(tune)
    print(prompt)
    melody = api.sound_of(tune, melody=True, longest_s=SECONDS)
    orders = api.sound_orders([SoundRequest(prompt=prompt, melody=melody, duration_s=SECONDS, seed=7)], folder / "tune.wav")
    try:
        for sound in api.imagine_files(orders, MODEL, api.SoundWay(offline=True), api.Finish(force=True)):
            print(sound.order.path, sound.facts["licence"])
    except kapelle.KapelleError as error:
        print(f"no sound: {error}; {error.hint}")


if __name__ == "__main__":
    main()
