"""What lies beside a file: a recipe is asked, a broken one is told, and other JSON is not our business."""

import tunes
from kapelle.judging import asked


def test_json_that_is_no_recipe_is_passed_over_and_a_broken_recipe_is_told(tmp_path):
    score, path = tunes.tune(1), tmp_path / "piece.mid"
    assert asked.of_file(score, path) == {}
    for text in ('{"name": "a cell of a study", "values": {}}', "[1, 2]"):
        path.with_suffix(".json").write_text(text, encoding="utf-8")
        assert asked.of_file(score, path) == {}
    for text in ('{"request": {}}', "{", "\xff"):
        path.with_suffix(".json").write_text(text, encoding="latin-1")
        (why,) = asked.of_file(score, path)["warnings"]
        assert "piece.json is no recipe of a piece" in why
