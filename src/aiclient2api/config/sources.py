"""Where the configuration is written: the file's place, its YAML, and the variables that override it."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, Final, cast

import yaml

from aiclient2api.errors import ConfigError

PREFIX: Final = "AICLIENT2API__"
FILE_NAME: Final = "aiclient2api.yaml"

_TEXT: Final = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge")

_Base = cast(type[yaml.SafeLoader], getattr(yaml, "CSafeLoader", yaml.SafeLoader))


_BOOL: Final = "tag:yaml.org,2002:bool"
_Resolvers = dict[str, list[tuple[str, re.Pattern[str]]]]


def _resolvers() -> _Resolvers:
    """How plain words get their type: only `true` and `false` are booleans, a date is text."""
    inherited = cast(_Resolvers, _Base.yaml_implicit_resolvers)
    resolvers = {
        letter: [item for item in items if item[0] not in (_BOOL, "tag:yaml.org,2002:timestamp")]
        for letter, items in inherited.items()
    }
    for letter in "tTfF":
        resolvers[letter].append((_BOOL, re.compile(r"^(?:true|True|false|False)$")))
    return resolvers


class _Loader(_Base):
    """YAML 1.2 in the two points that bite: `off` is text, and a key may stand once only."""

    yaml_implicit_resolvers = _resolvers()

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in cast(list[tuple[yaml.Node, yaml.Node]], node.value):
            name = key.value if isinstance(key, yaml.ScalarNode) and key.tag in _TEXT else None
            if name is None:
                raise yaml.constructor.ConstructorError(None, None, "keys must be text", key.start_mark)
            if name in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {name!r} stands here twice", key.start_mark
                )
            seen.add(name)
        return super().construct_mapping(node, deep)


def parse_yaml(text: str, name: str) -> object:
    """The data of a YAML text. Raises ConfigError with the line."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506  # our loader is a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f":{mark.line + 1}" if mark is not None else ""
        raise ConfigError([f"{name}{line}: {error.problem or 'not valid YAML'}"]) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError([f"{name}: not valid YAML: {str(error).splitlines()[0]}"]) from None


def read_file(path: Path) -> dict[str, object]:
    """The sections of a configuration file. Raises ConfigError."""
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        raise ConfigError([f"{path}: is not UTF-8 text"]) from None
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    data = parse_yaml(text, str(path))
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError([f"{path}: must hold sections with keys"])
    return cast(dict[str, object], data)


def find_file(given: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The configuration file: the given one, `$AICLIENT2API_CONFIG`, the working directory's, the user's."""
    if given is not None:
        return given
    named = environ.get("AICLIENT2API_CONFIG")
    if named:
        return Path(named).expanduser()
    candidates = [Path(FILE_NAME), _user_folder(environ) / "aiclient2api" / FILE_NAME]
    return next((path for path in candidates if path.is_file()), None)


def _user_folder(environ: Mapping[str, str]) -> Path:
    for variable in ("XDG_CONFIG_HOME", "APPDATA"):
        folder = environ.get(variable)
        if folder:
            return Path(folder)
    return Path("~/.config").expanduser()


def overlay(data: dict[str, object], environ: Mapping[str, str]) -> None:
    """Put every `AICLIENT2API__SECTION__KEY` into its place. Raises ConfigError.

    Names are compared without case and with `-` as `_`, because a variable's name has neither; a number is a
    place in a list; a value that begins with `[` or `{` is YAML.
    """
    problems: list[str] = []
    for variable in sorted(name for name in environ if name.upper().startswith(PREFIX)):
        steps = [step for step in variable[len(PREFIX) :].split("__") if step]
        text = environ[variable]
        value = parse_yaml(text, variable) if text[:1] in ("[", "{") else text
        if not steps or not _put(data, steps, value):
            problems.append(f"{variable}: does not lead to a key")
    if problems:
        raise ConfigError(problems)


def merge(data: dict[str, object], changes: Mapping[str, object]) -> None:
    """Put `changes` over `data`, section by section."""
    for key, value in changes.items():
        inner = data.get(key)
        if isinstance(value, Mapping):
            if not isinstance(inner, dict):
                inner = data[key] = {}
            merge(cast(dict[str, object], inner), cast(Mapping[str, object], value))
        else:
            data[key] = value


def _put(node: object, steps: list[str], value: object) -> bool:
    """Walk down, making what is missing; False where there is something else already."""
    if isinstance(node, list):
        return _put_item(cast(list[object], node), steps, value)
    if not isinstance(node, dict):
        return False
    section = cast(dict[str, object], node)
    key = _key(section, steps[0])
    if len(steps) == 1:
        section[key] = value
        return True
    if section.get(key) is None:
        section[key] = [] if steps[1].isdigit() else {}
    return _put(section[key], steps[1:], value)


def _put_item(items: list[object], steps: list[str], value: object) -> bool:
    if not steps[0].isdigit() or int(steps[0]) > len(items):
        return False
    index = int(steps[0])
    if index == len(items):
        items.append({})
    if len(steps) == 1:
        items[index] = value
        return True
    return _put(items[index], steps[1:], value)


def _key(section: Mapping[str, object], step: str) -> str:
    """The section's own spelling of a variable's step."""
    wanted = _folded(step)
    return next((key for key in section if _folded(key) == wanted), step.lower())


def _folded(name: str) -> str:
    return name.lower().replace("-", "_")
