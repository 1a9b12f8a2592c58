"""YAML text to plain values that remember where they stood: every syntax problem with its line and column.

YAML 1.2, so that ``22:00`` and ``no`` are text. Works on the node graph instead of a constructor: no tag can make
an object, every duplicate key is seen (not only the first), and aliases are expanded within a budget.
"""

import io
import re
from dataclasses import dataclass, field
from typing import Any, cast

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from pipelines.fleet.problems import FleetError, Problem

MAX_BYTES = 1 << 20
MAX_NODES = 100_000
"""Values after expansion of aliases; a fleet of 5,000 endpoints with ten settings each has half as many."""

Path = tuple[str | int, ...]
_TAG = "tag:yaml.org,2002:"


@dataclass
class Tree:
    """Plain values, and the line and column (from 1) of each key path."""

    value: Any
    marks: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def at(self, path: Path) -> tuple[int, int] | None:
        """Return the position of the path, or of its nearest ancestor that stands in the file."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.marks:
                return self.marks[path[:length]]
        return None


def parse(data: bytes, file: str) -> Tree:
    """Return the tree of a YAML document.

    Raises:
        FleetError: not UTF-8, too large, empty, not YAML, duplicate keys, runaway aliases, or not a mapping.
    """
    text = _decoded(data, file)
    try:
        root = YAML(typ="safe", pure=True).compose(io.StringIO(text))
    except MarkedYAMLError as error:
        raise FleetError(_syntax_problems(error, text, file)) from error
    except RecursionError as error:
        raise FleetError([Problem("the file is nested too deeply to be a fleet", "Flatten it", file=file)]) from error
    # Not only YAMLError: ruamel lets these out of malformed escapes, tags and directives.
    except (YAMLError, ValueError, OverflowError, TypeError, AttributeError, IndexError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FleetError([Problem(f"this is not YAML: {reason}", "Remove the odd characters", file=file)]) from error
    if root is None or (isinstance(root, ScalarNode) and root.value == ""):
        raise FleetError([Problem("the file is empty", "Write one with: arguslab init --force", file=file)])
    walk = _Walk(file)
    if not isinstance(root, MappingNode):
        kind = "a list" if isinstance(root, SequenceNode) else "a single value"
        remedy = "Start with a key such as `providers:`; `arguslab init` writes an example"
        raise FleetError([walk.problem(f"the file holds {kind} at its top level", remedy, root, ())])
    try:
        value = walk.plain(root, ())
    except RecursionError as error:
        raise FleetError([Problem("the file is nested too deeply to be a fleet", "Flatten it", file=file)]) from error
    if walk.problems:
        raise FleetError(walk.problems)
    return Tree(value, walk.marks)


def dotted(path: Path) -> str:
    """Return a path as people write it: ``routes[0].channels``, ``endpoints["openai/gpt-*"].owner``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch(r"[\w-]+", part):
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
    return text


def _decoded(data: bytes, file: str) -> str:
    if len(data) > MAX_BYTES:
        message = f"the file is {len(data):,} bytes; more than {MAX_BYTES:,} is refused"
        raise FleetError([Problem(message, "Use patterns under `endpoints:` instead of one entry each", file=file)])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        message = f"byte 0x{data[error.start]:02x} is not UTF-8"
        raise FleetError([Problem(message, "Save the file as UTF-8", file=file, line=line, column=column)]) from error
    # ruamel counts U+0085 and friends as line breaks, editors do not; a lone CR is one for both.
    return text.replace("\r\n", "\n")


def _syntax_problems(error: MarkedYAMLError, text: str, file: str) -> list[Problem]:
    tabs = [
        Problem("a tab cannot indent YAML", "Replace it with spaces", file=file, line=number, column=len(found[1]) + 1)
        for number, line in enumerate(text.split("\n"), 1)
        if (found := re.match(r"( *)\t", line))
    ]
    if tabs and "\\t" in str(error.problem):
        return tabs
    mark = error.problem_mark or error.context_mark
    reason = " ".join(part for part in (error.problem, error.context and f"({error.context})") if part)
    remedies = {
        "mapping values are not allowed": "Quote the value, or put the nested key on a line of its own",
        "expected <block end>": "Check the indentation of this line against the lines above it",
        "could not find expected ':'": "Write `key: value`, with a space after the colon",
        "undefined alias": "Define the anchor (&name) above, or quote a value that starts with *",
        "single document": "Keep one document in the file: remove the line ---",
        "cannot start any token": "Quote the value: it starts with a character that YAML reserves",
        "stream end": "Close the bracket or the quote that was opened here",
    }
    remedy = next((r for words, r in remedies.items() if words in reason), "Correct the YAML here")
    line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
    return [Problem(f"this is not YAML: {reason}", remedy, file=file, line=line, column=column)]


class _Walk:
    """One pass over the node graph, collecting positions and problems."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.marks: dict[Path, tuple[int, int]] = {}
        self.problems: list[Problem] = []
        self._nodes = 0
        self._open: set[int] = set()

    def problem(self, message: str, remedy: str, node: Node, path: Path) -> Problem:
        mark = node.start_mark
        return Problem(message, remedy, dotted(path), self.file, mark.line + 1, mark.column + 1)

    def plain(self, node: Node, path: Path) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            message = f"the file stands for more than {MAX_NODES:,} values once its aliases are written out"
            raise FleetError([self.problem(message, "Use fewer aliases (*name)", node, path)])
        if id(node) in self._open:
            raise FleetError([self.problem("an anchor contains itself", "Remove the inner alias", node, path)])
        self.marks.setdefault(path, (node.start_mark.line + 1, node.start_mark.column + 1))
        tag = str(node.tag)
        if isinstance(node, ScalarNode):
            return self._scalar(node, tag.removeprefix(_TAG), path)
        if tag not in (f"{_TAG}map", f"{_TAG}seq"):
            self.problems.append(self.problem(f"the tag {tag} has no meaning here", "Remove it", node, path))
        self._open.add(id(node))
        value: Any = (
            [self.plain(item, (*path, at)) for at, item in enumerate(node.value)]
            if isinstance(node, SequenceNode)
            else self._mapping(cast("MappingNode", node), path)
        )
        self._open.discard(id(node))
        return value

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        first: dict[str, Node] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode) or key_node.tag == f"{_TAG}null":
                self.problems.append(self.problem("a key must be a plain word", "Write `key: value`", key_node, path))
                continue
            key = str(key_node.value)
            if key_node.tag == f"{_TAG}merge":
                self._merge(value_node, path, merged)
                continue
            here = (*path, key)
            if key in first:
                message = f"the key stands twice: first in line {first[key].start_mark.line + 1}"
                self.problems.append(self.problem(message, "Keep one of the two", key_node, here))
                continue
            first[key] = key_node
            # A key's position serves its value too: "line 7" is where the reader looks.
            self.marks[here] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            own[key] = self.plain(value_node, here)
        return {**{key: value for key, value in merged.items() if key not in own}, **own}

    def _merge(self, node: Node, path: Path, into: dict[str, Any]) -> None:
        sources = node.value if isinstance(node, SequenceNode) else [node]
        for source in sources:
            if not isinstance(source, MappingNode):
                self.problems.append(self.problem("<< takes a mapping", "Write `<<: *anchor`", source, path))
                continue
            for key, value in self.plain(source, path).items():
                into.setdefault(key, value)

    def _scalar(self, node: ScalarNode, kind: str, path: Path) -> Any:
        text = str(node.value)
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        if kind in ("int", "float"):
            return _number(text)
        if kind not in ("str", "timestamp", "value", "merge"):
            self.problems.append(self.problem(f"the tag {node.tag} has no meaning here", "Remove it", node, path))
        return text


def _number(text: str) -> int | float | str:
    """Return a JSON number; anything else that YAML calls one (.nan, .inf, 0x1F, 1_000) stays text."""
    if re.fullmatch(r"[-+]?\d{1,18}", text):
        return int(text)
    if re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,2})?", text) and len(text) < 40:
        return float(text)
    return text
