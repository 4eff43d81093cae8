"""Strict validation: unknown keys are refused, with the key, the place and the nearest name."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from vaebench.errors import UserError, nearest


class Strict(BaseModel):
    """A frozen record that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def read(cls, raw: Any, where: str) -> Self:
        """The record that `raw` describes; UserError names `where`, the key and the mend."""
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            raise UserError(f"{where}: {_sentence(cls, error)}") from None


def _sentence(model: type[BaseModel], error: ValidationError) -> str:
    """The first thing wrong, in words, and how many more there are."""
    problems = error.errors(include_url=False)
    # An unknown key explains a missing one (a typo is both), so it is told first.
    first = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    parts, known = _walk(model, first["loc"])
    path = ".".join(str(part) for part in parts)
    if first["type"] == "extra_forbidden":
        text = f"unknown key {path!r}; {nearest(str(first['loc'][-1]), known)}"
    elif first["type"] == "missing":
        text = f"the key {path!r} is missing"
    else:
        told = first["msg"].removeprefix("Value error, ")  # pydantic's word for ours
        text = f"{path}: {told}" if path else told
    more = len(problems) - 1
    return text + (f" (and {more} more)" if more else "")


def _walk(
    model: type[BaseModel], location: tuple[int | str, ...]
) -> tuple[list[int | str], list[str]]:
    """The path to a place as a file has it, and the keys that are allowed there, found by walking
    the field types: where one of several kinds is meant by its `name`, pydantic's path has that."""
    current: list[type[BaseModel]] = [model]
    path: list[int | str] = []
    for number, part in enumerate(location):
        named = [kind for kind in current if len(current) > 1 and _is_named(kind, part)]
        if named:
            current = named
            continue
        path.append(part)
        if number == len(location) - 1:
            break
        # Index and mapping-key parts do not change the candidates; field names do.
        stepped = [
            inner
            for candidate in current
            if part in candidate.model_fields
            for inner in _models_in(candidate.model_fields[str(part)].annotation)
        ]
        current = stepped or current
    return path, sorted({name for candidate in current for name in candidate.model_fields})


def _is_named(kind: type[BaseModel], part: int | str) -> bool:
    """Whether records of this kind have this `name`."""
    field = kind.model_fields.get("name")
    return field is not None and part in getattr(field.annotation, "__args__", ())


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """The record types inside an annotation such as `dict[str, Row] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    found: list[type[BaseModel]] = []
    for argument in getattr(annotation, "__args__", ()):
        found.extend(_models_in(argument))
    return found
