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
    path = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _fields_at(model, first["loc"][:-1])
        text = f"unknown key {path!r}; {nearest(str(first['loc'][-1]), known)}"
    elif first["type"] == "missing":
        text = f"the key {path!r} is missing"
    else:
        told = first["msg"].removeprefix("Value error, ")  # pydantic's word for ours
        text = f"{path}: {told}" if path else told
    more = len(problems) - 1
    return text + (f" (and {more} more)" if more else "")


def _fields_at(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """The keys that are allowed at `path`, found by walking the field types."""
    current: list[type[BaseModel]] = [model]
    for part in path:
        # Index and mapping-key parts do not change the candidates; field names do.
        stepped = [
            inner
            for candidate in current
            if part in candidate.model_fields
            for inner in _models_in(candidate.model_fields[str(part)].annotation)
        ]
        current = stepped or current
    return sorted({name for candidate in current for name in candidate.model_fields})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """The record types inside an annotation such as `dict[str, Row] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    found: list[type[BaseModel]] = []
    for argument in getattr(annotation, "__args__", ()):
        found.extend(_models_in(argument))
    return found
