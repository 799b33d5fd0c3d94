"""The layout of MVTec AD: which images are training images, and which pixels are defects."""

import numpy as np
import pytest
from PIL import Image
from torch import nn

from benchmarks.detection import loe_maps, mvtec
from nbam_pyro.errors import DataError
from tests.cli.networks.helpers import script_file

SIZE = 64


def write_png(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write_category(folder, *, good=20, tested=4, bad=5, size=SIZE, seed=0, grey=False):
    """A category with two kinds of defects, as MVTec AD has it. The brightness is the number."""
    rng = np.random.default_rng(seed)

    def image(number):
        pixels = rng.integers(number, number + 8, (size, size, 3), dtype=np.uint8)
        return pixels[..., 0] if grey else pixels

    for number in range(good):
        write_png(folder / "train" / "good" / f"{number:03d}.png", image(100 + number))
    for number in range(tested):
        write_png(folder / "test" / "good" / f"{number:03d}.png", image(100 + number))
    for kind in ("crack", "hole"):
        for number in range(bad):
            pixels, mask = image(100), np.zeros((size, size), dtype=np.uint8)
            pixels[8:24, 16 + number : 40] = 255
            mask[8:24, 16 + number : 40] = 255
            write_png(folder / "test" / kind / f"{number:03d}.png", pixels)
            write_png(folder / "ground_truth" / kind / f"{number:03d}_mask.png", mask)
    (folder / "readme.txt").write_text("This is not an image.")


@pytest.fixture
def root(tmp_path):
    write_category(tmp_path / "tile")
    write_category(tmp_path / "grid", seed=1, grey=True)
    (tmp_path / "license.txt").write_text("A licence.")
    (tmp_path / "other").mkdir()
    return tmp_path


def test_categories(root):
    assert mvtec.categories(root) == ["grid", "tile"]
    with pytest.raises(DataError, match="has no folder CATEGORY/train/good"):
        mvtec.categories(root / "tile")


@pytest.mark.parametrize(
    ("share", "moved", "good"), [(0.0, 0, 20), (0.1, 2, 18), (0.2, 5, 20), (0.5, 5, 5)]
)
@pytest.mark.parametrize("category", ["tile", "grid"])
def test_defects_are_moved_to_the_training_images(root, category, share, moved, good):
    made = mvtec.contaminated(root / category, share=share, seed=0, size=SIZE)
    assert made.train == moved + good
    assert made.images.shape == (moved + good + 4 + 10 - moved, 3, SIZE, SIZE)
    assert made.images.dtype == np.uint8
    broken = made.defects.any((1, 2))
    assert broken.tolist() == ([True] * moved + [False] * (good + 4) + [True] * (10 - moved))
    # The defects are where the images are white, and no image is used twice.
    np.testing.assert_array_equal(made.defects, (made.images == 255).all(1))
    assert len({image.tobytes() for image in made.images}) == len(made.images)


def test_the_seed_chooses_the_defects(root):
    def made(seed):
        return mvtec.contaminated(root / "tile", share=0.2, seed=seed, size=SIZE)

    np.testing.assert_array_equal(made(0).images, made(0).images)
    assert (made(0).images[:5] != made(1).images[:5]).any()


def test_scaled_masks_lose_no_defect(tmp_path):
    write_category(tmp_path, size=96)
    for path in (tmp_path / "ground_truth").rglob("*.png"):
        mask = np.zeros((96, 96), dtype=np.uint8)
        mask[7, 50] = 255
        write_png(path, mask)
    made = mvtec.contaminated(tmp_path, share=0.2, seed=0, size=32)
    assert made.images.shape[2:] == (32, 32)
    at = np.argwhere(made.defects[0])
    assert at.tolist() == [[2, 16]]
    larger = mvtec.contaminated(tmp_path, share=0.2, seed=0, size=192)
    assert np.argwhere(larger.defects[0]).tolist() == [[14, 100], [14, 101], [15, 100], [15, 101]]


def test_mistakes(root):
    tile = root / "tile"
    with pytest.raises(DataError, match="Give at most"):
        mvtec.contaminated(tile, share=0.6, seed=0, size=SIZE)
    blank = np.zeros((SIZE, SIZE), dtype=np.uint8)
    write_png(tile / "ground_truth" / "crack" / "000_mask.png", blank)
    with pytest.raises(DataError, match="no pixel of a defect"):
        mvtec.contaminated(tile, share=0.1, seed=0, size=SIZE)
    (tile / "ground_truth" / "crack" / "000_mask.png").unlink()
    with pytest.raises(DataError, match=r"000_mask\.png' cannot be read"):
        mvtec.contaminated(tile, share=0.1, seed=0, size=SIZE)
    for path in (tile / "test" / "good").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="has no PNG files"):
        mvtec.contaminated(tile, share=0.1, seed=0, size=SIZE)


def test_the_benchmark_on_a_small_category(root, monkeypatch):
    script_file(root / "net.ts", nn.Conv2d(3, 4, 8, stride=8))
    benchmark = loe_maps.LoeMaps(
        data=("mvtec",), categories=("tile",), size=SIZE, methods=("neighbours",),
        shares=(0.1, 0.2), network=root / "net.ts", seeds=1, data_root=root,
    )  # fmt: skip
    rows = list(benchmark.measure(()))
    assert [row.case.settings["share"] for row in rows] == [0.1, 0.2]
    assert {row.case.data for row in rows} == {"mvtec/tile"}
    assert [row.figures["defective"] for row in rows] == [0.1, 0.2]
    for row in rows:
        for name in ("pixel_auc", "image_auc", "new_pixel_auc", "new_image_auc"):
            assert row.figures[name] > 0.9
    assert list(benchmark.measure([row.case for row in rows])) == []
