"""The perceptual hash sees past what people see past, and its search misses no pair."""

import tracemalloc

import numpy as np
import pytest
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from aigc.data import hamming, similarity


def bits(names: list[str]) -> np.ndarray:
    return np.unpackbits(np.array([list(bytes.fromhex(name)) for name in names], np.uint8), axis=1)


def smooth(seed: int, side: int = 48) -> Image.Image:
    """A picture with structure of every size, as pictures have."""
    noise = np.random.default_rng(seed).normal(size=(side, side))
    frequency = np.hypot(*np.meshgrid(np.arange(side), np.arange(side))) + 1
    field = scipy.fft.idctn(noise / frequency, norm="ortho")
    return Image.fromarray(np.uint8(255 * (field - field.min()) / np.ptp(field)))


def hashed(*shown: Image.Image) -> list[str]:
    return similarity.phash(np.stack([np.asarray(picture)[None] for picture in shown]))


def test_the_hash_is_the_signs_of_scipys_transform(rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (20, 1, 32, 28), dtype=np.uint8)
    low = scipy.fft.dctn(images[:, 0].astype(float), axes=(1, 2))[:, :16, :16].reshape(20, -1)[:, 1:]
    expected = low > np.median(low, axis=1, keepdims=True)
    assert (
        bits(similarity.phash(images))[:, :255] == expected
    ).mean() > 0.995  # its cosines are rounded to 10 bits


def test_a_brighter_a_recompressed_and_a_rescaled_picture_stay_near_and_another_does_not() -> None:
    original = smooth(0)
    smaller = original.resize((32, 32), Image.Resampling.BICUBIC).resize((48, 48), Image.Resampling.BICUBIC)
    coarse = original.quantize(24).convert("L")
    found = bits(hashed(original, ImageEnhance.Brightness(original).enhance(0.8), smaller, coarse, smooth(1)))
    distances = (found[0] != found).sum(1)
    assert (distances[1:4] <= 16).all() and distances[4] > 64


def test_a_grey_picture_in_colour_has_the_same_hash() -> None:
    grey = np.asarray(smooth(2))[None, None]
    assert similarity.phash(grey) == similarity.phash(grey.repeat(3, axis=1))


def test_a_constant_picture_has_a_hash_of_zeros_and_looks_like_nothing() -> None:
    blank = similarity.phash(np.full((2, 1, 16, 16), 77, np.uint8))
    assert set("".join(blank)) == {"0"}
    assert similarity.look_alikes(blank, ["a", "b"], 16).tolist() == [-1, -1]


def test_many_pictures_of_one_scene_are_told_without_comparing_all_pairs(rng: np.random.Generator) -> None:
    scene = rng.integers(0, 256, 32, dtype=np.uint8)
    frames = np.tile(scene, (20_000, 1)) ^ np.packbits(rng.random((20_000, 256)) < 0.01, axis=1)
    names = [frame.tobytes().hex() for frame in np.unique(frames, axis=0)]
    tracemalloc.start()
    assert (similarity.look_alikes(names, names, 16) >= 0).all()
    assert tracemalloc.get_traced_memory()[1] < 100 << 20  # a pair takes 16 bytes, and there are 10^8
    tracemalloc.stop()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 64), st.sampled_from([2, 5, hamming.HEAVY]))
def test_the_search_finds_the_rows_that_comparing_all_pairs_finds(seed: int, most: int, heavy: int) -> None:
    rng = np.random.default_rng(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hamming, "HEAVY", heavy)  # above it a bucket is searched by other bits
        check_against_all_pairs(rng, most)


def check_against_all_pairs(rng: np.random.Generator, most: int) -> None:
    centres = rng.integers(0, 2, (4, 256), dtype=np.uint8)
    codes = centres[rng.integers(0, 4, 30)] ^ (
        rng.random((30, 256)) < rng.choice([0.0, 0.02, 0.05, 0.2], 30)[:, None]
    )
    names = [np.packbits(code).tobytes().hex() for code in codes.astype(np.uint8)]
    sha = [f"{picture}" for picture in rng.integers(0, 25, 30)]
    names = [names[sha.index(own)] for own in sha]  # equal pictures have equal hashes
    found = similarity.look_alikes(names, sha, most)
    distance = (bits(names)[:, None] != bits(names)[None]).sum(2)
    for row in range(30):
        if sha.index(sha[row]) != row:
            assert found[row] == -1  # a copy: the business of `duplicates`
            continue
        others = [other for other in range(30) if sha[other] != sha[row] and distance[row, other] <= most]
        assert (found[row] in others) if others else found[row] == -1


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 24), st.integers(2, 200))
def test_codes_that_differ_in_few_bits_or_crowd_one_bucket_are_searched_without_a_miss(
        seed: int, most: int, varying: int) -> None:
    rng = np.random.default_rng(seed)
    bits = np.zeros((400, 256), np.uint8)
    bits[:, rng.choice(256, varying, replace=False)] = rng.random((400, varying)) < rng.random(varying)
    codes = np.unique(np.packbits(bits, axis=1), axis=0)
    is_open = rng.random(len(codes)) < 0.7
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hamming, "HEAVY", 4)
        found = hamming.near_rows(codes, is_open, most)
    distance = np.bitwise_count(codes[:, None] ^ codes[None]).sum(2, dtype=int)
    np.fill_diagonal(distance, 999)
    assert ((found >= 0) == (is_open & (distance.min(1) <= most))).all()
    rows = np.flatnonzero(found >= 0)
    assert (distance[rows, found[rows]] <= most).all()
