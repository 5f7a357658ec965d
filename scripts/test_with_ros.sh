#!/usr/bin/env bash
# Run all tests in containers with a ROS 2 from apt: with launch, launch_ros and tf2, which the wheels do not have.
#
#   scripts/test_with_ros.sh [humble] [jazzy] [rolling] [-- PYTEST ARGUMENTS]
#
# Without names: Humble, Jazzy and Rolling, one after the other. Each is built with colcon and tested with `colcon test`
# in a copy of this checkout, so that nothing is left behind in it. Exit code: the number of distributions that failed.
#
# Needs docker (or DOCKER=podman) and a network for the image, apt, rosdep and pip. RECON3D_DATA=folder adds the tests
# with real images. The authors have checked this script with shellcheck and have not run it: they have no docker.
set -euo pipefail

docker=${DOCKER:-docker}
checkout=$(cd "$(dirname "$0")/.." && pwd)
distros=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    case $1 in
    humble | jazzy | kilted | rolling) distros+=("$1") ;;
    *)
        echo "expected humble, jazzy, kilted or rolling, got $1: see the first lines of $0" >&2
        exit 64
        ;;
    esac
    shift
done
[ $# -eq 0 ] || shift
[ ${#distros[@]} -gt 0 ] || distros=(humble jazzy rolling)

if ! command -v "$docker" >/dev/null; then
    echo "expected the command $docker, got none: install docker, or set DOCKER=podman" >&2
    exit 69
fi

# In the container: $1 is the distribution, the rest goes to pytest.
inside=$(
    cat <<'EOF'
set -eo pipefail
export PIP_BREAK_SYSTEM_PACKAGES=1 DEBIAN_FRONTEND=noninteractive  # the container is the environment (PEP 668)
distro=$1
shift
apt-get update -qq
apt-get install -qq -y --no-install-recommends python3-pip python3-colcon-common-extensions libgl1 libgomp1 >/dev/null
mkdir -p /ws/src/recon3d_ros
tar -C /checkout --exclude='./.venv*' --exclude=./.git --exclude=./out --exclude=./build --exclude=./install -cf - . |
    tar -C /ws/src/recon3d_ros -xf -
cd /ws
rosdep update --rosdistro "$distro" >/dev/null
rosdep install --from-paths src --ignore-src -y
# The message packages of Humble to Kilted are compiled for NumPy 1.
numpy=$([ "$distro" = rolling ] && echo "numpy" || echo "numpy<2")
python3 -m pip install -q "$numpy" "onnxruntime>=1.18" "onnx>=1.16" "rosbags>=0.11" "argcomplete>=3" "tqdm>=4.57"
. "/opt/ros/$distro/setup.bash"
colcon build --packages-select recon3d_ros
. install/setup.bash
colcon test --packages-select recon3d_ros --event-handlers console_direct+ --pytest-args -m "not slow" "$@"
# Exit 0 with no test at all would pass for success.
colcon test-result --all | tee result.txt
grep -Eq 'Summary: [1-9][0-9]* tests, 0 errors, 0 failures' result.txt
EOF
)

failed=()
for distro in "${distros[@]}"; do
    echo "== ROS 2 $distro"
    options=(--rm --shm-size=1g --volume "$checkout:/checkout:ro")
    if [ -n "${RECON3D_DATA:-}" ]; then
        options+=(--volume "$RECON3D_DATA:/data:ro" --env RECON3D_DATA=/data)
    fi
    "$docker" run "${options[@]}" "ros:$distro-ros-base" bash -c "$inside" inside "$distro" "$@" || failed+=("$distro")
done
echo "failed: ${failed[*]:-none of ${distros[*]}}"
exit ${#failed[@]}
