#!/bin/bash
# Find what pip cannot bring: Python's venv module and the graphics libraries that draw the cloud's picture.
# Missing ones are installed with apt-get where that is allowed (root, or sudo without a password);
# elsewhere one message names them. Usage: system_packages.sh [python [program ...]]; a program that is missing is
# installed with the package of its name.
set -u
python=${1:-python3}

say() { echo "recon3d_ros: $*" >&2; }

if ! command -v "$python" >/dev/null; then
    say "$python is not there: install Python 3.10 or newer, or name yours (make PYTHON=/path/to/python3)"
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    say "expected Python 3.10 or newer, got $("$python" -V): name another one (make PYTHON=/path/to/python3)"
    exit 1
fi

# The interpreter answers for the libraries too, so this works wherever the loader's cache is out of reach.
missing=$("$python" - <<'PROBE'
import ctypes
import glob
import importlib.util
import sys

libraries = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libgomp.so.1": "libgomp1",
    "libX11.so.6": "libx11-6",
    "libusb-1.0.so.0": "libusb-1.0-0",
    "libvulkan.so.1": "libvulkan1",
}
missing = []
if importlib.util.find_spec("ensurepip") is None:
    # Debian splits ensurepip off; its package carries the version of the interpreter
    missing.append("python{}.{}-venv".format(*sys.version_info))
for library, package in libraries.items():
    try:
        ctypes.CDLL(library)
    except OSError:
        missing.append(package)
if not glob.glob("/usr/share/vulkan/icd.d/*.json") + glob.glob("/etc/vulkan/icd.d/*.json"):
    missing.append("mesa-vulkan-drivers")
print(*missing)
PROBE
) || exit 1
for program in "${@:2}"; do
    command -v "$program" >/dev/null || missing="$missing $program"
done
[ -z "$missing" ] && exit 0

if [ "$(id -u)" = 0 ]; then
    root=()
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    root=(sudo -n)
else
    root=(none)
fi
if [ "${root[0]:-}" = none ] || ! command -v apt-get >/dev/null; then
    say "system packages are missing and cannot be installed from here; install them, then run make again:"
    say "    sudo apt-get install $missing"
    exit 1
fi

say "installing $missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086 # one word per package
if ! { "${root[@]}" apt-get update -q &&
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing; } \
    >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    say "apt-get could not install $missing (its last words are above): install them and run make again"
    exit 1
fi
