"""What a setting is: a field of a pydantic model with its help, unit and range, and how these are told in words."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_assignment=True, allow_inf_nan=False)


def setting(default: Any, help: str, *, unit: str = "", basic: bool = False, **limits: Any) -> Any:
    return Field(default, description=help, json_schema_extra={"unit": unit, "basic": basic}, **limits)


def bounds(info: FieldInfo) -> tuple[float | None, float | None, bool]:
    """(low, high, whether low itself is excluded) of a numeric field; None where there is no bound."""
    low = high = None
    is_open = False
    for rule in info.metadata:
        if getattr(rule, "ge", None) is not None:
            low = rule.ge
        if getattr(rule, "gt", None) is not None:
            low, is_open = rule.gt, True
        if getattr(rule, "le", None) is not None:
            high = rule.le
    return low, high, is_open


def range_text(info: FieldInfo) -> str:
    """ "[0, 1] steps", or the choices ("a or b") of a field that has choices, or empty."""
    choices = get_args(info.annotation) if get_origin(info.annotation) is Literal else ()
    if choices:
        return " or ".join(str(choice) for choice in choices)
    low, high, is_open = bounds(info)
    if low is None and high is None:
        return unit(info)
    if low is not None and high is not None:
        text = f"{'(' if is_open else '['}{_number(low)}, {_number(high)}]"
    else:
        text = f"at least {_number(low)}" if low is not None else f"at most {_number(high)}"
    return f"{text} {unit(info)}".strip()


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:g}"


def unit(info: FieldInfo) -> str:
    extra = info.json_schema_extra
    return str(extra.get("unit", "")) if isinstance(extra, dict) else ""


def is_basic(info: FieldInfo) -> bool:
    extra = info.json_schema_extra
    return bool(extra.get("basic")) if isinstance(extra, dict) else False


def kind(info: FieldInfo) -> Any:
    """A field's annotation without None."""
    annotation = info.annotation
    if get_origin(annotation) in (Union, types.UnionType):
        return next(a for a in get_args(annotation) if a is not type(None))
    return annotation


def walk_fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """(dotted name, field) of every setting, with sections expanded and a list of stages as one field."""
    for name, info in model.model_fields.items():
        inner = info.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from walk_fields(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", info


def flat(model: BaseModel, prefix: str = "") -> dict[str, Any]:
    """{dotted setting: value} of a config."""
    found: dict[str, Any] = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = (
                [v.model_dump(mode="json") if isinstance(v, BaseModel) else v for v in value] if isinstance(value, list) else value
            )
    return found
