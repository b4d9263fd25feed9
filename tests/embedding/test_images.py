"""Reading images: each kind of input, what is refused, and the keys of contents."""

import io
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal
from PIL import Image

from skdiffusion_label.embedding._images import ImageRows, UnreadableImageError

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(256, size=(4, 7, 5, 3), dtype=np.uint8)
IMAGES = [Image.fromarray(pixels) for pixels in PIXELS]
TENSORS = torch.from_numpy(PIXELS).permute(0, 3, 1, 2)


def as_bytes(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def objects(values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


@pytest.fixture
def paths(tmp_path):
    for row, image in enumerate(IMAGES):
        image.save(tmp_path / f"{row}.png")
    return [str(tmp_path / f"{row}.png") for row in range(len(IMAGES))]


CONTAINERS = {
    "list": list,
    "tuple": tuple,
    "object array": objects,
    "column": lambda values: objects(values)[:, None],
    "Series": lambda values: pd.Series(values, index=[7, 5, 3, 1]),
    "DataFrame": lambda values: pd.DataFrame({"image": values}),
}


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
def test_any_container_of_any_kind_of_image_gives_the_same_pixels(container, paths):
    kinds = [
        IMAGES,
        paths,
        [Path(path) for path in paths],
        [as_bytes(image) for image in IMAGES],
        list(PIXELS),
        list(TENSORS),
        [IMAGES[0], paths[1], as_bytes(IMAGES[2]), TENSORS[3]],
    ]
    for images in kinds:
        rows = ImageRows(container(images))
        assert len(rows) == 4
        for row, pixels in zip(rows, PIXELS, strict=True):
            assert isinstance(row, Image.Image)
            assert_array_equal(np.asarray(row), pixels)


@pytest.mark.parametrize("shape", [(4, 1), (4,)])
@pytest.mark.parametrize("dtype", [np.str_, np.dtypes.StringDType()])
def test_arrays_of_strings_hold_paths(shape, dtype, paths):
    rows = ImageRows(np.array(paths, dtype=dtype).reshape(shape))
    assert_array_equal([np.asarray(row) for row in rows], PIXELS)


@pytest.mark.parametrize(
    ("X", "mode"),
    [
        (PIXELS, "RGB"),
        (PIXELS[..., :1], "L"),
        (PIXELS[..., 0], "L"),
        (np.concatenate([PIXELS, PIXELS[..., :1]], axis=3), "RGBA"),
        (TENSORS, "RGB"),
        (TENSORS[:, :1], "L"),
        (list(PIXELS[..., 0]), "L"),
        (list(PIXELS[..., :1]), "L"),
    ],
)
def test_arrays_and_tensors_are_read_row_by_row(X, mode):
    rows = ImageRows(X)
    assert len(rows) == 4
    assert {row.mode for row in rows} == {mode}
    channels = len(mode)
    expected = np.concatenate([PIXELS, PIXELS[..., :1]], axis=3)[3, ..., :channels].squeeze()
    assert_array_equal(np.asarray(rows[3]), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64, torch.bfloat16])
def test_float_tensors_are_passed_through(dtype):
    tensors = (TENSORS.double() / 255).to(dtype)
    for X in (tensors, list(tensors)):
        rows = ImageRows(X)
        assert rows[2].dtype == dtype
        assert torch.equal(rows[2], tensors[2])


def test_float_tensors_keep_no_gradient():
    tensor = (TENSORS[0] / 255).requires_grad_()
    assert not ImageRows([tensor])[0].requires_grad


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_float_tensors_beyond_one_are_refused(value):
    tensors = TENSORS / 255
    tensors[2, 0, 0, 0] = value
    rows = ImageRows(tensors)
    rows[1]
    with pytest.raises(ValueError, match=r"Row 2 of X, a float tensor, .* in \[0, 1\], got"):
        rows[2]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"])
def test_images_stay_usable_after_their_file_is_closed(kind, tmp_path):
    path = tmp_path / "image"
    IMAGES[0].save(path, kind)
    image = ImageRows([path])[0]
    path.unlink()
    assert getattr(image, "fp", None) is None
    assert_array_equal(np.asarray(pickle.loads(pickle.dumps(image))), np.asarray(image))
    assert image.convert("RGB").resize((3, 3)).size == (3, 3)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ("cat.png", TypeError, r"single one: cat.png. Pass it as \[X\]"),
        (Path("cat.png"), TypeError, "single one: cat.png"),
        (as_bytes(IMAGES[0]), TypeError, "single one: .* bytes"),
        (IMAGES[0], TypeError, "single one: a PIL image of mode RGB"),
        (PIXELS[0], ValueError, r"got \(7, 5, 3\). Pass a single image as \[X\]"),
        (PIXELS[0, :, :, 0], ValueError, r"got \(7, 5\). Pass a single image"),
        (TENSORS[0], ValueError, r"\(n_samples, channels, height, width\), got \(3, 7, 5\)"),
        ((image for image in IMAGES), TypeError, "torch tensor of images, got generator"),
        (None, TypeError, "got NoneType"),
        (PIXELS / 255, TypeError, r"dtype float64 and shape \(4, 7, 5, 3\). Convert .*uint8"),
        (np.zeros((4, 10)), TypeError, r"uint8, paths or objects, got .* float64"),
        (np.array([b"x", b"y"]), TypeError, r"dtype \|S1"),
        (PIXELS[..., :2], ValueError, r"1, 3 or 4 channels in its last axis, got shape \(4, 7, 5"),
        (TENSORS.permute(0, 2, 3, 1), ValueError, r"1, 3 or 4 channels before .* \(7, 5, 3\)"),
        (TENSORS.int(), TypeError, "must hold uint8 or floats, got torch.int32"),
        (np.array([["a", "b"]]), ValueError, r"\(n_samples, 1\), got \(1, 2\)"),
        (np.array("a"), ValueError, r"got \(\)"),
        (pd.DataFrame({"a": ["x"], "b": ["y"]}), ValueError, r"one column, .* 2: \['a', 'b'\]"),
        ([], ValueError, "at least one image, got none"),
        (PIXELS[:0], ValueError, "at least one image, got none"),
        (np.array([], dtype=str), ValueError, "at least one image, got none"),
        (pd.Series([], dtype=object), ValueError, "at least one image, got none"),
        (TENSORS[:0], ValueError, "at least one image, got none"),
        ([IMAGES[0], 3.5], TypeError, "Row 1 of X must be a path, .*, got float"),
        (pd.Series(["a.png", None]), TypeError, "Row 1 of X must be a path"),
        ([[IMAGES[0]]], TypeError, "Row 0 of X must be a path, .*, got list"),
        ([PIXELS[0], PIXELS[0] / 255], TypeError, "Row 1 of X .* uint8, got .* float64"),
        ([PIXELS[0, 0, 0]], ValueError, r"Row 0 of X must be of shape .*, got \(3,\)"),
        ([TENSORS[0].numpy()], ValueError, r"Row 0 of X must be of shape .*, got \(3, 7, 5\)"),
        ([TENSORS[0, 0]], ValueError, r"Row 0 of X as a tensor .* got shape \(7, 5\)"),
        ([TENSORS[0].long()], TypeError, "Row 0 of X as a tensor .* got torch.int64"),
    ],
)
def test_what_is_no_sequence_of_images_is_refused_at_once(X, error, message):
    with pytest.raises(error, match=message):
        ImageRows(X)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.95])
def test_truncated_files_are_unreadable(kind, share, tmp_path):
    content = as_bytes(IMAGES[0].resize((60, 60)), kind)
    content = content[: int(share * len(content))]
    path = tmp_path / "part"
    path.write_bytes(content)
    rows = ImageRows([IMAGES[0], str(path), content])
    with pytest.raises(UnreadableImageError, match=f"Row 1 of X .*: {path} ") as info:
        rows[1]
    assert info.value.__cause__ is not None
    with pytest.raises(UnreadableImageError, match=f"Row 2 of X .*: {len(content)} bytes "):
        rows[2]


def test_missing_files_and_other_files_are_unreadable(tmp_path):
    (tmp_path / "notes.txt").write_text("not an image")
    paths = ["nowhere.png", tmp_path, tmp_path / "notes.txt", "a\0b"]
    rows = ImageRows(paths)
    for row, reason in enumerate(["No such file", "Is a directory", "not an image", "null"]):
        with pytest.raises(UnreadableImageError, match=f"(?s)Row {row} of X .*{reason}"):
            rows[row]
    with pytest.raises(UnreadableImageError, match=r"Row 0 of X .*: nowhere.png \(No such file"):
        rows.digest(0)


def test_a_damaged_image_that_was_opened_but_not_loaded_is_unreadable(tmp_path):
    path = tmp_path / "part.png"
    content = as_bytes(IMAGES[0].resize((60, 60)))
    path.write_bytes(content[: len(content) // 2])
    with Image.open(path) as image:
        rows = ImageRows([image])
        with pytest.raises(UnreadableImageError, match=f"Row 0 of X .*: {path}"):
            rows[0]


def test_errors_and_rows_can_be_pickled(paths):
    error = pickle.loads(pickle.dumps(UnreadableImageError(3, "cat.png", "is a dog")))
    assert str(error) == "Row 3 of X cannot be read as an image: cat.png (is a dog)."
    assert (error.row, error.name, error.reason) == (3, "cat.png", "is a dog")
    assert isinstance(error, ValueError)
    rows = pickle.loads(pickle.dumps(ImageRows(paths)))
    assert_array_equal(np.asarray(rows[1]), PIXELS[1])


def test_equal_contents_have_equal_digests(paths, tmp_path):
    copy = tmp_path / "copy.png"
    copy.write_bytes(Path(paths[0]).read_bytes())
    for same in (
        [paths[0], copy, copy.read_bytes(), np.str_(copy)],
        [IMAGES[0], IMAGES[0].copy(), Image.open(io.BytesIO(as_bytes(IMAGES[0])))],
        [PIXELS[0], np.asfortranarray(PIXELS[0])],
        [TENSORS[0], TENSORS[0].contiguous()],
    ):
        rows = ImageRows(same)
        digests = {rows.digest(row) for row in range(len(rows))}
        assert len(digests) == 1
        assert len(digests.pop()) == 20
    assert ImageRows(PIXELS).digest(1) == ImageRows(list(PIXELS)).digest(1)


def test_whatever_changes_an_image_changes_its_digest():
    gray = Image.fromarray(PIXELS[0, :, :, 0])
    palettes = []
    for color in (10, 20):
        image = Image.fromarray(PIXELS[0, :, :, 0]).copy()
        image.putpalette([color] * 768)
        palettes.append(image)
    transparent, rotated = palettes[0].copy(), IMAGES[0].copy()
    transparent.info["transparency"] = 3
    rotated.info["exif"] = b"Exif rotated"
    floats = TENSORS[0] / 255
    different = [
        *IMAGES,
        gray,
        gray.transpose(Image.Transpose.ROTATE_90),
        Image.frombytes("L", (35, 1), gray.tobytes()),
        *palettes,
        transparent,
        rotated,
        PIXELS[0],
        PIXELS[0].reshape(5, 7, 3),
        PIXELS[1],
        TENSORS[0],
        floats,
        floats.bfloat16(),
        as_bytes(IMAGES[0]),
        as_bytes(IMAGES[0], "BMP"),
    ]
    rows = ImageRows(different)
    assert len({rows.digest(row) for row in range(len(rows))}) == len(different)


def test_inputs_are_left_as_they_were():
    pixels, images = PIXELS.copy(), list(IMAGES)
    for X in (pixels, images):
        for row in range(4):
            rows = ImageRows(X)
            rows.digest(row)
            rows[row].convert("L")
    assert_array_equal(pixels, PIXELS)
    assert images == IMAGES


def test_reading_images_imports_no_torch():
    root = Path(__file__).parents[2] / "skdiffusion_label" / "embedding" / "_images.py"
    code = (
        "import importlib.util, sys, numpy\n"
        f"spec = importlib.util.spec_from_file_location('images', {str(root)!r})\n"
        "images = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(images)\n"
        "rows = images.ImageRows(numpy.zeros((2, 4, 4, 3), dtype='uint8'))\n"
        "rows[0], rows.digest(1)\n"
        "print('torch' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout.strip() == "False"


@pytest.mark.parametrize("dtype", [np.uint16, np.int32], ids=["I;16", "I"])
def test_images_of_16_bits_are_brought_to_8(dtype, tmp_path):
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    image = Image.fromarray((pixels.astype(dtype) << 8) + 77)
    path = tmp_path / "long.tiff"
    image.save(path)
    for row in range(2):
        assert_array_equal(np.asarray(ImageRows([image, str(path)])[row]), pixels)


@pytest.mark.parametrize(
    "pixels", [np.full((2, 2), 0.5, np.float32), np.array([[2**16]], np.int32)], ids=["F", "I"]
)
def test_images_of_unknown_range_are_not_clipped_silently(pixels):
    with pytest.raises(UnreadableImageError, match="bring it to 8 bits"):
        ImageRows([Image.fromarray(pixels)])[0]


def test_polars_columns_are_sequences_of_images():
    polars = pytest.importorskip("polars")
    series = polars.Series("path", ["a.png", "b.png"])
    for X in (series, series.to_frame()):
        rows = ImageRows(X)
        assert len(rows) == 2
        with pytest.raises(UnreadableImageError, match=r"Row 1 .* b\.png"):
            rows[1]


@pytest.mark.parametrize(
    "X",
    [
        [np.zeros((0, 4), np.uint8)],
        np.zeros((2, 0, 4, 3), np.uint8),
        torch.zeros(2, 3, 0, 4),
        [torch.zeros(3, 4, 0)],
    ],
)
def test_images_without_pixels_are_refused(X):
    with pytest.raises(ValueError, match="pixels, got shape"):
        ImageRows(X)


def test_images_of_32_bits_that_need_only_8_stay_as_they_are():
    gray = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    assert_array_equal(np.asarray(ImageRows([gray.convert("I")])[0]), np.asarray(gray))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P"])
def test_rows_may_be_changed_in_place(mode, tmp_path):
    image = IMAGES[0].convert(mode)
    image.save(tmp_path / "image.png")
    opened = Image.open(tmp_path / "image.png")
    pixels = np.asarray(IMAGES[0].convert("RGBA" if mode == "RGBA" else "L")).copy()
    floats = TENSORS[0] / 255
    X = [image, opened, pixels, torch.from_numpy(pixels.copy()).reshape(-1, 7, 5)[:1], floats]
    rows = ImageRows(X)
    digests = [rows.digest(row) for row in range(5)]
    for row in range(4):
        rows[row].paste(0, (0, 0, 5, 7))
    rows[4].zero_()
    assert [rows.digest(row) for row in range(5)] == digests


def test_a_row_keeps_what_else_its_image_holds():
    palette = IMAGES[0].convert("P")
    palette.info["transparency"] = 3
    exif = Image.Exif()
    exif[0x0112] = 6
    rotated = Image.open(io.BytesIO(as_bytes(IMAGES[0], "JPEG", exif=exif)))
    rows = ImageRows([palette, rotated])
    assert rows[0].info["transparency"] == 3
    assert rows[0].getpalette() == palette.getpalette()
    assert rows[1].getexif()[0x0112] == 6
