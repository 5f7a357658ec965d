"""The command line's frame: verbs, help, exit codes and the one-sentence errors."""

from __future__ import annotations

import importlib
import logging
import os
import re
import shlex
import signal
import subprocess
import sys
import types

import pytest

from recon3d_ros import errors
from recon3d_ros.cli import main as cli
from recon3d_ros.files import write_atomically


@pytest.fixture
def verb(monkeypatch):
    """A verb `probe` whose behaviour each test sets through `verb.action`."""
    module = types.ModuleType("recon3d_test_verb")
    module.HELP = "probe the command line"
    module.add_arguments = lambda parser: parser.add_argument("--number", type=int, default=1)
    module.main = lambda args: module.action(args)
    module.action = lambda args: 0
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(cli.VERBS, "probe", cli.Verb(module.__name__, "probe"))
    return module


def test_arguments_and_exit_code_reach_the_shell(verb):
    verb.action = lambda args: args.number
    assert cli.main(["probe", "--number", "42"]) == 42
    assert cli.main(["probe"]) == 1


def _error_classes():
    found = [errors.Recon3dError]
    for cls in found:
        found.extend(cls.__subclasses__())
    return found


@pytest.mark.parametrize("error", _error_classes(), ids=lambda cls: cls.__name__)
def test_every_error_is_one_sentence_on_stderr_with_its_exit_code(verb, capsys, error):
    def fail(args):
        raise error("expected a depth,\n  got a colour: pass --depth")

    verb.action = fail
    assert cli.main(["probe"]) == error.exit_code != 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "recon3d: error: expected a depth, got a colour: pass --depth\n"


def test_the_log_goes_to_the_terminal_beside_a_progress_bar(verb, capsys):
    log = logging.getLogger("recon3d_ros.backends.engine_store")

    def work(args):
        from tqdm import tqdm

        with tqdm(total=2, file=sys.stderr):
            log.info("step 1\nof 2")
            log.warning("the disk\n is full")
        log.debug("nobody wants to know")
        return 0

    verb.action = work
    assert cli.main(["probe"]) == 0
    log.warning("after the verb")
    out, err = capsys.readouterr()
    assert out == "step 1\nof 2\n"
    assert "\nrecon3d: warning: the disk is full\n" in err.replace("\r", "\n") and "after the verb" not in err


def test_a_bug_is_not_dressed_up_as_an_error(verb):
    def crash(args):
        raise ZeroDivisionError

    verb.action = crash
    with pytest.raises(ZeroDivisionError):
        cli.main(["probe"])


def test_what_the_operating_system_refuses_is_one_sentence(verb, capsys):
    def refused(args):
        print("what was done so far")
        open("x" * 300)

    verb.action = refused
    assert cli.main(["probe"]) == errors.Recon3dError.exit_code
    out, err = capsys.readouterr()
    assert out == "what was done so far\n"
    assert err.startswith("recon3d: error: ") and "too long" in err and err.count("\n") == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_behind_stdout_is_one_sentence():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "recon3d_ros", "models"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert "No space left" in done.stderr and "Traceback" not in done.stderr
    assert done.returncode == errors.Recon3dError.exit_code


def test_interrupt_gives_130_without_a_traceback(verb, capsys):
    def interrupted(args):
        raise KeyboardInterrupt

    verb.action = interrupted
    assert cli.main(["probe"]) == 130
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_a_file_is_written_leaves_no_draft(verb, tmp_path, monkeypatch, number):
    former = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # who runs the tests may have it ignored
    monkeypatch.setattr("os.replace", lambda *_: signal.raise_signal(number))
    verb.action = lambda args: write_atomically(tmp_path / "out.ply", b"half")
    try:
        assert cli.main(["probe"]) == 130
    finally:
        signal.signal(signal.SIGHUP, former)
    assert list(tmp_path.iterdir()) == []


def test_a_closed_stdout_is_no_error():
    command = f"exec {shlex.quote(sys.executable)} -m recon3d_ros models >&-"
    done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_names_that_are_not_utf8_and_terminals_that_are_not(tmp_path):
    (tmp_path / "talking_verb.py").write_text(
        "HELP = 'talk'\n"
        "def add_arguments(parser): parser.add_argument('file')\n"
        "def main(args):\n"
        "    print(args.file, '20 \\N{DEGREE SIGN}C')\n"
        "    return 0\n"
    )
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from recon3d_ros.cli import main as cli\n"
        "cli.VERBS['talk'] = cli.Verb('talking_verb', 'talk')\n"
        "sys.exit(cli.main(['talk', *sys.argv[1:]]))\n"
    )
    for encoding, degree in (("utf-8:strict", "\N{DEGREE SIGN}"), ("ascii:strict", "\\xb0")):
        done = subprocess.run(
            [sys.executable, "-c", code, b"caf\xe9.png"],
            capture_output=True,
            timeout=60,
            env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "1"},
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.decode() == f"caf\\udce9.png 20 {degree}C\n"


def test_alone_it_shows_every_verb_in_a_group(capsys):
    with pytest.raises(SystemExit) as exit_info:
        cli.main([])
    text = capsys.readouterr().err
    assert exit_info.value.code == 2
    assert [line.split()[0] for line in text.splitlines() if line.startswith("    ")] == list(cli.VERBS)
    assert all(f"{title}:" in text.splitlines() for title in cli.GROUPS.values())
    assert cli.GROUPS.keys() <= cli.VERBS.keys() and next(iter(cli.VERBS)) in cli.GROUPS


@pytest.mark.parametrize("words", [[], ["no_such_verb"], ["probe", "--number", "many"]])
def test_wrong_words_exit_with_2(verb, capsys, words):
    with pytest.raises(SystemExit) as exit_info:
        cli.main(words)
    assert exit_info.value.code == 2
    assert "usage: recon3d" in capsys.readouterr().err


def test_an_abbreviation_is_no_flag(verb, capsys):
    assert cli.main(["probe", "--num", "3"]) == 2
    assert "got --num 3; the nearest is --number: see recon3d probe --help" in capsys.readouterr().err


def test_help_of_a_verb_shows_its_text(verb, capsys):
    with pytest.raises(SystemExit) as exit_info:
        cli.main(["probe", "--help"])
    assert exit_info.value.code == 0
    assert "probe the command line" in capsys.readouterr().out


def _run(code: str, **kwargs) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, **kwargs)


def test_help_lists_every_verb_and_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from recon3d_ros.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'cv2', 'torch', 'rclpy', 'onnxruntime', 'yaml'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = _run(code)
    assert done.returncode == 0, done.stderr
    for name in cli.VERBS:
        assert re.search(rf"^    {name}\s+\S", done.stdout, re.MULTILINE)


def test_a_reader_that_leaves_early_causes_no_noise(tmp_path):
    (tmp_path / "chatty_verb.py").write_text(
        "HELP = 'talk'\n"
        "def add_arguments(parser): pass\n"
        "def main(args):\n"
        "    for i in range(100000): print('line', i)\n"
        "    return 0\n"
    )
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from recon3d_ros.cli import main as cli\n"
        "cli.VERBS['chatty'] = cli.Verb('chatty_verb', 'talk')\n"
        "sys.exit(cli.main(['chatty']))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "line 0\n"
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(timeout=60) == cli.BROKEN_PIPE
    process.stderr.close()


def test_python_dash_m_is_the_same_command():
    done = subprocess.run(
        [sys.executable, "-m", "recon3d_ros", "--version"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout[:8]) == (0, "recon3d ")


@pytest.mark.parametrize("name", cli.VERBS)
def test_every_verb_of_the_table_has_the_three_parts(name):
    module = importlib.import_module(cli.VERBS[name].module)
    assert isinstance(module.HELP, str) and module.HELP
    assert callable(module.add_arguments) and callable(module.main)


@pytest.mark.parametrize(
    ("word", "nearest"), [("--baselin-m", "--baseline-m"), ("--baseline", "--baseline-m"), ("left.png", None)]
)
def test_words_that_a_verb_does_not_take_are_named_with_the_nearest_flag(word, nearest, capsys):
    assert cli.main(["run", word, "0.5", "--out", "out"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"recon3d: error: expected arguments that run has, got {word}")
    assert said.count("\n") == 1 and (f"the nearest is {nearest}" in said) == (nearest is not None)
