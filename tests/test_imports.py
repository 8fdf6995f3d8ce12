"""Imports point one way, and nothing heavy is loaded before it is needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import compressors

ROOT = Path(__file__).parents[1]
OUTER = {"models", "compressors", "plots", "data", "scenarios", "tests", "benchmarks"}
FILES = sorted(
    path
    for folder in ("hwsim", "models", "compressors", "plots", "data", "scenarios")
    for path in (ROOT / folder).rglob("*.py")
)


def imported(tree: ast.AST) -> set[str]:
    """Full names of all that a file imports, inside functions too."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name their package in full"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return found


def imports_of(path: Path) -> set[str]:
    return imported(ast.parse(path.read_text(encoding="utf-8")))


def path_id(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_the_walk_sees_every_form_of_import() -> None:
    source = "import a.b\ndef f():\n    from c import d\nif x:\n    import e as g"
    assert imported(ast.parse(source)) == {"a.b", "c", "c.d", "e"}


def test_the_files_are_found() -> None:
    assert {"hwsim/experiment.py", "models/vgg16.py"} <= {path_id(path) for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=path_id)
def test_imports_point_one_way(path: Path) -> None:
    packages = {name.split(".")[0] for name in imports_of(path)}
    forbidden = OUTER if path.is_relative_to(ROOT / "hwsim") else {"tests", "benchmarks"}
    assert not packages & forbidden


@pytest.mark.parametrize("path", FILES, ids=path_id)
def test_nothing_imports_the_module_that_runs_as_main(path: Path) -> None:
    assert "hwsim.scenario" not in imports_of(path)


@pytest.mark.parametrize("folder", ["models", "plots", "data", "scenarios"])
def test_outer_packages_hold_a_docstring_alone(folder: str) -> None:
    body = ast.parse((ROOT / folder / "__init__.py").read_text(encoding="utf-8")).body
    assert len(body) == 1
    assert isinstance(body[0], ast.Expr)


@pytest.mark.parametrize("module", ["hwsim", "hwsim.cli", "hwsim.simulate", "hwsim.experiment"])
def test_torch_waits_until_it_is_needed(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)


def test_every_package_is_packaged() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for found in sorted({path.parent for path in FILES if path.name == "__init__.py"}):
        assert f'"{".".join(found.relative_to(ROOT).parts)}",' in text


def test_what_the_library_of_compressors_offers_is_there() -> None:
    found = ast.parse((ROOT / "compressors" / "__init__.py").read_text(encoding="utf-8"))
    typed = {name.rpartition(".")[2] for name in imported(found)} - {"TYPE_CHECKING"}
    assert {"compress", "compress_", "lower", "save", "load", "Plan"} <= set(compressors._HOMES)
    for name in compressors._HOMES:
        assert name in typed
        assert getattr(compressors, name).__doc__
