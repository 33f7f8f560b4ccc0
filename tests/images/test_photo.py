from __future__ import annotations

import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from preimage.errors import PreimageError, UsageError
from preimage.images.photo import load_photo, save_png

SAME_FOLDER = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def left_red_right_blue(width: int = 40, height: int = 20) -> Image.Image:
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2, 0] = 255
    pixels[:, width // 2 :, 2] = 255
    return Image.fromarray(pixels)


def refusal(file: Path) -> str | None:
    try:
        image = load_photo(file, size=8)
    except PreimageError as error:
        return str(error)
    assert image.size == (8, 8)
    return None


def png_header(width: int, height: int) -> bytes:
    """A PNG that is all promise: a header and no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_short_side_and_centre(tmp_path: Path) -> None:
    pixels = np.zeros((30, 50, 3), np.uint8)
    pixels[:, 10:40] = 200  # exactly the central square
    save_png(pixels, tmp_path / "a.png")
    image = load_photo(tmp_path / "a.png", size=15)
    assert image.mode == "RGB"
    assert image.size == (15, 15)
    # The filter at the rim looks past the square, as it does when the whole photo is resized.
    assert abs(np.asarray(image, int)[:, 3:-3] - 200).max() <= 1


@SAME_FOLDER
@given(width=st.integers(2, 60), height=st.integers(2, 60), size=st.integers(1, 50))
def test_any_shape_becomes_the_square(tmp_path: Path, width: int, height: int, size: int) -> None:
    save_png(np.full((height, width), 99, np.uint8), tmp_path / "a.png")
    pixels = np.asarray(load_photo(tmp_path / "a.png", size=size))
    assert pixels.shape == (size, size, 3)
    assert (pixels == 99).all()


def test_resizing_is_antialiased(tmp_path: Path) -> None:
    checks = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    save_png(checks, tmp_path / "a.png")
    pixels = np.asarray(load_photo(tmp_path / "a.png", size=16), int)
    assert abs(pixels - 127.5).max() < 20


def test_one_step_equals_resizing_then_cropping(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 80, 3), dtype=np.uint8)
    save_png(pixels, tmp_path / "a.png")
    whole = Image.fromarray(pixels).resize((40, 20), Image.Resampling.LANCZOS)
    expected = np.asarray(whole.crop((10, 0, 30, 20)), int)
    assert abs(np.asarray(load_photo(tmp_path / "a.png", size=20), int) - expected).max() <= 1


def test_resizing_is_pillows_lanczos(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    save_png(pixels, tmp_path / "a.png")
    expected = Image.fromarray(pixels).resize((24, 24), Image.Resampling.LANCZOS)
    assert load_photo(tmp_path / "a.png", size=24).tobytes() == expected.tobytes()


def test_a_very_long_picture_is_not_resized_whole(tmp_path: Path) -> None:
    save_png(np.full((2, 1_000_000), 50, np.uint8), tmp_path / "a.png")
    assert load_photo(tmp_path / "a.png", size=224).size == (224, 224)


def test_whole_picture_without_a_size(tmp_path: Path) -> None:
    left_red_right_blue().save(tmp_path / "a.png")
    assert load_photo(tmp_path / "a.png", size=None).tobytes() == left_red_right_blue().tobytes()


def test_grey(tmp_path: Path) -> None:
    left_red_right_blue().save(tmp_path / "a.png")
    image = load_photo(tmp_path / "a.png", size=None, channels=1)
    assert image.mode == "L"
    assert image.getpixel((0, 0)) == 76  # 0.299 * 255


@pytest.mark.parametrize(
    ("orientation", "red_at"), [(1, (0, 0)), (2, (39, 0)), (3, (39, 0)), (6, (0, 0)), (8, (0, 39))]
)
def test_exif_orientation(tmp_path: Path, orientation: int, red_at: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    left_red_right_blue().save(tmp_path / "a.png", exif=exif)
    image = load_photo(tmp_path / "a.png", size=None)
    assert image.size == ((20, 40) if orientation >= 5 else (40, 20))
    assert image.getpixel(red_at) == (255, 0, 0)


def test_exif_in_a_jpeg(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    left_red_right_blue().save(tmp_path / "a.jpg", exif=exif, quality=95)
    image = load_photo(tmp_path / "a.jpg", size=None)
    assert image.size == (20, 40)
    assert np.asarray(image)[2, 10, 0] > 240


def test_broken_exif_does_not_matter(tmp_path: Path) -> None:
    left_red_right_blue().save(tmp_path / "a.jpg", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff")
    assert load_photo(tmp_path / "a.jpg", size=None).size == (40, 20)


def test_transparency_lies_over_white(tmp_path: Path) -> None:
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[:, 2:, 3] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    image = load_photo(tmp_path / "a.png", size=None)
    assert image.getpixel((0, 0)) == (255, 255, 255)
    assert image.getpixel((3, 0)) == (0, 0, 0)


def test_half_transparency(tmp_path: Path) -> None:
    Image.new("LA", (4, 4), (0, 127)).save(tmp_path / "a.png")
    assert load_photo(tmp_path / "a.png", size=None).getpixel((0, 0)) == (128, 128, 128)


def test_a_transparent_palette_colour(tmp_path: Path) -> None:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((3, 3), 1)
    image.save(tmp_path / "a.png", transparency=0)
    loaded = load_photo(tmp_path / "a.png", size=None)
    assert loaded.getpixel((0, 0)) == (255, 255, 255)
    assert loaded.getpixel((3, 3)) == (40, 50, 60)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_first_frame_of_an_animation(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    file = tmp_path / f"a.{suffix}"
    frames[0].save(file, save_all=True, append_images=frames[1:], duration=100, lossless=True)
    assert load_photo(file, size=4).getpixel((1, 1)) == (255, 0, 0)


def test_cmyk_jpeg(tmp_path: Path) -> None:
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=95)
    red, green, blue = np.asarray(load_photo(tmp_path / "a.jpg", size=8))[3, 3]
    assert red > 240
    assert max(green, blue) < 15


def test_sixteen_bit_png_is_scaled(tmp_path: Path) -> None:
    values = np.array([[0, 257, 128 * 257, 65535]] * 4, np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    image = load_photo(tmp_path / "a.png", size=None)
    assert np.asarray(image)[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "YCbCr", "LAB", "RGBA", "CMYK"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    suffix = "png" if mode in ("1", "L", "P", "RGB", "RGBA") else "tif"
    Image.new(mode, (6, 6)).save(tmp_path / f"a.{suffix}")
    assert load_photo(tmp_path / f"a.{suffix}", size=4).mode == "RGB"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "expected an image, got an empty file"),
        (
            b"Dear reader, this is no picture.\n",
            r"expected an image \(JPEG, PNG.*got something else",
        ),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "got something else"),
        (png_header(20_000, 20_000), "at most 100 megapixels, got 400"),
        (png_header(11_000, 10_000), "at most 100 megapixels, got 110"),
        (png_header(8, 8), "damaged or cut short"),
    ],
    ids=["empty", "text", "eps", "huge", "large", "no pixels"],
)
def test_what_is_no_photo_is_refused_in_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "a.jpg"
    file.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Pillow's own bomb warning must not come through
        with pytest.raises(PreimageError, match=said) as caught:
            load_photo(file, size=224)
    assert str(caught.value).startswith(str(file))
    assert len(str(caught.value).splitlines()) == 1


def test_a_large_header_is_refused_before_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(self: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", decode)
    (tmp_path / "a.png").write_bytes(png_header(11_000, 10_000))
    with pytest.raises(PreimageError, match="megapixels"):
        load_photo(tmp_path / "a.png", size=224)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_jpeg_cut_short(tmp_path: Path, share: float) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "whole.jpg")
    content = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(PreimageError, match=r"cut\.jpg: .*(damaged or cut short|something else)"):
        load_photo(tmp_path / "cut.jpg", size=32)


@SAME_FOLDER
@given(data=st.data())
@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "webp", "tif", "bmp"])
def test_damage_ends_in_one_message(tmp_path: Path, suffix: str, data: st.DataObject) -> None:
    file = tmp_path / f"a.{suffix}"
    left_red_right_blue().save(file)
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    message = refusal(file)
    assert message is None or message.startswith(str(file))
    assert message is None or len(message.splitlines()) == 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
def test_too_little_to_look_at(tmp_path: Path, shape: tuple[int, int]) -> None:
    save_png(np.zeros(shape, np.uint8), tmp_path / "a.png")
    with pytest.raises(PreimageError, match="at least 2x2 pixels"):
        load_photo(tmp_path / "a.png", size=224)


def test_small_pictures_are_enlarged(tmp_path: Path) -> None:
    save_png(np.zeros((2, 2), np.uint8), tmp_path / "a.png")
    assert load_photo(tmp_path / "a.png", size=224).size == (224, 224)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(PreimageError, match=r"a\.jpg: cannot be read \(no such file"):
        load_photo(tmp_path / "a.jpg", size=8)
    with pytest.raises(PreimageError, match="expected an image file, got a folder"):
        load_photo(tmp_path, size=8)
    with pytest.raises(PreimageError, match="null"):
        load_photo("a\0.jpg", size=8)


def test_a_picture_whose_file_is_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    save_png(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8), path)
    path.write_bytes(path.read_bytes()[:2000])
    with (
        Image.open(path) as picture,
        pytest.raises(PreimageError, match=r"cut\.png: the image is damaged or cut short"),
    ):
        load_photo(picture, size=8)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(PreimageError, match=r"a\.jpg: .* got a pipe or a device; save the image"):
        load_photo(tmp_path / "a.jpg", size=8)


def test_floating_point_pictures_are_refused(tmp_path: Path) -> None:
    Image.new("F", (4, 4)).save(tmp_path / "a.tif")
    with pytest.raises(PreimageError, match="8 or 16 bits"):
        load_photo(tmp_path / "a.tif", size=4)


@pytest.mark.parametrize(("size", "channels"), [(0, 3), (-1, 3), (8, 2), (8, 4)])
def test_wrong_requests(tmp_path: Path, size: int, channels: int) -> None:
    with pytest.raises(PreimageError, match="expected"):
        load_photo(tmp_path / "a.png", size=size, channels=channels)


@SAME_FOLDER
@given(
    height=st.integers(1, 9), width=st.integers(1, 9), colour=st.booleans(), seed=st.integers(0, 99)
)
def test_saving_keeps_every_pixel(
    tmp_path: Path, height: int, width: int, colour: bool, seed: int
) -> None:
    shape = (height, width, 3) if colour else (height, width)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    save_png(pixels, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)


def test_saving_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_png(np.zeros((4, 4), np.uint8), tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()

    def full(self: Image.Image, path: Path, **_: object) -> None:
        path.write_bytes(b"half a picture")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(PreimageError, match=r"a\.png: cannot be written \(no space left"):
        save_png(np.ones((4, 4), np.uint8), tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == before


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4)), np.zeros((4, 4, 2, 1), np.uint8), np.zeros((0, 4), np.uint8)]
)
def test_other_arrays_are_not_saved(tmp_path: Path, pixels: np.ndarray) -> None:
    with pytest.raises(PreimageError, match="expected pixels as uint8"):
        save_png(pixels, tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


def test_an_array_is_refused_and_told_how_to_become_a_picture() -> None:
    with pytest.raises(UsageError, match=r"got ndarray; PIL\.Image\.fromarray"):
        load_photo(np.zeros((5, 5)), 4)  # type: ignore[arg-type]
