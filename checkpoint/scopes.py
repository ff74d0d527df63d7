"""Find where Python code mentions the names of its own module."""

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
# Whether an enclosing function binds a name; False for one that it declares global.
_Scopes = tuple[dict[str, bool], ...]
Node = ast.expr | ast.stmt | ast.excepthandler | ast.pattern


class Mention(NamedTuple):
    """A mention of a name of the module.

    Attributes:
        name: The name.
        node: What mentions it: its use, definition or `global`; None where a class body
            reads a name that it binds as well, which may mean either.
        string: The string that holds it: an f-string, or the text of an annotation.
    """

    name: str
    node: Node | None
    string: ast.expr | None


def mentions(tree: ast.Module) -> Iterator[Mention]:
    """Find every mention of a name of the module or of a builtin, apart from imports.

    Names that a function, a class or a comprehension binds itself are left out, and so
    are attributes and the names of arguments.
    """
    for statement in tree.body:
        yield from _mentions(statement, (), frozenset(), None)


def bound_names(*nodes: ast.AST) -> dict[str, bool]:
    """Find the names that the code of one scope binds.

    Args:
        nodes: The parts of the scope: statements, arguments or targets.

    Returns:
        The names; the value is False for those that are declared global.
    """
    bound: dict[str, bool] = {}
    declared: dict[str, bool] = {}
    for node in own_nodes(*nodes):
        match node:
            case ast.Global(names=names):
                declared.update(dict.fromkeys(names, False))
            case ast.Nonlocal(names=names):
                declared.update(dict.fromkeys(names, True))
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                bound[name] = True
            case ast.alias(name=name, asname=alias):
                bound[alias or name.partition(".")[0]] = True
            case (
                ast.FunctionDef(name=str(name))
                | ast.AsyncFunctionDef(name=str(name))
                | ast.ClassDef(name=str(name))
                | ast.ExceptHandler(name=str(name))
                | ast.MatchAs(name=str(name))
                | ast.MatchStar(name=str(name))
                | ast.MatchMapping(rest=str(name))
            ):
                bound[name] = True
    return {**bound, **declared}


def own_nodes(*nodes: ast.AST) -> Iterator[ast.AST]:
    """Walk over the code of one scope, without the scopes inside it."""
    waiting = list(reversed(nodes))
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, _COMPREHENSIONS):  # `:=` binds a name of the scope around it
            waiting += [inner for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr)]
        elif not isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            waiting += reversed(list(ast.iter_child_nodes(node)))


def _mentions(
    node: ast.AST, scopes: _Scopes, of_class: frozenset[str], string: ast.expr | None
) -> Iterator[Mention]:
    inside: list[ast.AST] = []  # what a scope of its own holds
    own: _Scopes = ()
    outside = list(ast.iter_child_nodes(node))
    match node:
        case ast.Name(id=name, ctx=context):
            if _is_global(name, scopes, of_class):
                yield Mention(name, node, string)
            elif name in of_class and isinstance(context, ast.Load) and _is_global(name, scopes):
                yield Mention(name, None, string)
        case ast.Global(names=names):
            yield from (Mention(name, node, string) for name in names)
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            if _is_global(name, scopes, of_class):
                yield Mention(name, node, string)
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            if _is_global(node.name, scopes, of_class):
                yield Mention(node.name, node, string)
            inside = list(node.body)
        case ast.Lambda(body=body):
            inside = [body]
        case ast.JoinedStr():
            string = string or node
        case ast.arg(annotation=annotation) | ast.AnnAssign(annotation=annotation) if annotation is not None:
            yield from _quoted(annotation, scopes, of_class)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
        yield from _quoted(node.returns, scopes, of_class)
    if isinstance(node, _COMPREHENSIONS):
        outside = [node.generators[0].iter]
        parts = [part for part in ast.iter_child_nodes(node) if not isinstance(part, ast.comprehension)]
        for generator in node.generators:
            parts += [generator.target, *generator.ifs]
        inside = parts + [generator.iter for generator in node.generators[1:]]
        own = (bound_names(*[generator.target for generator in node.generators]),)
    elif isinstance(node, _FUNCTIONS):
        own = (bound_names(*ast.iter_child_nodes(node.args), *inside),)
    for child in outside:
        if child not in inside:
            yield from _mentions(child, scopes, of_class, string)
    of_class = frozenset(bound_names(*inside)) if isinstance(node, ast.ClassDef) else frozenset()
    for child in inside:
        yield from _mentions(child, scopes + own, of_class, string)


def _is_global(name: str, scopes: _Scopes, of_class: frozenset[str] = frozenset()) -> bool:
    found = next((scope[name] for scope in reversed(scopes) if name in scope), False)
    return not found and name not in of_class


def _quoted(annotation: ast.AST, scopes: _Scopes, of_class: frozenset[str]) -> Iterator[Mention]:
    """Find the names in an annotation's strings; those of `Literal` are no names."""
    waiting = [annotation]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for name in re.findall(r"(?<![\w.])[^\W\d]\w*", node.value):
                if _is_global(name, scopes, of_class):
                    yield Mention(name, node, node)
        elif not (isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("Literal")):
            waiting += ast.iter_child_nodes(node)
