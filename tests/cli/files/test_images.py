"""Image folders and the encoding of images."""

import os

import numpy as np
import pytest
from PIL import Image

from nbam_pyro.cli.files import (
    ImageShape,
    read,
)
from tests.cli.files.helpers import (
    again,
    image_file,
    png,
    refused,
)


def test_an_image_folder_is_read(tmp_path):
    image_file(tmp_path / "dog" / "b.png")
    image_file(tmp_path / "cat" / "deep" / "a.JPG")
    image_file(tmp_path / "cat" / ".hidden.png")
    image_file(tmp_path / ".cache" / "a.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "cat" / "notes.txt").write_text("text")
    source = read(tmp_path, label=None)
    assert source.rows.tolist() == ["cat/deep/a.JPG", "dog/b.png"]
    assert source.y.tolist() == ["cat", "dog"]
    assert source.x == [tmp_path / row for row in source.rows]


def test_links_out_of_an_image_folder_and_loops_are_not_followed(tmp_path):
    folder, outside = tmp_path / "pictures", tmp_path / "outside"
    for name in ("cat/a.png", "dog/b.png"):
        image_file(folder / name)
    image_file(outside / "c.png")
    (folder / "cat" / "loop").symlink_to("..")
    (folder / "cat" / "self").symlink_to(".")
    (folder / "cat" / "out").symlink_to(outside)
    (folder / "cat" / "out.png").symlink_to(outside / "c.png")
    (folder / "cat" / "round.png").symlink_to("round.png")
    (folder / "cat" / "lost.png").symlink_to("nowhere.png")
    (folder / "kitten").symlink_to("cat")
    (folder / "cow").symlink_to(outside)
    (folder / "dog" / "same.png").symlink_to("b.png")
    os.mkfifo(folder / "dog" / "pipe.png")
    source = read(folder, label=None)
    assert source.rows.tolist() == ["cat/a.png", "dog/b.png", "dog/same.png"]
    assert source.y.tolist() == ["cat", "dog", "dog"]
    (note,) = source.notes
    assert note.startswith("8 symbolic links were not followed ('cat/loop', ")
    refused(
        "1 symbolic link was not followed ('cat/x.png')",
        call=lambda: read(only_linked(tmp_path), label=None),
    )


def only_linked(tmp_path):
    (tmp_path / "links" / "cat").mkdir(parents=True)
    (tmp_path / "links" / "cat" / "x.png").symlink_to(tmp_path / "outside" / "c.png")
    return tmp_path / "links"


def test_an_image_folder_may_be_reached_by_a_link(tmp_path):
    image_file(tmp_path / "pictures" / "cat" / "a.png")
    (tmp_path / "link").symlink_to("pictures")
    assert read(tmp_path / "link", label=None).rows.tolist() == ["cat/a.png"]


def test_mistakes_in_an_image_folder(tmp_path):
    refused("no images", ".png", call=lambda: read(tmp_path, label=None))
    (tmp_path / "cat").mkdir()
    refused("no images", call=lambda: read(tmp_path, label=None))
    image_file(tmp_path / "a.png")
    refused("no class folders", call=lambda: read(tmp_path, label=None))
    refused("Leave out the label 'y'", call=lambda: read(tmp_path, label="y"))


@pytest.mark.parametrize(
    ("images", "shape"),
    [
        ([("L", (10, 12)), ("1", (10, 12)), ("LA", (10, 12))], (12, 10, 1)),
        ([("L", (10, 12)), ("RGB", (10, 12))], (12, 10, 3)),
        ([("RGBA", (64, 64)), ("P", (64, 64))], (64, 64, 3)),
        ([("L", (65, 12))], (32, 32, 1)),
        ([("L", (12, 12)), ("L", (12, 13))], (32, 32, 1)),
        ([("L", (5, 20))], (20, 8, 1)),
    ],
)
def test_images_are_encoded_and_survive_json(tmp_path, images, shape):
    paths = [
        image_file(tmp_path / f"{number}.png", mode, size)
        for number, (mode, size) in enumerate(images)
    ]
    encoding = ImageShape.of(paths)
    assert encoding == ImageShape(*shape)
    assert again(encoding) == encoding
    encoded = again(encoding).encode(paths)
    assert encoded.x.shape == (len(paths), shape[2], *shape[:2])
    assert encoded.x.dtype == np.float32
    scaled = any(size != (shape[1], shape[0]) for _, size in images)
    assert len(encoded.notes) == scaled


def test_pixels_lie_between_0_and_1(tmp_path):
    paths = [
        image_file(tmp_path / "white.png", "L", colour=255),
        image_file(tmp_path / "deep.png", "I;16", colour=65535),
        image_file(tmp_path / "half.png", "I;16", colour=32896),
        image_file(tmp_path / "colour.png", "RGB", colour=(255, 0, 0)),
    ]
    encoded = ImageShape(8, 8, 3).encode(paths)
    np.testing.assert_allclose(
        encoded.x[:, :, 0, 0], [[1] * 3, [1] * 3, [128 / 255] * 3, [1, 0, 0]]
    )
    encoded = ImageShape(8, 16, 1).encode(paths)
    assert encoded.notes == [
        "4 images were scaled to 8 x 16 pixels",
        "1 image was converted from colour to grey, because all training images were grey",
    ]


def test_transparent_palettes_are_read_without_a_warning(tmp_path):
    palette = Image.new("P", (8, 8))
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.save(tmp_path / "a.png", transparency=b"\x80\x00")
    assert ImageShape.of([tmp_path / "a.png"]).encode([tmp_path / "a.png"]).x[0, 0, 0, 0] == 1


@pytest.mark.parametrize(
    "content", [b"", b"text", png()[:10], png()[:50], b"\x89PNG\r\n\x1a\n" + b"\0" * 50, None]
)
def test_a_damaged_image_is_named(tmp_path, content):
    path = tmp_path / "cat.png"
    if content is not None:
        path.write_bytes(content)
    refused("cat.png", "Replace it", call=lambda: ImageShape(8, 8, 1).encode([path]))


def test_images_of_floats_are_refused(tmp_path):
    path = image_file(tmp_path / "a.tiff", "F")
    refused("a.tiff", "floats", call=lambda: ImageShape.of([path]).encode([path]))
    refused("no images", call=lambda: ImageShape.of([]))
