#!/bin/bash
# Make ROS and the workspace known to what the container runs.
set -e
for setup in "/opt/ros/${ROS_DISTRO}/install/setup.bash" "/opt/ros/${ROS_DISTRO}/setup.bash" /ws/install/setup.bash; do
    if [ -f "$setup" ]; then
        # shellcheck disable=SC1090 # its place depends on the image
        source "$setup"
    fi
done
exec "$@"
