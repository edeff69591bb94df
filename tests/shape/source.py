"""The source of loopkit, as a thing to be measured: its files, their imports, their functions."""

import ast
import functools
import gc
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "loopkit"

# Loaded on demand, by the user's wish; the rest is what `import loopkit` is.
OUTER = ("diagnostics", "bench", "check", "cli", "sockets", "testing", "__main__")


@functools.cache
def files() -> dict[str, Path]:
    """Dotted name -> file, of every module of loopkit."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def core() -> dict[str, Path]:
    """The modules that `import loopkit` may load."""
    return {name: path for name, path in files().items() if name.split(".")[1:2] not in [[o] for o in OUTER]}


@functools.cache
def tree(path: Path) -> ast.Module:
    parsed = ast.parse(path.read_text(), str(path))
    # A tree is thousands of objects, and stays: the collection after each test would walk all of them.
    if hasattr(gc, "freeze"):  # PyPy has no such thing, and no need of it
        gc.freeze()
    return parsed


class _Imports(ast.NodeVisitor):
    """Collects what a module imports, without what only the type checker sees."""

    def __init__(self, module: str, is_package: bool) -> None:
        self.package = module if is_package else module.rpartition(".")[0]
        self.depth = 0
        self.at_import: set[str] = set()
        self.on_demand: set[str] = set()

    def _add(self, name: str) -> None:
        (self.on_demand if self.depth else self.at_import).add(name)

    def visit_If(self, node: ast.If) -> None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for other in node.orelse:
                self.visit(other)
        else:
            self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            parts = self.package.split(".")
            base = ".".join(parts[: len(parts) - node.level + 1] + ([node.module] if node.module else []))
        known = files()
        for alias in node.names:
            # `from .net import serve` is an import of the module loopkit.net.serve.
            self._add(f"{base}.{alias.name}" if f"{base}.{alias.name}" in known else base)


def imports(module: str) -> tuple[set[str], set[str]]:
    """What *module* imports: when it is imported itself, and from inside functions."""
    path = files()[module]
    visitor = _Imports(module, path.name == "__init__.py")
    visitor.visit(tree(path))
    return visitor.at_import, visitor.on_demand


def ours(names: set[str]) -> set[str]:
    return {name for name in names if name == "loopkit" or name.startswith("loopkit.")}


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its signature and its docstring: what has to be read."""
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        if len(node.body) == 1:
            return 0
        first = node.body[1]
    assert node.end_lineno is not None
    return node.end_lineno - first.lineno + 1
