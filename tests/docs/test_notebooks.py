"""The cells of the notebooks are Python, and call what there is.

Their commands are tested with those of the pages, in test_commands.py.
"""

import ast
import importlib
import inspect
import json
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "docs").glob("*.ipynb"))
OURS = {path.parent.name for path in ROOT.glob("*/__init__.py")}
OF_COLAB = {"IPython"}


def code_of(notebook: Path) -> list[str]:
    """The Python of its cells: lines for the shell (!) and for the notebook (%) left out."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return [
        "\n".join(line for line in text.splitlines() if not line.startswith(("!", "%")))
        for text in code
    ]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_the_cells_are_python_and_what_they_import_is_there(notebook):
    found = 0
    for node in ast.walk(ast.parse("\n".join(code_of(notebook)))):
        if isinstance(node, ast.ImportFrom) and node.module:
            package = node.module.partition(".")[0]
            if package in OF_COLAB:
                continue
            found += package in OURS
            module = importlib.import_module(node.module)
            for name in node.names:
                there = hasattr(module, name.name) or find_spec(f"{node.module}.{name.name}")
                assert there, f"{node.module} has no {name.name}"
    assert found


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_functions_are_called_with_arguments_that_they_have(notebook):
    tree = ast.parse("\n".join(code_of(notebook)))
    functions = {
        name.asname or name.name: getattr(importlib.import_module(node.module), name.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and node.module
        and node.module.partition(".")[0] in OURS
        for name in node.names
    }
    called = 0
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        if node.func.id in functions:
            keywords = {keyword.arg: None for keyword in node.keywords if keyword.arg}
            inspect.signature(functions[node.func.id]).bind(*node.args, **keywords)
            called += 1
    assert called


def test_a_notebook_holds_no_results():
    for notebook in NOTEBOOKS:
        for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
            assert not cell.get("outputs") and cell.get("execution_count") is None
