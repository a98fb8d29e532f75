"""Files that strangers may give, over eighty: damaged, bombs, of two kinds at once, SVGs and zips of every trick, names; and good ones among
them. Small to make: nothing here is unpacked while it is built.
"""

from __future__ import annotations

import base64
import gzip
import io
import os
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image, PngImagePlugin

from tests.support.logos import draw_logo, png, zipped

Fate = Literal["taken", "refused", "either"]  # "either": whichever the decoder says, but within the limits
SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{w}" height="40">{body}</svg>'
EVIL = "http://evil.example"


@dataclass(frozen=True)
class Hostile:
    name: str
    data: bytes
    fate: Fate


def saved(form: str, kind: int = 1, **options: object) -> bytes:
    buffer = io.BytesIO()
    draw_logo(kind).save(buffer, form, **options)
    return buffer.getvalue()


FORMS = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tif", "ICO": "ico", "AVIF": "avif"}


def good() -> list[Hostile]:
    """One of each kind, all different pictures; some under a wrong name."""
    found = [Hostile(f"good-{form}.{ending}", saved(form, 20 + k), "taken") for k, (form, ending) in enumerate(FORMS.items())]
    found.append(Hostile("good-SVG.svg", svg('<path d="M2 2h30v20z" fill="#07c"/>').data, "taken"))
    found.append(Hostile("good-SVGZ.svgz", gzip.compress(svg('<path d="M2 2h10v30z" fill="#c70"/>').data), "taken"))
    found.append(Hostile("good PNG called.jpg", png(40), "taken"))
    return [*found, Hostile("good without an ending", png(41), "taken")]


def damaged() -> list[Hostile]:
    found = []
    for k, (form, ending) in enumerate(FORMS.items()):
        whole = saved(form, 50 + k)
        found += [
            Hostile(f"cut-{form}.{ending}", whole[: len(whole) // 2], "either"),
            Hostile(f"head-{form}.{ending}", whole[:24], "refused"),
            Hostile(f"noise-{form}.{ending}", whole[:40] + bytes((i * 73 + k) % 256 for i in range(4000)), "either"),
        ]
    return [
        *found,
        Hostile("empty.png", b"", "refused"),
        Hostile("text.png", b"just text", "refused"),
        Hostile("zeros.bmp", bytes(5000), "refused"),
    ]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(width: int, height: int, depth: int = 8, colour: int = 2, rows: bytes = b"", extra: bytes = b"") -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + extra + _chunk(b"IDAT", zlib.compress(rows, 9)) + _chunk(b"IEND", b"")


def _scans(n: int) -> bytes:
    """A progressive JPEG of which the last scan comes again and again."""
    buffer = io.BytesIO()
    draw_logo(3).resize((2000, 2000)).save(buffer, "JPEG", progressive=True)
    whole = buffer.getvalue()
    last = whole.rfind(b"\xff\xda")
    return whole[:last] + whole[last:-2] * n + whole[-2:]


def _frames(form: str, n: int, side: int) -> bytes:
    buffer = io.BytesIO()
    frames = [Image.new("L", (side, side), 255 - i % 2) for i in range(n)]
    frames[0].save(buffer, form, save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def bombs() -> list[Hostile]:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "a" * 1000, zip=True)
    many = io.BytesIO()
    draw_logo(60).save(many, "PNG", pnginfo=text)
    tall = bytes(6001 * 3 + 1) * 6001
    deep = io.BytesIO()
    Image.new("I", (6000, 6000), 70_000).save(deep, "TIFF", compression="tiff_adobe_deflate")
    webp = io.BytesIO()
    Image.new("L", (12_000, 3000), 9).save(webp, "WEBP", lossless=True, method=0)
    return [
        Hostile("bomb-header.png", png_of(2**31 - 1, 2**31 - 1), "refused"),
        Hostile("bomb-60000.png", png_of(60_000, 60_000), "refused"),
        Hostile("bomb-plain-36M.png", png_of(6000, 6001, rows=tall), "refused"),
        Hostile("bomb-iccp.png", png_of(48, 48, extra=_chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(20_000_000), 9))), "refused"),
        Hostile("bomb-text.png", png_of(48, 48, extra=_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(20_000_000), 9)) * 3), "refused"),
        Hostile("bomb-scans.jpg", _scans(300), "either"),
        Hostile("bomb-sides.jpg", saved("JPEG").replace(struct.pack(">HH", 48, 48), b"\xff\xdc\xff\xdc", 1), "refused"),
        Hostile("bomb-frames.gif", _frames("GIF", 30, 1200), "refused"),
        Hostile("bomb-frames.png", _frames("PNG", 30, 1200), "refused"),
        Hostile("bomb-deep.tif", deep.getvalue(), "refused"),
        Hostile("bomb-wide.webp", webp.getvalue(), "refused"),
        Hostile(
            "bomb-icon.ico",
            b"\0\0\1\0\1\0" + struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(p := png_of(30_000, 30_000)), 22) + p,
            "refused",
        ),
        Hostile("bomb-sides.bmp", b"BM" + struct.pack("<IIIIiiHHI", 10**6, 0, 54, 40, 10**5, 10**5, 1, 24, 0) + bytes(100), "refused"),
        Hostile("bomb.svgz", gzip.compress(bytes(30_000_000)), "refused"),
    ]


def polyglots() -> list[Hostile]:
    html = b"<script>alert(1)</script>"
    packed = zipped({"a.png": png(61)})
    return [
        Hostile("png-and-zip.png", png(62) + packed, "taken"),
        Hostile("png-and-html.html", png(63) + html, "taken"),
        Hostile("jpeg-and-html.jpg", saved("JPEG", 64) + html, "taken"),
        Hostile("gif-and-script.gif", b"GIF89a/*" + html + b"*/=1;", "refused"),
        Hostile("html.svg", b"<html>" + html + b"</html>", "refused"),
        Hostile("page.png", b"<!DOCTYPE html>" + html, "refused"),
        Hostile("program.png", b"\x7fELF" + bytes(200), "refused"),
        Hostile("document.jpg", b"%PDF-1.7\n" + html, "refused"),
        Hostile("postscript.tif", b"%!PS-Adobe-3.0 EPSF-3.0\n(%pipe%id) (r) file", "refused"),
        Hostile("photoshop.png", b"8BPS" + bytes(100), "refused"),
        Hostile("packed text.svgz", gzip.compress(b"hello"), "refused"),
        Hostile("svg called.png", svg('<path d="M9 2h30v20z" fill="#0a7"/>').data, "taken"),
    ]


def svg(body: str, name: str = "", fate: Fate = "taken", before: str = "", w: str = "40") -> Hostile:
    return Hostile(f"svg-{name}.svg", (before + SVG.format(body=body, w=w)).encode(), fate)


def svgs() -> list[Hostile]:
    k = iter(range(100))

    def shape() -> str:  # so that no two are the same picture
        n = next(k)
        return f'<path d="M{n % 9} 3h{9 + n}v{12 + n % 7}z" fill="#{n * 37 % 256:02x}40{255 - n:02x}"/>'

    picture = base64.b64encode(png_of(9000, 9000)).decode()
    uses = "".join(f"<g id='g{i + 1}'>" + f"<use href='#g{i}'/>" * 10 + "</g>" for i in range(9))
    laughs = "".join(f'<!ENTITY l{i + 1} "{f"&l{i};" * 10}">' for i in range(9))
    blur = '<filter id="f" x="-9" y="-9" width="99" height="99"><feGaussianBlur stdDeviation="900"/></filter>'
    slow = "".join(f'<g filter="url(#f)"><circle r="{9000 + i}" fill="red" stroke="blue"/></g>' for i in range(9000))
    left_out = {
        "script": f"<script>fetch('{EVIL}/script')</script>", "script-file": f'<script href="{EVIL}/a.js"/>',
        "handler": f"<g onload=\"fetch('{EVIL}/load')\" onclick=\"alert(1)\"/>",
        "html": f'<foreignObject width="9" height="9"><img xmlns="http://www.w3.org/1999/xhtml" src="{EVIL}/b.png"/></foreignObject>',
        "image": f'<image href="{EVIL}/c.png" width="9" height="9"/>', "image-file": '<image xlink:href="file:///etc/passwd" width="9" height="9"/>',
        "import": f"<style>@import url({EVIL}/d.css);</style>", "font": f"<style>@font-face{{font-family:a;src:url({EVIL}/e)}}</style>",
        "paint": f'<rect width="1" height="1" fill="url({EVIL}/f.svg#a)"/>', "escaped": rf'<rect width="1" height="1" style="fill:\75rl({EVIL}/g)"/>',
        "use-file": f'<use href="{EVIL}/h.svg#a"/>', "link": f'<a href="javascript:fetch(\'{EVIL}/i\')"><path d="M0 0h2v2z"/></a>',
        "animation": '<a><animate attributeName="href" to="javascript:alert(1)"/></a>', "frame": f'<iframe src="{EVIL}"/>',
        "svg-in-svg": '<image href="data:image/svg+xml;base64,PHN2Zz48c2NyaXB0PmFsZXJ0KDEpPC9zY3JpcHQ+PC9zdmc+" width="9" height="9"/>',
    }  # fmt: skip
    refused = {
        "use-bomb": f"<defs><path id='g0' d='M0 0h1v1z'/>{uses}</defs><use href='#g9'/>", "use-circle": "<g id='a'><use href='#a'/></g>",
        "deep": "<g>" * 5000 + "</g>" * 5000, "many": "<path/>" * 150_000, "picture-bomb": f'<image href="data:image/png;base64,{picture}"/>',
        "slow": f"<defs>{blur}</defs>{slow}", "cut": "<g>", "live-text": "<text>Logo</text>", "pattern": "<pattern id='p'/>",
    }  # fmt: skip
    return [
        *(svg(shape() + body, name) for name, body in left_out.items()),
        *(svg(shape() + body, name, "refused") for name, body in refused.items()),
        svg(shape() + "&l9;", "laughs", "refused", f'<!DOCTYPE svg [<!ENTITY l0 "lol">{laughs}]>'),
        svg(shape() + "&x;", "file-entity", "refused", '<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
        svg(shape(), "outer-entity", "refused", f'<!DOCTYPE svg [<!ENTITY % x SYSTEM "{EVIL}/j.dtd"> %x;]>'),
        svg(shape(), "sheet", "taken", f'<?xml-stylesheet href="{EVIL}/k.css"?>'),
        svg("", "nothing", "refused"),
        svg(shape(), "endless", "either", w="1e38"),
        svg(shape(), "no-number", "either", w="nan"),
        svg(shape(), "less-than-nothing", "either", w="-40"),
        svg(f'<path d="{"M0 0L9 9" * 400_000}" fill="#123"/>' + shape(), "long-path", "either"),
    ]


def _encrypted(data: bytes) -> bytes:
    found = bytearray(data)
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        found[found.find(mark) + place] |= 1
    return bytes(found)


def link_entry() -> zipfile.ZipInfo:
    """An entry that is a link, where it is unpacked as what it says."""
    info = zipfile.ZipInfo("link.png")
    info.external_attr = 0o120777 << 16
    return info


def _link() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(link_entry(), "/etc/passwd")
    return buffer.getvalue()


def declaring(data: bytes, n_bytes: int) -> bytes:
    """A zip of which each entry declares another size than it has."""
    found = bytearray(data)
    for mark, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = found.find(mark)
        while at >= 0:
            struct.pack_into("<I", found, at + place, n_bytes)
            at = found.find(mark, at + 4)
    return bytes(found)


def zips() -> list[Hostile]:
    """Whole zips that are refused."""
    whole = zipped({"a.png": png(70)})
    return [
        Hostile("zip-bomb.zip", zipped({f"{i}.png": bytes(30_000_000) for i in range(8)}), "refused"),
        Hostile("zip-lies.zip", declaring(zipped({"a.png": bytes(10_000_000)}), 100), "refused"),
        Hostile("zip-3000.zip", zipped({f"{i}.png": png(71) for i in range(3000)}), "refused"),
        Hostile("zip-folders.zip", zipped({f"{i}/": b"" for i in range(10_000)}), "refused"),
        Hostile("zip-cut.zip", whole[:-30], "refused"),
        Hostile("zip-noise.zip", b"PK\x03\x04" + bytes(range(256)), "refused"),
        Hostile("zip-empty.zip", zipped({}), "refused"),
        Hostile("zip-encrypted.zip", _encrypted(whole), "refused"),
        Hostile("zip-link.zip", _link(), "refused"),
        Hostile("zip-in-zip.zip", zipped({"b.zip": zipped({"c.zip": whole})}), "refused"),
        Hostile("zip-text.zip", zipped({"notes.txt": b"hello"}), "refused"),
    ]


NAMES = [
    "-rf.png", "=cmd|' 'calc'!A1.png", "$(touch x) `id` $x$.png", "{{ 7*7 }} {% x %}.png", "<img src=x onerror=alert(1)>.png", "![a](http:evil).png",
    "**b** _i_ [l](x) ~s~.png", "line\nbreak.png", "turn\u202egnp.exe.png", "\u00e9\u0301\u0301.png", "x" * 250 + ".png", "é" * 125 + ".png", "CON.png",
    "' OR 1=1;--.png", "a&b<c>\"d\".png",
]  # fmt: skip
IN_ZIPS = [
    "../../outside.png", "/etc/absolute.png", "C:\\Windows\\drive.png", "..\\..\\outside-too.png", "y" * 300 + ".png", "AUX.png", "nul", "Case.png",
    "case.png", "CASE.PNG", "a/b/c/d/../../e.png", " .. .png", "trailing.png ", "null\0byte.png",
]  # fmt: skip


def corpus() -> list[Hostile]:
    """All that can lie in a folder: each under its own name, no picture twice."""
    names = [Hostile(name, png(100 + k), "taken") for k, name in enumerate(NAMES)]
    return [*good(), *damaged(), *bombs(), *polyglots(), *svgs(), *zips(), *names]


def write_folder(folder: Path, files: list[Hostile]) -> Path:
    """The files in a folder, with what else a folder may hold: a pipe, links to a device, to a file outside and to nothing, a name that is no UTF-8."""
    folder.mkdir(parents=True)
    for file in files:
        (folder / file.name).write_bytes(file.data)
    os.mkfifo(folder / "pipe.png")
    for name, target in (
        ("device.png", "/dev/zero"),
        ("outside.png", "/etc/passwd"),
        ("nowhere.png", "/nonexistent"),
        ("round.png", "round.png"),
    ):
        os.symlink(target, folder / name)
    with open(os.fsencode(folder) + b"/not-\xff\xfe-utf8.png", "wb") as odd:
        odd.write(png(160))
    return folder


def as_zip(files: list[Hostile]) -> bytes:
    """The same in one zip, with names that no folder could hold."""
    extra = {name: png(130 + k) for k, name in enumerate(IN_ZIPS)}
    return zipped({file.name: file.data for file in files} | extra)
