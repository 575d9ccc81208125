import ast
import subprocess
import sys
from pathlib import Path

import pkakey_engine

SOURCE = Path(pkakey_engine.__file__).parent
FOREIGN = ("django", "rest_framework", "psycopg", "celery", "redis", "httpx", "wagtail")
MODULES = sorted(
    ".".join(("pkakey_engine", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(
        ".__init__"
    )
    for path in SOURCE.rglob("*.py")
)


def test_the_whole_engine_imports_without_any_framework() -> None:
    # In a process of its own: what other tests have imported must not show.
    program = (
        f"import importlib, sys\n"
        f"for name in {MODULES!r}: importlib.import_module(name)\n"
        f"found = sorted({{m.partition('.')[0] for m in sys.modules}} & set({FOREIGN!r}))\n"
        f"sys.exit(' '.join(found) or 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert len(MODULES) > 25


def test_the_engine_imports_only_the_standard_library_and_its_two_libraries() -> None:
    allowed = {*sys.stdlib_module_names, "cryptography", "idna", "pkakey_engine"}
    allowed -= {"socket", "subprocess", "sqlite3", "urllib.request", "http", "ssl", "asyncio"}
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                assert name.partition(".")[0] in allowed, f"{path.name} imports {name}"
                assert name != "urllib.request"


def test_no_clock_is_read_in_the_engine() -> None:
    clocks = {"now", "utcnow", "today", "time_ns", "monotonic", "perf_counter"}
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                assert node.func.attr not in clocks, f"{path.name}:{node.lineno}"
