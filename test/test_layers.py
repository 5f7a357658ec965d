"""The plan of the rooms, enforced: who imports whom, what comes from outside, how big a part may grow."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

import recon3d_ros

PACKAGE = Path(__file__).resolve().parents[1] / "recon3d_ros"

# A module imports rooms of a LOWER rank, or its own room. `__main__` only forwards to the command line.
# A module stands in the room with the longest prefix of its name: a folder can have rooms of its own, and a
# module that others of its folder need can have its own rank.
RANKS = {
    "__main__": 11,
    "cli": 10,
    "ros.bench": 9.6,
    "ros.demo": 9.5,
    "ros.doctor": 9.5,
    "ros.viewer": 9.5,
    "ros.mapper": 9.45,
    "ros.node": 9.4,
    "ros.player": 9.4,
    "ros.output": 9.3,
    "ros.health": 9.2,
    "ros.scale": 9.1,
    "ros.bridge": 9.05,
    "ros": 9,
    "training.export": 8.5,
    "training.run": 8.4,
    "training.samples": 8.3,
    "training.config": 8.2,
    "training.losses": 8.1,
    "training": 8,
    "fleet": 7.5,
    "evaluation": 7,
    "convert": 7,
    "offline": 7,
    "mapping": 6.2,
    "pipeline": 6,
    "estimation": 5,
    "serving": 4,
    "backends": 3.2,
    "cuda": 3.1,
    "preprocess": 3,
    "filters": 3,
    "odometry": 3,
    "scale": 3,
    "datasets": 2.25,
    "datasets.stereo": 2.24,
    "datasets.rgbd": 2.23,
    "datasets.video": 2.23,
    "datasets.bags": 2.22,
    "datasets.folders": 2.22,
    "datasets.spec": 2.22,
    "datasets.index": 2.21,
    "datasets.lazy_sequence": 2.21,
    "world": 2.14,
    "world.rendering": 2.13,
    "world.scenes": 2.12,
    "world.textures": 2.11,
    "reports": 2.05,
    "messages": 2.1,
    "model_zoo": 2.05,
    "files": 2,
    "config": 2,
    "files.yaml_document": 1.91,
    "files.disk": 1.9,
    "networks": 2,
    "geometry": 1,
    "metrics": 1,
    "system": 0.1,
    "errors": 0,
    "__init__": 0,
}
# The package itself lists what one may import, by import strings and for type checkers: of the rooms up to
# the pipeline. To everybody else it is of rank 0, as it holds the version and loads nothing.
PUBLIC_RANK = 6.5
# What a room may import from outside the standard library, beyond NumPy (which all but rank 0 may use).
OUTSIDE = {
    "cli": {"argcomplete", "tqdm"},
    "ros": {"rclpy", "cv2", "yaml", "tf2_ros", "tf2_msgs", "rcl_interfaces", "rosgraph_msgs", "bond"}
    | {"builtin_interfaces", "std_msgs", "std_srvs", "sensor_msgs", "stereo_msgs", "geometry_msgs"}
    | {"nav_msgs", "visualization_msgs"}
    | {"diagnostic_msgs", "launch", "launch_ros", "ament_index_python"},
    "training": {"torch", "onnx", "cv2"},  # OpenCV, a base dependency, warps and blurs
    "convert": {"onnx", "onnxruntime"},  # whose converters it calls; executing a model is the backends' task
    "fleet": {"fsspec", "ray"},
    "evaluation": {"cv2"},  # SGBM, the yardstick, is OpenCV's
    "backends": {"onnxruntime", "openvino", "tensorrt", "tensorrt_rtx"},
    "preprocess": {"cv2"},
    "filters": {"cv2"},
    "serving": {"cv2"},  # known images at the size of the camera's
    "scale": {"cv2"},
    "cuda": {"pycuda"},
    "config": {"yaml"},
    "files": {"cv2", "yaml", "open3d"},
    "reports": {"cv2", "rerun"},  # OpenCV encodes pictures
    "model_zoo": {"cv2", "yaml"},
    "datasets": {"cv2", "yaml", "rosbags", "trimesh"},
    "networks": {"torch"},
    "world": {"cv2", "torch"},  # torch: render_batch, when a GPU draws the training pairs
    "geometry": {"cv2"},
    "odometry": {"cv2", "gtsam"},
    "mapping": {"cv2", "numba", "scipy", "skimage", "trimesh"},
    "messages": {"cv2", "cv_bridge"},  # cv_bridge, where it is installed, knows the rare encodings
}
HEAVY = (
    "rclpy",
    "torch",
    "tensorrt",
    "tensorrt_rtx",
    "onnxruntime",
    "openvino",
    "onnx",
    "pycuda",
    "open3d",
    "ray",
    "rerun",
    "rosbags",
    "gtsam",
    "tqdm",
)
BANNED_NAMES = {"utils", "util", "common", "core", "helpers", "misc"}
MAX_MODULE_LINES = 300
MAX_EXCUSED_LINES = 400  # one class or one algorithm that is one thing
MAX_FUNCTION_LINES = 40
# The one comment that lets a part grow, with its reason: "# long: one class, the state machine of ...".
EXCUSE = re.compile(r"#\s*long:\s*\S+")
IMPORT_STRING = re.compile(r"recon3d_ros(\.[A-Za-z_]\w*)+(:[A-Za-z_]\w*)?")


class Import(NamedTuple):
    """One import, by statement or by import string: who, on which line, what (dotted)."""

    importer: str
    line: int
    target: str
    called: str = ""  # the function that imports it, for lazy.require and importlib.import_module


def sources() -> list[Path]:
    """Every module of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def dotted(path: Path) -> str:
    """`.../recon3d_ros/geometry/camera.py` -> `recon3d_ros.geometry.camera`; a folder is its `__init__`."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(module: str) -> str:
    """The room of a dotted name of ours: the longest prefix that has a rank, else its first part."""
    parts = module.split(".")[1:]
    prefixes = [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
    return next((prefix for prefix in prefixes if prefix in RANKS), parts[0] if parts else "__init__")


def docstrings(tree: ast.Module) -> set[int]:
    """The ids of the string nodes that are documentation, which may name any module."""
    return {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def imports_of(path: Path) -> Iterator[Import]:
    """Yield the imports of a module: top-level, inside functions, and the import strings of tables."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    name = dotted(path)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    prose = docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(name, node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield Import(name, node.lineno, f"{base}.{alias.name}")
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = ast.unparse(node.func).rpartition(".")[2]
            if called in ("require", "import_module"):  # lazy.require("onnxruntime", extra="cpu")
                yield Import(name, node.lineno, str(node.args[0].value), called)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            if IMPORT_STRING.fullmatch(node.value):
                yield Import(name, node.lineno, node.value.replace(":", "."))


def all_imports() -> list[Import]:
    """Every import of the package."""
    return [found for path in sources() for found in imports_of(path)]


def resolve(target: str, modules: set[str]) -> str | None:
    """The longest prefix of `target` that is a module of ours (the rest is a name inside it)."""
    while target:
        if target in modules:
            return target
        target = target.rpartition(".")[0]
    return None


def test_every_module_stands_in_a_room_of_the_plan():
    unknown = sorted({room(dotted(p)) for p in sources()} - set(RANKS))
    assert not unknown, f"no rank for {unknown}: put the code into a room of RANKS, or plan a new one"
    banned = [str(p) for p in sources() if p.stem in BANNED_NAMES or p.parent.name in BANNED_NAMES]
    assert not banned, f"a name that says nothing: {banned}"


def test_the_plan_for_readers_is_the_one_that_is_enforced():
    """Every room, and every room inside one, with its rank and its libraries; single modules go without."""
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\d.]+) \| `([\w.]+)` \| .+? \| (.*?) ?\|$", page, re.MULTILINE)
    rooms = {name for name in RANKS if (PACKAGE / name.replace(".", "/")).is_dir() or "." not in name}
    ranks = {name: float(rank) for rank, name, _ in rows}
    assert ranks == {name: RANKS[name] for name in rooms if not name.startswith("__")}
    for _, name, libraries in rows:
        told = {word for word in libraries.split(", ") if word and word != "messages"}
        allowed = OUTSIDE.get(name, set())
        # the page sums up ROS's message packages, and needs not say what a vendor's second flavour is called
        assert told <= allowed if name in ("ros", "training", "backends") else told == allowed, name


def test_imports_go_down():
    wrong = []
    for found in all_imports():
        if not found.target.startswith("recon3d_ros"):
            continue
        mine, theirs = room(found.importer), room(found.target)
        rank = PUBLIC_RANK if found.importer == "recon3d_ros" else RANKS[mine]
        if theirs not in RANKS:  # `from recon3d_ros import __version__`
            theirs = "__init__"
        if mine != theirs and RANKS[theirs] >= rank:
            wrong.append(f"{found.importer}:{found.line} ({rank}) -> {found.target} ({RANKS[theirs]})")
    assert not wrong, "a module imports rooms of a lower rank only:\n" + "\n".join(wrong)


def test_nobody_here_takes_the_public_way():
    """`from recon3d_ros import Estimator` would pass by the ranks."""
    public = {f"recon3d_ros.{name}" for name in recon3d_ros.__all__} - {"recon3d_ros.__version__"}
    assert not [found for found in all_imports() if found.target in public]


def test_imports_have_no_cycle():
    """A package's `__init__` that re-exports its modules makes no cycle unless a module imports it back."""
    modules = {dotted(p) for p in sources()}
    graph: dict[str, set[str]] = {module: set() for module in modules}
    for found in all_imports():
        target = resolve(found.target, modules)
        # `from recon3d_ros.geometry import camera` needs only the module, not what the folder re-exports
        if target and target != found.importer and target != "recon3d_ros":
            graph[found.importer].add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as cycle:
        pytest.fail("imports run in a circle: " + " -> ".join(cycle.args[1]))


def test_outside_imports_stay_in_their_rooms():
    wrong = []
    for found in all_imports():
        top = found.target.partition(".")[0]
        if top in sys.stdlib_module_names or top == "recon3d_ros":
            continue
        mine = room(found.importer)
        if mine == "cli" and found.called == "require":
            continue  # a verb may say early which extra it needs
        allowed = OUTSIDE.get(mine.partition(".")[0], set()) | ({"numpy"} if RANKS[mine] > 0 else set())
        if top not in allowed:
            wrong.append(f"{found.importer}:{found.line} imports {top}")
    assert not wrong, "outside libraries belong to the rooms of OUTSIDE:\n" + "\n".join(wrong)


def is_function(node: ast.AST) -> bool:
    """Whether it is a function or method."""
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def code_lines(path: Path) -> set[int]:
    """The line numbers that carry code: no blank lines, comments or docstrings."""
    text = path.read_text(encoding="utf-8")
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in skipped:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


@pytest.mark.parametrize("path", sources(), ids=dotted)
def test_parts_stay_small(path):
    text = path.read_text(encoding="utf-8").splitlines()
    head = "\n".join(text[:20])
    most = MAX_EXCUSED_LINES if EXCUSE.search(head) else MAX_MODULE_LINES
    assert len(text) <= most, f"{path} has {len(text)} lines, at most {most}: split it where two things meet"
    carried = code_lines(path)
    for node in ast.walk(ast.parse("\n".join(text))):
        if is_function(node):
            end = node.end_lineno or node.lineno
            length = len(carried.intersection(range(node.lineno, end + 1)))
            excused = EXCUSE.search("\n".join(text[node.lineno - 2 : end]))
            assert length <= MAX_FUNCTION_LINES or excused, (
                f"{path}:{node.lineno} {node.name} has {length} lines of code, at most {MAX_FUNCTION_LINES}"
            )


@pytest.mark.parametrize("module", ["recon3d_ros", "recon3d_ros.pipeline", "recon3d_ros.cli.main"])
def test_import_loads_nothing_heavy(module):
    """In a fresh interpreter: the core and the command line's help cost no vendor library."""
    probe = f"import sys, {module}; print(' '.join(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


@pytest.mark.parametrize("path", sorted((PACKAGE / "cli").glob("*.py")), ids=dotted)
def test_verbs_import_at_the_top_what_is_always_installed(path):
    """`ros` needs rclpy, which may not be installed; torch and the like come by `lazy`."""
    functions = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if is_function(node)]
    inside = [
        node.module or ""
        for function in functions
        for node in ast.walk(function)
        if isinstance(node, ast.ImportFrom)
    ]
    assert [module for module in inside if not module.startswith("recon3d_ros.ros.")] == []


def test_the_reader_of_imports_sees_every_kind(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path / "recon3d_ros")
    module = tmp_path / "recon3d_ros" / "backends" / "fake.py"
    module.parent.mkdir(parents=True)
    module.write_text(
        "'recon3d_ros.prose.only'\n"
        "import numpy as np\n"
        "from recon3d_ros.geometry import camera\n"
        "from . import onnx\n"
        "def lazy():\n    from ..zoo import find\n    lazy.require('open3d', extra='view')\n"
        "TABLE = {'a': 'recon3d_ros.cuda.stages:Stage'}\n"
    )
    assert {found.target.removeprefix("recon3d_ros.") for found in imports_of(module)} == {
        "numpy",
        "geometry.camera",
        "backends.onnx",
        "zoo.find",
        "open3d",
        "cuda.stages.Stage",
    }


@pytest.mark.parametrize(
    "path", [p for p in sources() if room(dotted(p)) not in ("cli", "__main__")], ids=dotted
)
def test_nothing_below_the_command_line_prints_or_exits(path):
    # run_node is the whole of a node's process, and ends it where Python going down would abort it.
    allowed = ["os._exit"] if dotted(path) == "recon3d_ros.ros.bridge.runtime" else []
    calls = [
        node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)
    ]
    found = [(ast.unparse(call.func), call.lineno) for call in calls]
    leaving = [(name, line) for name, line in found if name in ("print", "sys.exit", "exit", "os._exit")]
    assert [name for name, _ in leaving] == allowed, f"{path}: {leaving}"
