"""The poses of a camera from a file that is named, or that lies beside its images, or in their bag."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from recon3d_ros.datasets.bags.reader import Bag, is_bag
from recon3d_ros.datasets.rgbd.bags import find_topics
from recon3d_ros.datasets.stereo.euroc import euroc_raw, is_euroc
from recon3d_ros.errors import ConfigError
from recon3d_ros.files.camera_document import read_document
from recon3d_ros.mapping.trajectory import Trajectory
from recon3d_ros.mapping.trajectory_files import read_trajectory
from recon3d_ros.offline.bag_poses import poses_in_bag

# Poses that lie beside the images of a folder.
POSES_INSIDE = ("groundtruth.txt", "poses.txt", "transforms.json", "body_poses.txt")


def given_poses(
    place: Path, file: str, of: str, fixed_frame: str = "", topics: Sequence[str] = ()
) -> Trajectory | None:
    """The poses of the rectified (left) optical frame; None = there are none.

    Args:
        place: Of the images.
        file: Of the poses, or a folder; empty = what lies beside the images, or in their bag.
        of: "camera" or "body"; empty = as the file's kind has it.
        fixed_frame: In which the poses of a bag are wanted, see `poses_in_bag`.
        topics: Of a bag, see `find_topics`.

    Raises:
        ConfigError: Poses of a body whose camera is not known, a frame for others than those of a bag, or
            `of` for those, which are the camera's.
        DataError: It is no file of poses.
    """
    if not file and is_bag(place):
        if of:
            raise ConfigError(
                "expected --poses-of with --poses, got it with a bag's own poses, which are those of the "
                "camera: leave it out"
            )
        with Bag(place) as bag:
            return poses_in_bag(bag, find_topics(bag, topics).image, fixed_frame)
    if fixed_frame:
        raise ConfigError("expected --fixed-frame with a bag and without --poses, got another: leave it out")
    if file:
        path = Path(file)
    else:
        inside = [place / name for name in POSES_INSIDE if (place / name).is_file()]
        if not inside and place.is_dir() and any(place.glob("*.pose.txt")):
            inside = [place]
        if not inside:
            return None
        path = inside[0]
    trajectory = read_trajectory(path)
    of_body = of == "body" or (not of and (path.suffix == ".csv" or path.name == "body_poses.txt"))
    if is_euroc(place):
        rig, _ = euroc_raw(place)
        turned = np.eye(4)
        turned[:3, :3] = rig.left.r.T  # from the rectified to the raw camera
        return trajectory.of_sensor((_body_from_camera(place) if of_body else np.eye(4)) @ turned)
    if of_body:
        raise ConfigError(
            "expected poses of the camera, got those of a body without a EuRoC recording that has T_BS: "
            "convert them, or give --poses-of camera"
        )
    return trajectory


def _body_from_camera(place: Path) -> np.ndarray:
    files = (place / "cam0.yaml", place / "cam0" / "sensor.yaml", place / "mav0" / "cam0" / "sensor.yaml")
    document = read_document(next(file for file in files if file.is_file()))
    return np.array(document["T_BS"]["data"], np.float64).reshape(4, 4)
