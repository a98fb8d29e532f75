"""What a file says about its pixels is applied: mode, depth, orientation, profile, transparency, frames; and SVGs."""

import gzip
import io

import numpy as np
import pytest
from PIL import Image

from core.errors import PictureError
from core.logos.intake import read_picture
from core.logos.pictures import FORMATS, decode_picture
from tests.support.profiles import DISPLAY_P3, GAMMA, profile

WIDTH, HEIGHT = 24, 16


def quarters() -> Image.Image:
    """Four colours, so that every turn and mirror differs."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[: HEIGHT // 2, : WIDTH // 2], pixels[: HEIGHT // 2, WIDTH // 2 :] = (230, 30, 40), (40, 200, 60)
    pixels[HEIGHT // 2 :, : WIDTH // 2], pixels[HEIGHT // 2 :, WIDTH // 2 :] = (30, 60, 220), (250, 240, 90)
    return Image.fromarray(pixels)


def saved(image: Image.Image, form: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def is_near(found: np.ndarray, expected: np.ndarray, by: float = 3) -> bool:
    return found.shape == expected.shape and float(np.abs(found.astype(int) - expected.astype(int)).mean()) < by


GREY = np.asarray(quarters().convert("L"))
ALPHA = Image.fromarray(np.where(np.arange(WIDTH) < WIDTH // 3, 0, 255).astype(np.uint8)[None].repeat(HEIGHT, 0))


def with_alpha(image: Image.Image) -> Image.Image:
    image = image.copy()
    image.putalpha(ALPHA)
    return image


def palette_with_clear() -> bytes:
    image = quarters().quantize(8)
    return saved(image, "PNG", transparency=int(np.asarray(image)[0, 0]))


RGB = np.asarray(quarters())
FLAT = {  # (what is saved, what is read)
    "PNG, 1": (saved(quarters().convert("1", dither=0), "PNG"), np.asarray(quarters().convert("1", dither=0).convert("RGB"))),
    "PNG, L": (saved(quarters().convert("L"), "PNG"), GREY[..., None].repeat(3, 2)),
    "PNG, P": (saved(quarters().quantize(8), "PNG"), RGB),
    "PNG, RGB": (saved(quarters(), "PNG"), RGB),
    "PNG, 16 bits of grey": (saved(Image.fromarray(GREY.astype(np.uint16) * 256 + 255), "PNG"), GREY[..., None].repeat(3, 2)),
    "TIFF, 16 bits of grey": (saved(Image.fromarray(GREY.astype(np.uint16) * 256 + 3), "TIFF"), GREY[..., None].repeat(3, 2)),
    "TIFF, 32 bits of grey": (saved(Image.fromarray(GREY.astype(np.int32)), "TIFF"), GREY[..., None].repeat(3, 2)),
    "TIFF, F to 1": (saved(Image.fromarray((GREY / 255).astype(np.float32)), "TIFF"), GREY[..., None].repeat(3, 2)),
    "TIFF, F to 255": (saved(Image.fromarray(GREY.astype(np.float32)), "TIFF"), GREY[..., None].repeat(3, 2)),
    "TIFF, RGB": (saved(quarters(), "TIFF"), RGB),
    "TIFF, CMYK": (saved(quarters().convert("CMYK"), "TIFF"), RGB),
    "JPEG, L": (saved(quarters().convert("L"), "JPEG", quality=98), GREY[..., None].repeat(3, 2)),
    "JPEG, RGB": (saved(quarters(), "JPEG", quality=98, subsampling=0), RGB),
    "JPEG, CMYK": (saved(quarters().convert("CMYK"), "JPEG", quality=98), RGB),
    "WEBP, RGB": (saved(quarters(), "WEBP", lossless=True), RGB),
    "BMP, RGB": (saved(quarters(), "BMP"), RGB),
    "GIF": (saved(quarters(), "GIF"), RGB),
    "AVIF": (saved(quarters(), "AVIF", quality=95, subsampling="4:4:4"), RGB),
}
CLEAR = {
    "PNG, RGBA": saved(with_alpha(quarters()), "PNG"),
    "PNG, LA": saved(with_alpha(quarters().convert("L")), "PNG"),
    "PNG, P with a clear colour": palette_with_clear(),
    "PNG, RGB with a clear colour": saved(quarters(), "PNG", transparency=(230, 30, 40)),
    "TIFF, RGBA": saved(with_alpha(quarters()), "TIFF"),
    "WEBP, RGBA": saved(with_alpha(quarters()), "WEBP", lossless=True),
    "ICO": saved(with_alpha(quarters()), "ICO", sizes=[(24, 16)]),
    "AVIF, RGBA": saved(with_alpha(quarters()), "AVIF", quality=95),
}
TURNS = {1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: lambda a: a.transpose(1, 0, 2),
         6: lambda a: np.rot90(a, -1), 7: lambda a: np.rot90(a.transpose(1, 0, 2), 2), 8: np.rot90}  # fmt: skip


@pytest.mark.parametrize("what", FLAT)
def test_every_mode_is_read_as_what_it_shows(what):
    data, expected = FLAT[what]
    for background in (255, None):
        assert is_near(decode_picture(data, background), expected, 6 if "CMYK" in what or "JPEG" in what or "AVIF" in what else 3)


@pytest.mark.parametrize("what", CLEAR)
def test_transparency_is_kept_in_every_mode_or_laid_over_the_ground(what):
    found = decode_picture(CLEAR[what], None)
    assert found.shape == (HEIGHT, WIDTH, 4)
    assert found[1, 1, 3] == 0
    assert found[HEIGHT - 2, WIDTH - 2, 3] == 255
    for ground in (255, 0):
        flat = decode_picture(CLEAR[what], ground)
        assert flat.shape == (HEIGHT, WIDTH, 3)
        assert (flat[1, 1] == ground).all()


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_picture_is_turned_as_it_says(form, turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    options = {"quality": 98, "subsampling": 0} if form == "JPEG" else {"lossless": True} if form == "WEBP" else {}
    found = decode_picture(saved(quarters(), form, exif=exif, **options))
    assert is_near(found, TURNS[turn](RGB), 6)


def in_srgb(pixels: np.ndarray) -> np.ndarray:
    """From Display P3 with our gamma, by the formulas."""
    linear = (pixels / 255) ** GAMMA
    xyz = linear @ np.array(DISPLAY_P3)
    to_srgb = np.linalg.inv(np.array([[0.4360, 0.2225, 0.0139], [0.3851, 0.7169, 0.0971], [0.1431, 0.0606, 0.7139]]))
    back = np.clip(xyz @ to_srgb, 0, 1)
    return np.rint(255 * np.where(back <= 0.0031308, 12.92 * back, 1.055 * back ** (1 / 2.4) - 0.055)).astype(np.uint8)


@pytest.mark.parametrize("turn", [1, 6])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
def test_a_profile_is_obeyed_with_every_mode_and_turn(form, mode, turn):
    image = quarters()
    image = with_alpha(image) if mode == "RGBA" else image.quantize(8) if mode == "P" else image
    if form == "WEBP" and mode == "P":
        image = quarters()
    exif = Image.Exif()
    exif[0x0112] = turn
    options = {"lossless": True, "exact": True} if form == "WEBP" else {}
    found = decode_picture(saved(image, form, icc_profile=profile(), exif=exif, **options), None)
    expected = TURNS[turn](in_srgb(RGB.astype(float)))
    shows = TURNS[turn](np.asarray(ALPHA)[..., None])[..., 0] > 0 if mode == "RGBA" else np.ones(expected.shape[:2], bool)
    assert np.abs(found[..., :3].astype(int) - expected)[shows].max() <= 8
    assert np.abs(found[..., :3].astype(int) - TURNS[turn](RGB))[shows].max() > 8  # and not as if there were none


def test_a_grey_profile_and_one_that_is_damaged_or_of_another_kind():
    dark = decode_picture(saved(quarters().convert("L"), "PNG", icc_profile=profile(None, 1.0)))
    assert dark.mean() > GREY.mean() + 10  # a gamma of 1 is lighter in sRGB
    for wrong in (b"none", profile()[:200], profile(None)):
        assert is_near(decode_picture(saved(quarters(), "PNG", icc_profile=wrong)), RGB)


def test_an_untagged_picture_is_left_alone():
    np.testing.assert_array_equal(decode_picture(saved(quarters(), "PNG")), RGB)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_that_shows_something_is_taken(form):
    blank = Image.new("RGB", (WIDTH, HEIGHT), "white")
    options = {"lossless": True} if form == "WEBP" else {}
    more = [blank, quarters(), Image.new("RGB", (WIDTH, HEIGHT), "red")]
    assert is_near(decode_picture(saved(blank, form, save_all=True, append_images=more, **options)), RGB)
    with pytest.raises(PictureError, match="only one colour"):
        decode_picture(saved(blank, form, save_all=True, append_images=[blank], **options))


def test_the_largest_picture_of_an_icon_is_taken():
    large = quarters().resize((96, 96), Image.Resampling.NEAREST)
    assert decode_picture(saved(large, "ICO", sizes=[(16, 16), (96, 96), (32, 32)])).shape[:2] == (96, 96)


def test_white_marks_on_nothing_are_a_picture():
    image = Image.new("RGBA", (32, 32), (255, 255, 255, 0))
    image.paste((255, 255, 255, 255), (8, 8, 20, 20))
    assert decode_picture(saved(image, "PNG"), None).shape == (32, 32, 4)
    with pytest.raises(PictureError, match="only one colour on this background"):
        decode_picture(saved(image, "PNG"))


SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="40" height="20">{}</svg>'
BOX = '<rect width="20" height="20" fill="#06c"/>'


@pytest.mark.parametrize(
    "pack",
    [lambda d: d, gzip.compress, lambda d: b"\xef\xbb\xbf" + d, lambda d: b"\n <!-- a -->" + d],
    ids=["plain", "packed", "mark", "comment"],
)
def test_svgs_packed_or_not(pack):
    data = pack(SVG.format(BOX).encode())
    found = decode_picture(data, None, 80)
    assert found.shape == (40, 80, 4)
    assert (found[20, 10] == (0, 0x66, 0xCC, 255)).all()
    assert found[20, 70, 3] == 0


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("<text>Logo</text>", "live text"),
        ("<text><tspan>Logo</tspan></text>", "live text"),
        ('<defs><pattern id="a"/></defs><rect fill="url(#a)"/>', "pattern"),
        ("<rect>", "well-formed"),
    ],
)
def test_what_an_svg_has_that_would_not_be_drawn_is_said(body, told):
    with pytest.raises(PictureError, match=told):
        decode_picture(SVG.format(BOX + body).encode())


def test_an_empty_text_is_no_live_text():
    assert decode_picture(SVG.format(BOX + "<text> </text><style>a{}</style>").encode()).shape[2] == 3


@pytest.mark.parametrize(
    "data",
    [
        b'<!DOCTYPE svg [<!ENTITY a "b">]>' + SVG.format(BOX).encode(),
        b"<html></html>",
        gzip.compress(b"hello"),
        gzip.compress(SVG.format(BOX).encode())[:-12],
        b"\x1f\x8b" + b"no gzip",
    ],
    ids=["entities", "another root", "packed text", "cut", "no gzip"],
)
def test_what_is_no_svg_is_refused(data):
    with pytest.raises(PictureError):
        decode_picture(data)


def test_a_packed_svg_beyond_the_limit_is_refused(monkeypatch):
    monkeypatch.setattr("core.logos.pictures.MAX_SVG_BYTES", 1000)
    with pytest.raises(PictureError, match="limit"):
        decode_picture(gzip.compress(SVG.format(BOX + " " * 5000).encode()))


def test_all_formats_are_named_where_one_is_not_known(tmp_path):
    (tmp_path / "a.psd").write_bytes(b"8BPS")
    with pytest.raises(PictureError, match=r"\.avif, \.bmp, .*\.svgz.*\.webp"):
        read_picture(tmp_path / "a.psd")
    assert {".tif", ".tiff", ".ico", ".avif", ".svgz"} <= FORMATS.keys()
