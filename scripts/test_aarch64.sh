#!/usr/bin/env bash
# Run the tests on emulated aarch64, without ROS and without a GPU: what a Jetson's processor computes, not how fast.
#
#   scripts/test_aarch64.sh [PYTEST ARGUMENTS]
#
# Without arguments: the tests of everything that computes. The first run makes a Debian for arm64 (debootstrap) and
# installs the wheels for aarch64 in it, about 3 GB in AARCH64_ROOT (~/.cache/recon3d_ros/aarch64); later runs start
# with the tests. They take hours: the emulation is 10 to 30 times slower. JOBS=4 is the number of processes,
# RECON3D_DATA=folder adds the tests with real images. Exit code: that of pytest.
#
# Needs root (chroot, binfmt_misc), and from Debian or Ubuntu: debootstrap, qemu-user-static.
set -euo pipefail

checkout=$(cd "$(dirname "$0")/.." && pwd)
root=${AARCH64_ROOT:-${XDG_CACHE_HOME:-$HOME/.cache}/recon3d_ros/aarch64}
jobs=${JOBS:-$(nproc)}
formats=/proc/sys/fs/binfmt_misc

say() { echo "recon3d_ros: $*" >&2; }

if [ "$(id -u)" != 0 ]; then
    say "expected root, got user $(id -un): run it with sudo -E, because chroot and debootstrap need it"
    exit 77
fi
for program in debootstrap qemu-aarch64-static; do
    if ! command -v "$program" >/dev/null; then
        say "expected the command $program, got none: apt-get install debootstrap qemu-user-static"
        exit 69
    fi
done

# The kernel hands programs for aarch64 to qemu; F: it opens qemu now, so that the chroot needs no copy. Where a
# package has not registered it already, it is registered for this run.
if [ "$(uname -m)" != aarch64 ] && ! grep -qs enabled "$formats"/qemu-aarch64*; then
    [ -e "$formats/register" ] || mount -t binfmt_misc none "$formats"
    magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
    mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
    echo ":qemu-aarch64-recon3d:M::$magic:$mask:$(command -v qemu-aarch64-static):F" >"$formats/register"
    trap 'echo -1 >"$formats/qemu-aarch64-recon3d"' EXIT
fi

if [ ! -e "$root/.debian" ]; then
    if [ -n "$(ls -A "$root" 2>/dev/null)" ] && [ ! -e "$root/.unfinished" ]; then
        say "expected an empty folder or none, got $root: name another one in AARCH64_ROOT"
        exit 73
    fi
    say "making a Debian for arm64 in $root"
    rm -rf --one-file-system "$root"
    mkdir -p "$root"
    touch "$root/.unfinished"
    unshare --mount debootstrap --arch=arm64 --variant=minbase --include=ca-certificates,python3,python3-venv,libgomp1 \
        bookworm "$root" >"$root.log" 2>&1 || { tail -n 5 "$root.log" >&2; exit 1; }
    touch "$root/.debian"
fi

# A copy of what git knows, with uncommitted changes: the tests leave nothing behind in the checkout.
rm -rf --one-file-system "$root/src"
mkdir -p "$root/src" "$root/data"
git -C "$checkout" ls-files -z --cached --others --exclude-standard |
    (cd "$checkout" && xargs -0 ls -d 2>/dev/null | tar -cf - -T -) | tar -C "$root/src" -xf -
# The network is this computer's, with its certificates.
for file in /etc/resolv.conf /etc/ssl/certs/ca-certificates.crt; do
    [ ! -e "$file" ] || cp "$file" "$root$file"
done

# In the chroot. What it and debootstrap mount ends with their namespaces, however they end.
inside=$(
    cat <<'INSIDE'
set -euo pipefail
cd /src
export LC_ALL=C.UTF-8 OMP_NUM_THREADS=1 HOME=/root
# ONNX Runtime from 1.29 on dies of SIGSEGV when qemu 7.2 imports it; 1.26 does not.
wheels=('.[cpu,bags,convert,mapping,fast,test]' 'onnxruntime<1.27' pytest-xdist)
wanted="$(sha256sum setup.py) ${wheels[*]}"
if [ "$(cat /venv/.wanted 2>/dev/null)" != "$wanted" ]; then
    echo "recon3d_ros: installing the wheels for $(uname -m)" >&2
    [ -e /venv ] || python3 -m venv /venv
    /venv/bin/python -m pip install -qq --disable-pip-version-check --editable "${wheels[@]}"
    echo "$wanted" >/venv/.wanted
fi
# OpenVINO lies beside, as in `make test`: where it can be imported, auto is decided by a measurement.
if [ ! -e /openvino/.wanted ]; then
    /venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps --target /openvino openvino
    touch /openvino/.wanted
fi
# Emulated, a test takes up to 30 times as long.
options=(-q -r fE -o timeout=6000 --numprocesses="$JOBS" --dist=loadfile)
if [ $# != 0 ]; then
    exec /venv/bin/python -m pytest "${options[@]}" "$@"
fi
failed=0
/venv/bin/python -m pytest "${options[@]}" $TESTS || failed=$?
PYTHONPATH=/openvino /venv/bin/python -m pytest "${options[@]}" $OPENVINO_TESTS || failed=$?
exit $failed
INSIDE
)

tests=$(echo test/{geometry,filters,messages,files,scale,preprocess,model_zoo,config,backends,serving,estimation,mapping} \
    test/{odometry,test_pipeline.py,test_metrics.py,test_shipped_model.py,test_public_api.py})
openvino_tests=$(make -s -C "$checkout" --eval 'print: ; @echo $(OPENVINO_TESTS)' print)
[ -z "${RECON3D_DATA:-}" ] || export RECON3D_DATA
export AARCH64_ROOT=$root JOBS=$jobs INSIDE=$inside TESTS=$tests OPENVINO_TESTS=$openvino_tests
unshare --mount bash -euo pipefail -c '
    for folder in proc sys dev dev/shm; do mount --rbind "/$folder" "$AARCH64_ROOT/$folder" 2>/dev/null || true; done
    if [ -n "${RECON3D_DATA:-}" ]; then
        mount --bind "$RECON3D_DATA" "$AARCH64_ROOT/data"
        export RECON3D_DATA=/data
    fi
    exec chroot "$AARCH64_ROOT" /bin/bash -c "$INSIDE" inside "$@"' outside "$@"
