"""What can be changed of a module, one small thing at a time, as an edit of its syntax tree.

Comparisons and their ends, arithmetic, each half of an `and`, conditions that are always or never
true, numbers, flags, what is returned, statements that are left out, and the same within SQL.
"""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).resolve().parents[1] / "src"
COMPARE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
OPERATE: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
}
SQL = re.compile(r"\b(SELECT|FROM|WHERE|AND|UPDATE|INSERT|JOIN|ORDER BY|CASE|ELSE|extract)\b|\$1")
SQL_CHANGES = (
    (r" AND ", " OR "),
    (r" OR ", " AND "),
    (r" <> ", " = "),
    (r" = ", " <> "),
    (r" < ", " <= "),
    (r" <= ", " < "),
    (r" > ", " >= "),
    (r" >= ", " > "),
    (r" \+ ", " - "),
    (r" - ", " + "),
    (r" \* ", " + "),
    (r" ELSE -", " ELSE "),
    (r", -", ", "),
    (r" IS NOT NULL", " IS NULL"),
    (r" IS NULL", " IS NOT NULL"),
    (r" LEFT JOIN ", " JOIN "),
    (r" UNION ALL ", " UNION "),
    (r" DISTINCT ", " "),
    (r" DESC\b", ""),
    (r"\bORDER BY (\w+\.)?\w+(?! DESC)", r"\g<0> DESC"),
)
"""Of statements for a database: it reads them, no Python does."""

Edit = Callable[[Any], None]


@dataclass(frozen=True)
class Mutant:
    """One change: where it is, what it is, and the lines of the statement that it is in."""

    module: str
    line: int
    text: str
    what: str
    lines: range
    number: int
    edit: Edit

    def tree(self) -> ast.Module:
        tree = read(self.module)
        self.edit(list(ast.walk(tree))[self.number])
        return ast.fix_missing_locations(tree)


def path_of(module: str) -> Path:
    return SOURCE / (module.replace(".", "/") + ".py")


def read(module: str) -> ast.Module:
    return ast.parse(path_of(module).read_text(encoding="utf-8"))


def list_mutants(module: str) -> list[Mutant]:
    tree = read(module)
    texts = ["", *path_of(module).read_text(encoding="utf-8").splitlines()]
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    found = []
    for number, node in enumerate(ast.walk(tree)):
        changed = ((node, *change) for change in changes(node, parents.get(node)))
        for place, what, edit in (*changed, *omissions(node)):
            lines = lines_of(place, parents)
            line = getattr(place, "lineno", lines.start)
            found.append(Mutant(module, line, texts[line].strip(), what, lines, number, edit))
    return found


def lines_of(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> range:
    """The lines of its statement, of one with a body those before the body."""
    while not isinstance(node, ast.stmt):
        node = parents[node]
    body = getattr(node, "body", None) or getattr(node, "cases", None)
    if not body:
        return range(node.lineno, (node.end_lineno or node.lineno) + 1)
    first = body[0].pattern if isinstance(body[0], ast.match_case) else body[0]
    return range(node.lineno, max(first.lineno, node.lineno + 1))


def changes(node: ast.AST, parent: ast.AST | None) -> Iterator[tuple[str, Edit]]:  # noqa: C901, PLR0912 -- a table
    match node:
        case ast.Compare():
            for place, operator in enumerate(node.ops):
                other = COMPARE[type(operator)]
                what = f"{type(operator).__name__} -> {other.__name__}"
                yield (
                    what + (f", the {place + 1}." if place else ""),
                    set_item("ops", place, other()),
                )
        case ast.BinOp() | ast.AugAssign() if type(node.op) in OPERATE and not is_type(node):
            other_op = OPERATE[type(node.op)]
            what = f"{type(node.op).__name__} -> {other_op.__name__}: {ast.unparse(node)[:50]}"
            yield what, set_field("op", other_op())
        case ast.BoolOp():
            for place, value in enumerate(node.values):
                yield f"without {ast.unparse(value)[:50]}", drop_item("values", place)
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield f"no {type(node.op).__name__}", drop_operator
        case ast.If() | ast.While() | ast.IfExp():
            now = node.test.value if isinstance(node.test, ast.Constant) else None
            for value in {True, False} - {now}:
                what = f"{ast.unparse(node.test)[:50]} is {value}"
                yield what, set_field("test", ast.Constant(value))
        case ast.comprehension():
            for place, value in enumerate(node.ifs):
                yield f"without if {ast.unparse(value)[:50]}", drop_item("ifs", place)
        case ast.Return(value=ast.expr() as value) if not is_none(value):
            yield f"return None for {ast.unparse(value)[:50]}", set_field("value", None)
        case ast.Constant(value=bool() as flag) if not is_of_form(parent):
            name = f"{parent.arg}=" if isinstance(parent, ast.keyword) else ""
            yield f"{name}{flag} -> {not flag}", set_field("value", not flag)
        case ast.Constant(value=int() as figure) if not isinstance(figure, bool):
            yield f"{figure} -> {figure + 1}", set_field("value", figure + 1)
        case ast.Constant(value=str() as text) if SQL.search(text) and not is_doc(parent):
            yield from changes_of_sql(text)


def omissions(node: ast.AST) -> Iterator[tuple[ast.stmt, str, Edit]]:
    """Each statement of a body, left out."""
    for body in ("body", "orelse", "finalbody"):
        statements = getattr(node, body, None)
        for place, statement in enumerate(statements if isinstance(statements, list) else ()):
            if is_effect(statement):
                what = f"without: {ast.unparse(statement)[:60]}"
                yield statement, what, set_item(body, place, ast.Pass())


def changes_of_sql(text: str) -> Iterator[tuple[str, Edit]]:
    for pattern, other in SQL_CHANGES:
        for found in re.finditer(pattern, text):
            new = found.expand(other)
            around = text[max(0, found.start() - 24) : found.end() + 20]
            changed = text[: found.start()] + new + text[found.end() :]
            what = f"SQL '{around}': {found.group().strip()} -> {new.strip()}"
            yield what, set_field("value", changed)


def is_type(node: ast.BinOp | ast.AugAssign) -> bool:
    """`int | None` is read by a type checker, not by a test."""
    return isinstance(node.op, ast.BitOr) and isinstance(node, ast.BinOp)


def is_of_form(parent: ast.AST | None) -> bool:
    """Of a struct: read by a type checker, and by the garbage collector."""
    return isinstance(parent, ast.keyword) and parent.arg in ("frozen", "gc", "kw_only")


def is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def is_doc(parent: ast.AST | None) -> bool:
    return isinstance(parent, ast.Expr)


def is_effect(statement: ast.stmt) -> bool:
    """Whether it does something; a crash point or a line of the log does nothing to the money."""
    match statement:
        case ast.Expr(value=ast.Constant()):
            return False
        case ast.Expr():
            return not re.match(r"(reach|log\.\w+)\(", ast.unparse(statement))
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]) | ast.AugAssign():
            return True
        case ast.Raise() | ast.Delete() | ast.Continue() | ast.Break():
            return True
        case ast.Return(value=None):
            return True
    return False


# Edits ----------------------------------------------------------------------------------------


def set_field(name: str, value: Any) -> Edit:
    return lambda node: setattr(node, name, value)


def set_item(name: str, place: int, value: Any) -> Edit:
    return lambda node: getattr(node, name).__setitem__(place, value)


def drop_item(name: str, place: int) -> Edit:
    return lambda node: getattr(node, name).pop(place)


def drop_operator(node: ast.UnaryOp) -> None:
    if isinstance(node.op, ast.USub):
        node.op = ast.UAdd()
    else:
        node.operand = ast.UnaryOp(ast.Not(), node.operand)
