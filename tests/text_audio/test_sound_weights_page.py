"""The table of models in docs/how-to/sound-weights.md says what the catalogue says; running this file writes it."""

from pathlib import Path

from kapelle.text_audio import catalogue

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "sound-weights.md"
BEGIN, END = "<!-- models: written by tests/text_audio/test_sound_weights_page.py -->\n", "<!-- end -->"
HEAD = ("model", "weights of", "size, about", "commit", "licence", "for money")


def table():
    rows = [HEAD, ("---",) * len(HEAD)]
    for model in catalogue.MODELS:
        size = f"{model.size / 1e9:.1f} GB"
        commit = f"`{model.revision}`, newest at first" if "/" in model.revision else f"`{model.revision[:8]}`"
        repo = f"`{model.repo}`" + (", gated" if model.gated else "") + (", pickles" if model.by_hand else "")
        licence = f"[{model.licence.name}]({model.licence.url})"
        rows.append((f"`{model.name}`", repo, size, "by hand" if model.by_hand else commit, licence, model.licence.commercial))
    return "\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows) + "\n"


def with_table(text):
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + table() + END + rest.partition(END)[2]


def test_the_page_tells_of_every_model_what_the_catalogue_says():
    text = PAGE.read_text(encoding="utf-8")
    assert text == with_table(text), f"python {Path(__file__).name} writes it"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
