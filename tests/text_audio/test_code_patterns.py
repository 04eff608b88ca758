import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kapelle.errors import UsageError
from kapelle.text_audio import patterns
from kapelle.text_audio.patterns import Pattern, Stage

S = patterns.SPECIAL
SOME = [
    patterns.delay((0, 1, 2, 3)),
    patterns.delay((0, 0, 1, 1, 2, 2, 3, 3)),
    patterns.delay((3, 0, 5)),
    patterns.parallel(4),
    patterns.flatten(4),
    patterns.grouped(4, 2),
    patterns.grouped(5, 2),
    patterns.coarse_first(4),
    patterns.coarse_first(4, (0, 1, 2)),
]


def test_the_published_example_of_the_delay_pattern():
    codes = np.array([[1, 2, 3, 4]] * 3)
    sequence = patterns.delay((0, 1, 2)).interleave(codes)
    assert sequence[:, :5].tolist() == [[S, 1, 2, 3, 4], [S, S, 1, 2, 3], [S, S, S, 1, 2]]
    assert sequence[:, 5:].tolist() == [[S, S], [4, S], [3, 4]]


def test_parallel_writes_a_moment_in_a_step():
    assert patterns.parallel(2).interleave(np.array([[1, 2], [3, 4]])).tolist() == [[S, 1, 2], [S, 3, 4]]


def test_flatten_writes_one_code_in_a_step():
    assert patterns.flatten(2).interleave(np.array([[1, 2], [3, 4]]), special=0).tolist() == [[0, 1, 0, 2, 0], [0, 0, 3, 0, 4]]


def test_groups_come_one_after_another():
    codes = np.array([[1, 2], [3, 4], [5, 6], [7, 8]])
    assert patterns.grouped(4, 2).interleave(codes, special=0).tolist() == [
        [0, 1, 0, 2, 0, 0, 0, 0, 0],
        [0, 0, 3, 0, 4, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 5, 0, 6, 0],
        [0, 0, 0, 0, 0, 0, 7, 0, 8],
    ]


def test_coarse_first_ends_the_first_codebook_before_the_others():
    codes = np.array([[1, 2], [3, 4], [5, 6]])
    assert patterns.coarse_first(3, (0, 1)).interleave(codes, special=0).tolist() == [
        [0, 1, 2, 0, 0, 0],
        [0, 0, 0, 3, 4, 0],
        [0, 0, 0, 0, 5, 6],
    ]


def test_stereo_writes_left_and_right_at_once():
    assert patterns.of_channels(8, 2) == patterns.delay((0, 0, 1, 1, 2, 2, 3, 3))
    assert patterns.of_channels(4) == patterns.delay((0, 1, 2, 3))


@given(st.sampled_from(SOME), st.integers(0, 40), st.integers(0, 2**32 - 1))
def test_undo_gives_the_codes_back(pattern: Pattern, n_moments: int, seed: int):
    codes = np.random.default_rng(seed).integers(0, S, (pattern.n_codebooks, n_moments))
    sequence = pattern.interleave(codes)
    assert np.array_equal(pattern.undo(sequence, n_moments), codes)
    assert (sequence[:, 0] == S).all()
    assert (sequence != S).sum() == codes.size
    assert n_moments == 0 or (sequence[:, -1] != S).any()


@given(st.sampled_from(SOME), st.integers(1, 40))
def test_no_codebook_writes_two_codes_in_a_step_and_time_runs_forwards(pattern: Pattern, n_moments: int):
    assert (np.diff(pattern.steps(n_moments), axis=1) > 0).all()


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("n_prompt", [0, 5])
def test_the_delays_are_those_of_transformers(channels: int, n_prompt: int):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    n_codebooks, n_moments = 4 * channels, 12
    config = transformers.MusicgenDecoderConfig(
        hidden_size=8, ffn_dim=8, num_hidden_layers=1, num_attention_heads=1, num_codebooks=n_codebooks, audio_channels=channels
    )
    model = transformers.MusicgenForCausalLM(config)
    codes = np.full((n_codebooks, n_moments), -1)
    codes[:, :n_prompt] = np.random.default_rng(0).integers(0, S, (n_codebooks, n_prompt))
    prompt = np.concatenate([np.full((n_codebooks, 1), S), codes[:, :n_prompt]], axis=1)
    pattern = patterns.of_channels(n_codebooks, channels)
    _, mask = model.build_delay_pattern_mask(torch.from_numpy(prompt), pad_token_id=S, max_length=pattern.n_steps(n_moments))
    assert mask.tolist() == pattern.interleave(codes).tolist()


@pytest.mark.parametrize(
    "stages",
    [
        (),
        (Stage((0, 0), (0, 1)),),
        (Stage((1,), (0,)),),
        (Stage((0,), (-1,)),),
        (Stage((0,), (0,), pace=0),),
        (Stage((0, 1), (0,)),),
    ],
)
def test_a_pattern_that_cannot_be_written_is_refused(stages: tuple[Stage, ...]):
    with pytest.raises(UsageError):
        Pattern("wrong", stages)


def test_codes_of_another_number_of_codebooks_are_refused():
    with pytest.raises(UsageError, match="4 codebooks"):
        patterns.parallel(4).interleave(np.zeros((3, 2), dtype=np.int64))
    with pytest.raises(UsageError, match="take 3 steps"):
        patterns.parallel(4).undo(np.zeros((4, 2), dtype=np.int64), 2)


def test_the_base_install_is_enough():
    code = "import sys, kapelle.text_audio.patterns; sys.exit(bool({'torch', 'scipy', 'transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
