"""Strangers' pictures in processes with limits: a bomb costs one refused file, and the files beside it are read."""

import gzip
import io
import os
import time

import numpy as np
import pytest
from PIL import Image

from core.errors import PictureError
from core.logos.dataset import load_logos
from core.logos.decoder import CPU_S
from core.logos.intake import Decoders, decode_upload, read_picture
from core.logos.pictures import decode, is_ordinary
from core.tracing.raster import draw_ours
from tests.support.logos import draw_logo, png

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><rect width="20" height="20" fill="#06c"/>{}</svg>'
SLOW = "".join(f'<g filter="url(#f)"><circle r="{9000 + i}" fill="red" stroke="blue"/></g>' for i in range(9000))
BLUR = f'<defs><filter id="f" x="-9" y="-9" width="99" height="99"><feGaussianBlur stdDeviation="900"/></filter></defs>{SLOW}'


def saved(image: Image.Image, form: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


CHEAP = {"PNG": png(1), "JPEG": saved(draw_logo(1), "JPEG")}
APART = {
    "progressive JPEG": saved(draw_logo(1), "JPEG", progressive=True),
    "WEBP": saved(draw_logo(1), "WEBP"),
    "TIFF": saved(draw_logo(1), "TIFF"),
    "moving GIF": saved(draw_logo(1), "GIF", save_all=True, append_images=[draw_logo(2)]),
    "moving PNG": saved(draw_logo(1), "PNG", save_all=True, append_images=[draw_logo(2)]),
    "large PNG": saved(draw_logo(1).resize((2100, 2100)), "PNG"),
    "SVG": SVG.format("").encode(),
}


def test_what_is_decoded_apart_is_the_same_as_here():
    assert all(is_ordinary(data) for data in CHEAP.values())
    assert not any(is_ordinary(data) for data in APART.values())
    with Decoders() as decoders:
        for data in APART.values():
            np.testing.assert_array_equal(decoders.decode(data, None, 80).pixels, decode(data, None, 80).pixels)


def test_a_bomb_costs_itself_and_the_next_file_is_read():
    with Decoders() as decoders:
        began = time.monotonic()
        with pytest.raises(PictureError, match=rf"longer than {CPU_S:g} seconds, which is the limit"):
            decoders.decode(SVG.format(BLUR).encode(), None, 4096)
        assert time.monotonic() - began < 60  # of a machine that is busy; by its own clock it is the limit
        assert decoders.decode(SVG.format("").encode(), None, 80).pixels.shape == (40, 80, 4)


def test_an_svg_of_ours_is_drawn_apart_as_it_is_here_and_within_the_limits():
    """As films do it; a hostile one costs its picture."""
    ours = SVG.format("").replace('<rect width="20" height="20"', '<path d="M0 0h20v20z"').encode()
    slow = (
        SVG.format('<path d="M0 0h400v400h-400z" fill-opacity="0.1"/>' * 40_000)
        .replace("<rect", "<path")
        .replace(' width="20" height="20" f', " f")
    )
    with Decoders() as decoders:
        np.testing.assert_array_equal(decoders.draw(ours, 80), draw_ours(ours, 80))
        with pytest.raises(PictureError, match="holds <rect>"):
            decoders.draw(SVG.format("").encode(), 80)
        with pytest.raises(PictureError, match="which is the limit"):
            decoders.draw(slow.encode(), 1600)  # sixteen times the limit where 400 takes as long as it
        np.testing.assert_array_equal(decoders.draw(ours, 80), draw_ours(ours, 80))


def test_what_takes_too_much_memory_is_refused():
    deep = Image.new("I", (6000, 6000), 9)
    deep.putpixel((5, 5), 70_000)
    with pytest.raises(PictureError, match="more than 750 MB of memory"):
        decode_upload(saved(deep, "TIFF", compression="tiff_adobe_deflate"))


def test_svgs_of_any_name_and_a_folder_with_hostile_ones(tmp_path):
    for name, data in {
        "plain.svg": SVG.format("").encode(),
        "packed.png": gzip.compress(SVG.format('<circle cx="30" cy="9" r="5"/>').encode()),
        "script.svg": SVG.format('<script>alert(1)</script><circle cx="30" cy="9" r="7"/>').encode(),
        "bomb.svg": SVG.format(BLUR).encode(),
        "odd.xyz": png(3),
        "text.png": b"no picture",
    }.items():
        (tmp_path / name).write_bytes(data)
    os.mkfifo(tmp_path / "pipe.png")
    os.symlink("/dev/zero", tmp_path / "zero.png")
    found = load_logos(str(tmp_path), 64)
    assert sorted(logo.name for logo in found.logos) == ["odd", "packed", "plain", "script"]
    assert [note for note in found.notes if note.startswith("script")] == ["script: left out: a script"]
    assert {os.path.basename(s.source) for s in found.skipped} >= {"bomb.svg", "text.png"}
    assert read_picture(tmp_path / "plain.svg", None, 80).shape == (40, 80, 4)
