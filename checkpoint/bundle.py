"""Merge files into one that behaves as they do together, for repositories of flat files.

The parts follow in the order of their imports, with their comments and formatting. Where
two have the same name for different things, one is renamed.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ..errors import EmoNetError
from .scopes import Mention, Node, bound_names, mentions, own_nodes

# What a name of a part stands for: the part that defines it, or the import; and the name.
_Meaning = tuple[str, str]


@dataclass(frozen=True)
class Part:
    """A file of a bundle.

    Attributes:
        name: Its dotted name below the package, such as `dialogue.chats.irc`.
        text: Its code.
    """

    name: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def mentions(self) -> list[Mention]:
        return list(mentions(self.tree))

    @cached_property
    def top_imports(self) -> list[ast.Import | ast.ImportFrom]:
        return [node for node in self.tree.body if isinstance(node, ast.Import | ast.ImportFrom)]

    @cached_property
    def module_imports(self) -> list[ast.AST]:
        """The imports that bind names of the module: those outside of functions."""
        return [node for node in own_nodes(*self.tree.body) if isinstance(node, ast.Import | ast.ImportFrom)]

    def target(self, node: ast.Import | ast.ImportFrom) -> str | None:
        """Get the dotted name of a file that is imported; None for libraries."""
        if isinstance(node, ast.Import) or not node.level:
            return None
        return ".".join([*self.name.split(".")[: -node.level], *(node.module or "").split(".")])

    @property
    def future(self) -> frozenset[str]:
        return frozenset(
            alias.name
            for node in self.top_imports
            if isinstance(node, ast.ImportFrom) and node.module == "__future__"
            for alias in node.names
        )

    @cached_property
    def all_imports(self) -> list[ast.Import | ast.ImportFrom]:
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.Import | ast.ImportFrom)]

    def imports(self) -> Iterator[tuple[ast.Import | ast.ImportFrom, str]]:
        """Find the imports of other files, with their dotted names."""
        for node in self.all_imports:
            if (target := self.target(node)) is not None:
                yield node, target


@dataclass
class Bundle:
    """A file of a repository, which holds one part or more.

    Attributes:
        name: Its name in the repository, without `.py`.
        parts: Its files, in any order.
        wanted: The names that other files import from it, by part; they keep their names
            if they can.
    """

    name: str
    parts: list[Part]
    wanted: set[tuple[str, str]]
    _meanings: dict[str, dict[str, _Meaning]] = field(default_factory=dict, init=False)
    _names: dict[_Meaning, str] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.parts = list(_in_order(self.parts))
        self._own = {part.name for part in self.parts}
        if len({part.future for part in self.parts}) > 1:
            raise EmoNetError(f"The files of {self.name}/ differ in their imports from __future__.")
        for part in self.parts:
            self._meanings[part.name] = self._meanings_in(part)
        self._choose_names()

    def name_of(self, part: str, name: str) -> str:
        """Get the name in the bundle of what a part calls `name`.

        Raises:
            EmoNetError: for a name that the part has not.
        """
        try:
            return self._names[self._meanings[part][name]]
        except KeyError:
            raise EmoNetError(f"{part.replace('.', '/')}.py has no {name!r}, which is imported.") from None

    def code(self, bundles: Mapping[str, "Bundle"]) -> str:
        """Write the bundle.

        Args:
            bundles: All bundles of the repository, by the names of their parts.
        """
        if len(self.parts) == 1:
            return self._rewritten(self.parts[0], bundles, {})
        hoisted: dict[str, set[str]] = {}
        texts = []
        for part in self.parts:
            text = self._rewritten(part, bundles, hoisted).strip("\n")
            title = f"From {part.name.replace('.', '/')}.py:\n{ast.get_docstring(part.tree) or ''}"
            comment = "\n".join(f"# {line}".rstrip() for line in title.strip().split("\n"))
            texts.append(f"{comment}\n\n{text}")
        lines = [_statement(start, sorted(items)) for start, items in hoisted.items()]
        imports = "\n".join(sorted(lines, key=_import_order))
        head = f'"""The files of {self.name}/ in one, in the order of their imports."""'
        return f"{head}\n\n{imports}\n\n\n" + "\n\n\n".join(texts) + "\n"

    def _meanings_in(self, part: Part) -> dict[str, _Meaning]:
        found = {name: (part.name, name) for name in bound_names(*part.tree.body)}
        for node in part.top_imports if len(self.parts) > 1 else ():
            target = part.target(node)
            for alias in node.names:
                name = alias.asname or alias.name.partition(".")[0]
                if target not in self._own:
                    module = target or (node.module if isinstance(node, ast.ImportFrom) else "")
                    found[name] = (f"import {module} {alias.name if alias.asname else name}", name)
                elif target not in self._meanings:
                    raise EmoNetError(f"{part.name} and {target} import each other.")
                elif alias.asname is None:
                    found[name] = self._meanings[target].get(name, (target, name))
        return found

    def _choose_names(self) -> None:
        """Choose a name for every meaning; of several, the first part's stays.

        A public class keeps its name in any case, for messages and pickles show it.
        """
        classes = {
            (part.name, node.name)
            for part in self.parts
            for node in part.tree.body
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
        }
        wanted = {self._meanings[part].get(name) for part, name in self.wanted if part in self._own}
        words = {word for part in self.parts for word in re.findall(r"\w+", part.text)}
        taken = {
            mention.name
            for part in self.parts
            for mention in part.mentions
            if mention.name not in self._meanings[part.name]  # a builtin
        }
        first_parts: dict[_Meaning, str] = {}
        for part in self.parts:
            for meaning in self._meanings[part.name].values():
                first_parts.setdefault(meaning, part.name)

        def rank(meaning: _Meaning) -> tuple[bool, bool, bool]:
            return meaning not in classes, meaning not in wanted, not meaning[0].startswith("import ")

        for meaning in sorted(first_parts, key=rank):
            name = meaning[1]
            if name in taken:
                if meaning in classes or name.startswith("__"):
                    raise EmoNetError(
                        f"{first_parts[meaning]}: {name!r} is in another file of {self.name}/ as well, and "
                        "a repository holds them in one file: rename one."
                    )
                name = "_".join([name, *first_parts[meaning].split(".")[1:]])
                while name in words or name in taken:
                    name += "_"
            taken.add(name)
            self._names[meaning] = name

    def _rewritten(self, part: Part, bundles: Mapping[str, "Bundle"], hoisted: dict[str, set[str]]) -> str:
        """Write a part in the names of the bundle.

        The imports at the top of a bundle's parts go to `hoisted`, by their beginnings.
        """
        edits = Edits(part)
        merged = len(self.parts) > 1
        if merged and ast.get_docstring(part.tree) is not None:
            edits.replace(part.tree.body[0], "")
        for node in part.all_imports:
            items, lines = self._import(part, node, bundles)
            if merged and node in part.top_imports:
                for start, names in items.items():
                    hoisted.setdefault(start, set()).update(names)
            else:
                lines = [_statement(start, names) for start, names in items.items()] + lines or ["pass"]
            if lines != [ast.unparse(node)]:
                edits.replace(node, ("\n" + " " * node.col_offset).join(lines))
        meanings = self._meanings[part.name]
        edits.rename({name: self._names[meaning] for name, meaning in meanings.items()})
        return edits.applied()

    def _import(
        self, part: Part, node: ast.Import | ast.ImportFrom, bundles: Mapping[str, "Bundle"]
    ) -> tuple[dict[str, list[str]], list[str]]:
        """Translate an import: items by the beginning of their statement, assignments."""
        items: dict[str, list[str]] = {}
        assignments = []
        target = part.target(node)
        for alias in node.names:
            local = alias.asname or alias.name.partition(".")[0]
            if node in part.module_imports:
                local = self.name_of(part.name, local)
            if target in self._own:
                source = self.name_of(target, alias.name)
                if node not in part.module_imports and alias.asname:
                    raise EmoNetError(f"{part.name}, line {node.lineno}: import {alias.name} at the top.")
                assignments += [f"{local} = {source}"] * (local != source)
                continue
            name, start = alias.name, "import"
            if target is not None:
                name, start = bundles[target].name_of(target, name), f"from .{bundles[target].name} import"
            elif isinstance(node, ast.ImportFrom):
                start = f"from {node.module} import"
            if alias.asname is None and "." in name:
                if local != name.partition(".")[0]:
                    raise EmoNetError(f"{part.name}, line {node.lineno}: import {name} under another name.")
                local = name
            items.setdefault(start, []).append(name if name == local else f"{name} as {local}")
        return items, assignments


class Edits:
    """Changes of a part's text by positions of its syntax tree."""

    def __init__(self, part: Part):
        self.part = part
        self._text = part.text.encode()  # the tree counts bytes
        self._lines = [0]
        for line in self._text.split(b"\n"):
            self._lines.append(self._lines[-1] + len(line) + 1)
        self._edits: list[tuple[int, int, str]] = []

    def replace(self, node: ast.stmt, code: str) -> None:
        """Replace a statement; where nothing is left, its line goes."""
        start, end = self._span(node)
        if not code:
            rest, end = end, self._text.find(b"\n", end) + 1 or len(self._text)
            if (other := self._text[rest:end].strip()) and not other.startswith(b"#"):
                raise EmoNetError(f"{self.part.name}, line {node.end_lineno}: write one statement a line.")
        self._edits.append((start, end, code))

    def rename(self, names: Mapping[str, str]) -> None:
        """Rename names of the module."""
        strings: dict[Node, Counter[str]] = {}
        for name, node, text_node in self.part.mentions:
            if names.get(name, name) == name:
                continue
            holder = node if isinstance(node, ast.Global) else text_node
            if holder is not None:
                strings.setdefault(holder, Counter())[name] += 1
                continue
            start, end = self._span(node) if node is not None else (0, 0)
            if definition := re.compile(rb"(?:(?:async\s+)?def|class)\s+").match(self._text, start):
                start, end = definition.end(), definition.end() + len(name.encode())
            if self._text[start:end].decode() != name:
                raise EmoNetError(f"{self.part.name}: cannot rename {name!r}; give it a name of its own.")
            self._edits.append((start, end, names[name]))
        for string, counts in strings.items():
            start, end = self._span(string)
            text = self._text[start:end].decode()
            for name, count in counts.items():
                text, found = re.subn(rf"(?<![\w.]){name}(?!\w)", names[name], text)
                if found != count:
                    raise EmoNetError(
                        f"{self.part.name}, line {string.lineno}: cannot rename {name!r} in this string; "
                        "give it a name of its own."
                    )
            self._edits.append((start, end, text))

    def applied(self) -> str:
        text = self._text
        for start, end, code in sorted(self._edits, reverse=True):
            text = text[:start] + code.encode() + text[end:]
        return text.decode()

    def _span(self, node: Node) -> tuple[int, int]:
        assert node.end_lineno is not None and node.end_col_offset is not None
        return (
            self._lines[node.lineno - 1] + node.col_offset,
            self._lines[node.end_lineno - 1] + node.end_col_offset,
        )


def _import_order(statement: str) -> tuple[bool, bool, bool, str]:
    return (
        not statement.startswith("from __future__ "),
        statement.startswith("from ."),
        statement.startswith("from "),
        statement,
    )


def _statement(start: str, items: Iterable[str]) -> str:
    if start == "import":
        return "\n".join(f"import {item}" for item in items)
    line = f"{start} {', '.join(items)}"
    return line if len(line) <= 110 else f"{start} (\n    " + ",\n    ".join(items) + ",\n)"


def _in_order(parts: list[Part]) -> Iterator[Part]:
    """Order parts so that each follows those that it imports."""
    waiting = {part.name: part for part in sorted(parts, key=lambda part: part.name)}

    def place(part: Part) -> Iterator[Part]:
        for _, target in part.imports():
            if target in waiting:
                yield from place(waiting.pop(target))
        yield part

    while waiting:
        yield from place(waiting.pop(next(iter(waiting))))
