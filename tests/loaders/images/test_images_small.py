"""Axes of length 1: one pixel, one row of pixels, one image, one channel."""

import numpy as np
import pytest
from PIL import Image

import tensorize


@pytest.mark.parametrize("size", [(1, 1), (1, 3), (3, 1)])
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("mode", ["L", "RGB", "I;16"])
@pytest.mark.parametrize("options", [{}, {"dtype": "uint8"}, {"split": "0.5,0.5"}, {"normalize": "none"}], ids=str)
def test_the_smallest_images_are_read(tmp_path, size, count, mode, options) -> None:
    if (count == 1 and "split" in options) or (mode == "I;16" and "dtype" in options):
        pytest.skip("refused by name")
    rng = np.random.default_rng(0)
    (tmp_path / "d").mkdir()
    for n in range(count):
        pixels = rng.integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
        (Image.fromarray(pixels).convert("L" if mode != "RGB" else mode).convert(mode)).save(tmp_path / "d" / f"{n}.png")
    made = tensorize.prepare("images", tmp_path / "d", out=tmp_path / "x.h5", **options)
    found = made["train/images" if "split" in options else "images"]
    assert found.shape[1:] == (3, size[1], size[0])
    if options == {"normalize": "none"}:
        first = np.asarray(Image.open(tmp_path / "d" / "0.png"), np.float64)
        scaled = first / (65535 if mode == "I;16" else 255)
        wanted = np.broadcast_to(scaled.reshape(*size[::-1], -1), (*size[::-1], 3)).transpose(2, 0, 1)
        np.testing.assert_allclose(found[0].numpy(), wanted, atol=1e-7)
