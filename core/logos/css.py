"""Style sheets of users' SVGs, without what loads, hides or does more than colour and place shapes."""

from __future__ import annotations

import re

_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_AT = re.compile(r"@[^;{}]*(?:;|\{(?:[^{}]|\{[^{}]*\})*\}|\Z)")
_RULE = re.compile(r"([^{}]*)\{([^{}]*)\}")
_SELECTOR = re.compile(r"[\w\s.#,>+~*:()\[\]='\"-]+")
_NAME = re.compile(r"[\w-]+")
_MARKUP = re.compile(r"[<&]")
_URL = re.compile(r"url\s*\(\s*(['\"]?)\s*#[\w.:-]+\s*\1\s*\)", re.IGNORECASE)
# What may load something, in any spelling: a backslash spells letters as numbers
_LOADS = re.compile(
    r"\b(?:url|(?:-webkit-)?image(?:-set)?|src|(?:-webkit-)?cross-fade|element|expression)\s*\(|behaviou?r\s*:|-moz-binding|script\s*:|\\|@",
    re.IGNORECASE,
)


def refers_outside(value: str) -> bool:
    """Whether an attribute or a value of a style refers to anything but a part of its own file."""
    rest = _URL.sub("", _COMMENT.sub("", value))
    return _LOADS.search(rest) is not None


def clean_declarations(text: str) -> tuple[str, bool]:
    """The declarations of a style that only draw, and whether those are all."""
    kept, is_whole = [], True
    for declaration in _COMMENT.sub("", text).split(";"):
        name, colon, value = declaration.partition(":")
        if not declaration.strip():
            continue
        if not colon or not _NAME.fullmatch(name.strip()) or refers_outside(f"{name.strip()}:{value}") or _MARKUP.search(value):
            is_whole = False
        else:
            kept.append(f"{name.strip()}:{value.strip()}")
    return ";".join(kept), is_whole


def clean_sheet(text: str) -> tuple[str, bool]:
    """The rules of a style sheet that only draw, and whether those are all."""
    text = _COMMENT.sub("", text).replace("<!--", "").replace("-->", "")
    rest = _AT.sub("", text)
    is_whole = rest == text and not _RULE.sub("", rest).strip()
    rules = []
    for selector, declarations in _RULE.findall(rest):
        kept, is_clean = clean_declarations(declarations)
        is_whole &= is_clean
        if _SELECTOR.fullmatch(selector.strip()) and "]]>" not in selector:
            rules.append(f"{selector.strip()}{{{kept}}}")
        else:
            is_whole = False
    return "".join(rules), is_whole
