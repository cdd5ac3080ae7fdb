"""Every word the pages can say, read from the code: what a catalog must have."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import dashboards

PACKAGE = Path(dashboards.__file__).parent
SPEAKERS = ("say", "plural")
WORDY = [
    *sorted((PACKAGE / "views").glob("*.py")),
    *(PACKAGE / f"{n}.py" for n in ("words", "pages", "state", "site", "acting")),
]
WORDY += [PACKAGE / "routes" / f"{n}.py" for n in ("actions", "filters", "login", "provider")]
WORDY += [PACKAGE / "charts.py"]
"""Files whose sentences and headings reach a page also without a call."""


def spoken() -> set[str]:
    """What stands in a call of `say`, `plural` or, in a template, `_`."""
    found: set[str] = set()
    for file in sorted(PACKAGE.rglob("*.py")):
        if "report" in file.relative_to(PACKAGE).parts[:1]:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in SPEAKERS and node.args:
                found |= set(_words(node.args[0]))
    for file in sorted((PACKAGE / "templates").glob("*.html")):
        found |= {
            ast.literal_eval(each) for each in re.findall(r"""\b_\(("[^"]*"|'[^']*')""", file.read_text())
        }
        found |= set(re.findall(r'or "([^"]+)"\)', file.read_text()))
    return found


def shown() -> set[str]:
    """Headings and sentences that are constants: they begin with a capital or have a space."""
    found: set[str] = set()
    for file in WORDY:
        tree = ast.parse(file.read_text())
        skipped = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                skipped |= {id(part) for part in ast.walk(node)}
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "plural":
                skipped.add(id(node.args[1]))
        for node in ast.walk(tree):
            if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in skipped:
                continue
            if re.match(r"[A-Z][a-z]|[A-Za-z-]+ [a-z]", node.value):
                found.add(node.value)
    return found


def _words(node: ast.expr) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value
