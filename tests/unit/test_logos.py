"""Data sets: loading, refusing, splitting; the procedural logos."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import LogosError, PictureError
from core.logos.classify import classify
from core.logos.dataset import Shares, load_logos, split_of, write_logos
from core.logos.intake import read_picture
from core.logos.pictures import decode_picture
from core.logos.procedural import CATEGORIES, RECIPES, make_logo, make_logos
from core.tracing.features import picture_features
from tests.support.logos import draw_logo


def encoded(image: Image.Image, form: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_every_raster_format_is_read(form):
    picture = decode_picture(encoded(draw_logo(1), form))
    assert picture.shape == (48, 48, 3)
    assert np.abs(picture.astype(int) - np.asarray(draw_logo(1)).astype(int)).mean() < 12


def test_svg_is_drawn_and_a_gif_gives_its_first_frame():
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 10"><rect width="9" height="10" fill="#00f"/></svg>'
    assert decode_picture(svg, svg_side=100).shape == (50, 100, 3)
    gif = encoded(draw_logo(1), "GIF", save_all=True, append_images=[draw_logo(2)])
    np.testing.assert_array_equal(decode_picture(gif), decode_picture(encoded(draw_logo(1), "GIF")))


def test_transparency_is_flattened_onto_the_background():
    image = Image.new("RGBA", (16, 16), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 8, 16))
    picture = decode_picture(encoded(image, "PNG"))
    assert tuple(picture[0, 15]) == (255, 255, 255)
    assert tuple(picture[0, 0]) == (0, 0, 255)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"hello", "no picture of a supported format"),
        (encoded(draw_logo(1), "PNG")[:120], "unreadable image"),
        (encoded(Image.new("RGB", (1, 1)), "PNG"), "1 x 1 pixels; each side needs at least 8"),
        (encoded(Image.new("RGB", (20, 20), "red"), "PNG"), "only one colour"),
    ],
)
def test_what_is_no_logo_is_refused_with_the_reason(data, reason):
    with pytest.raises(PictureError, match=reason):
        decode_picture(data)


def test_a_picture_beyond_the_pixel_limit_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr("core.logos.pictures.MAX_PIXELS", 1000)
    with pytest.raises(PictureError, match="48 x 48 pixels; the limit is 1,000"):
        decode_picture(encoded(draw_logo(1), "PNG"))


def test_bad_files_are_listed_and_the_rest_goes_on(logo_folder):
    (logo_folder / "notes.txt").write_text("no picture")
    (logo_folder / "simple" / "empty.png").write_bytes(b"")
    (logo_folder / "simple" / "broken.png").write_bytes(encoded(draw_logo(1), "PNG")[:100])
    Image.new("RGB", (1, 1)).save(logo_folder / "text" / "dot.png")
    found = load_logos(str(logo_folder), 48)
    assert len(found.logos) == 12
    assert {Path(s.source).name for s in found.skipped} == {"notes.txt", "empty.png", "broken.png", "dot.png"}


def test_sub_folders_are_categories_and_loose_pictures_are_classified(tmp_path, logo_folder):
    assert {c: sum(s.values()) for c, s in load_logos(str(logo_folder), 48).counts().items()} == dict.fromkeys(CATEGORIES, 3)
    loose = tmp_path / "loose"
    loose.mkdir()
    for i in range(4):
        draw_logo(i).save(loose / f"{i}.png")
    assert {logo.category for logo in load_logos(str(loose), 48).logos} <= set(CATEGORIES)


def test_a_copy_under_another_name_is_left_out(logo_folder):
    draw_logo(0).save(logo_folder / "complex" / "copy.png")
    found = load_logos(str(logo_folder), 48)
    assert len(found.logos) == 12
    assert "Same as" in found.skipped[0].reason


def test_a_manifest_names_category_split_and_brand(tmp_path):
    rows = ["name,category,split,brand"]
    for i in range(8):
        draw_logo(i).save(tmp_path / f"n{i}.png")
        rows.append(f"n{i},simple,,brand{i // 2}")
    rows += ["gone,simple,,", "n1,weird,,", ",simple,,", "n2,simple,never,", "../n0,simple,,"]
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    found = load_logos(str(tmp_path), 48)
    assert len(found.logos) == 8
    by_brand = {}
    for logo in found.logos:
        by_brand.setdefault(logo.brand, set()).add(logo.split)
    assert all(len(splits) == 1 for splits in by_brand.values())
    assert len(found.skipped) == 5


@pytest.mark.parametrize("n", [2, 3, 5])
def test_a_small_folder_still_trains_and_validates(tmp_path, n):
    for i in range(n):
        draw_logo(i).save(tmp_path / f"{i}.png")
    found = load_logos(str(tmp_path), 48)
    assert found.of_split("train")
    assert found.of_split("validation")


def test_the_split_of_a_picture_never_changes():
    assert [split_of(f"digest{i}", Shares()) for i in range(12)] == [split_of(f"digest{i}", Shares()) for i in range(12)]
    shares = [split_of(str(i), Shares(0.2, 0.1)) for i in range(4000)]
    assert shares.count("validation") / 4000 == pytest.approx(0.2, abs=0.03)


def test_a_missing_or_empty_folder_is_told_in_one_line(tmp_path):
    with pytest.raises(LogosError, match="is not a folder"):
        load_logos(str(tmp_path / "none"))
    with pytest.raises(LogosError, match="contains no usable picture"):
        load_logos(str(tmp_path))


def test_procedural_logos_repeat_and_differ():
    assert make_logo(7, "text", 3) == make_logo(7, "text", 3)
    assert make_logo(7, "text", 3) != make_logo(8, "text", 3)
    made = make_logos(7, 60)
    assert len({logo.svg for logo in made}) == 240
    assert all(len(recipes) >= 5 for recipes in RECIPES.values())


def test_the_built_in_set_has_all_categories_in_each_split():
    counts = load_logos("builtin", 64, n_per_category=20).counts()
    assert all(counts[c] == {"train": 14, "validation": 4, "test": 2} for c in CATEGORIES)


def test_most_built_in_logos_are_classified_as_what_they_were_made():
    logos = load_logos("builtin", 256, n_per_category=20).logos
    right = sum(classify(picture_features(logo.pixels)) == logo.category for logo in logos)
    assert right / len(logos) >= 0.85


def test_written_logos_load_again(tmp_path):
    assert write_logos(tmp_path / "out", n_per_category=4, longest_side=64) == 16
    found = load_logos(str(tmp_path / "out"), 64)
    assert len(found.logos) == 16
    assert not found.skipped
    assert len(list((tmp_path / "out" / "svg").rglob("*.svg"))) == 16
    with pytest.raises(LogosError, match="not empty"):
        write_logos(tmp_path / "out")


@pytest.mark.logos
def test_real_logos_load_whole_and_keep_their_splits(real_logos):
    found = load_logos(str(real_logos), 128)
    assert len(found.logos) >= 200
    assert not found.skipped
    brands: dict[str, set[str]] = {}
    for logo in found.logos:
        brands.setdefault(logo.brand, set()).add(logo.split)
    assert all(len(splits) == 1 for splits in brands.values())


def test_a_path_with_odd_characters_is_read(tmp_path):
    path = tmp_path / "a 'b\" c\nd" / "ü.png"
    path.parent.mkdir()
    draw_logo(1).save(path)
    assert read_picture(path).shape == (48, 48, 3)


HEADERS = {
    "semicolons": ("Name;Category;Split;Brand", ";", "utf-8"),
    "tabs": ("name\tcategory\tsplit\tbrand", "\t", "utf-8"),
    "capitals": ("NAME,CATEGORY,SPLIT,BRAND", ",", "utf-8"),
    "a mark": ("name,category,split,brand", ",", "utf-8-sig"),
    "UTF-16 with a mark": ("name,category,split,brand", ",", "utf-16"),
    "UTF-16 without one": ("name;category;split;brand", ";", "utf-16-le"),
    "UTF-16, the other way": ("name;category;split;brand", ";", "utf-16-be"),
    "quotes": ('"name","category","split","brand"', ",", "utf-8"),
    "another order": ("id,Split,brand,colour,Name,category", ",", "utf-8"),
    "an empty line first": ("\nname,category,split,brand", ",", "utf-8"),
}


@pytest.mark.parametrize("what", HEADERS)
def test_a_manifest_is_read_however_it_was_saved(tmp_path, what):
    header, separator, encoding = HEADERS[what]
    names = [name.strip('"\n').lower() for name in header.split(separator)]
    rows = [header]
    for i in range(6):
        draw_logo(i).save(tmp_path / f"é{i}.png")
        values = {"name": f"é{i}", "category": "Simple", "split": "TRAIN" if i < 4 else "Validation", "brand": f"b{i}"}
        rows.append(separator.join(values.get(name, "x") for name in names))
    (tmp_path / "manifest.csv").write_bytes("\r\n".join(rows).encode(encoding))
    found = load_logos(str(tmp_path), 48)
    assert [(logo.name, logo.category, logo.split, logo.brand) for logo in found.logos] == [
        (f"é{i}", "simple", "train" if i < 4 else "validation", f"b{i}") for i in range(6)
    ]
    assert found.skipped == found.notes == ()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"picture,kind\na,simple\n", "its first line is 'picture,kind'; expected columns are name"),
        (b"", "expected columns are name"),
        (b"name,category\n\xff\xfe\xfa,simple\n", "neither UTF-8 nor UTF-16"),
    ],
)
def test_a_manifest_that_can_not_be_used_is_one_clear_line(tmp_path, data, told):
    draw_logo(1).save(tmp_path / "a.png")
    (tmp_path / "manifest.csv").write_bytes(data)
    with pytest.raises(LogosError, match=told) as caught:
        load_logos(str(tmp_path), 48)
    assert "\n" not in str(caught.value)


def test_a_logo_that_is_moved_against_the_manifest_is_said(tmp_path):
    rows = ["name,split"]
    for i in range(4):
        draw_logo(i).save(tmp_path / f"n{i}.png")
        rows.append(f"n{i},train")
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    (note,) = load_logos(str(tmp_path), 48).notes
    assert "is used for validation, although the manifest says train" in note
    (tmp_path / "manifest.csv").unlink()
    assert load_logos(str(tmp_path), 48).notes == ()
