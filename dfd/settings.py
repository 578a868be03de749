"""What is wrong with settings that a user wrote, in one sentence that names the key."""

from pydantic import BaseModel, ValidationError


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """The first thing that a model's validation found."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"]) or model.__name__.lower()
    if first["type"] == "extra_forbidden":
        known = ", ".join(_keys_beside(first["loc"], model))
        return f"unknown key '{key}'; known here: {known}"
    message = first["msg"].removeprefix("Value error, ").replace("a valid tuple", "a list")
    given = "" if isinstance(first["input"], dict) else f" (it is {first['input']!r})"
    return f"'{key}': {message[0].lower()}{message[1:]}{given}"


def _keys_beside(location: tuple[int | str, ...], model: type[BaseModel]) -> list[str]:
    for part in location[:-1]:
        options = getattr(model.model_fields[str(part)].annotation, "__args__", None)
        inner = options[0] if options else model.model_fields[str(part)].annotation
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            break
        model = inner
    return list(model.model_fields)
