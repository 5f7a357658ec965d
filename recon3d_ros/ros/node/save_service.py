"""`~/save`: the next frame of every camera to a folder, for bug reports."""

# long: one service, from the request to the files of a frame

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import yaml
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo
from std_srvs.srv import Trigger

from recon3d_ros import files
from recon3d_ros.datasets.folders import VALID_FOLDER
from recon3d_ros.errors import OutputError, Recon3dError
from recon3d_ros.geometry import Frame, PointPacker
from recon3d_ros.pipeline import Result
from recon3d_ros.ros.bridge.pending_response import PendingResponse
from recon3d_ros.ros.node.channel import CameraChannel
from recon3d_ros.ros.scale.report import ScaleState
from recon3d_ros.system.machine import software

PATIENCE_S = 10.0
MIN_FREE_BYTES = 500_000_000
MIN_FREE_SHARE = 0.05
VARIABLES = ("ROS_DISTRO", "RMW_IMPLEMENTATION", "ROS_VERSION")


class _Request(PendingResponse):
    """One call of the service; results are added by the worker's thread, the response by the executor's."""

    def __init__(self, channels: Sequence[CameraChannel], folder: Path) -> None:
        super().__init__()
        self.channels, self.folder = channels, folder
        self.deadline = time.monotonic() + PATIENCE_S
        self._lock = Lock()
        self._paths: dict[str, str] = {}

    def add(self, channel: CameraChannel, path: str) -> None:
        """A camera's frame is written."""
        with self._lock:
            self._paths[channel.name] = path
            complete = len(self._paths) == len(self.channels)
        if complete:
            self.finish(True, ", ".join(self._paths.values()))

    def missing(self) -> list[CameraChannel]:
        """The cameras whose frames are not written yet."""
        with self._lock:
            return [channel for channel in self.channels if channel.name not in self._paths]


class SaveService:
    """Responds when the frames are written, while the executor goes on.

    Args:
        node: who offers the service.
        channels: the cameras of the active node; none while it is not active.
        folder: where to.
        parameters: what else belongs to the frame.
    """

    def __init__(
        self,
        node: Node,
        channels: Callable[[], Sequence[CameraChannel]],
        folder: Callable[[], str],
        parameters: Callable[[], dict[str, Any]],
    ) -> None:
        self._channels, self._folder, self._parameters = channels, folder, parameters
        self._request: _Request | None = None
        # A group of its own: while the response waits for a frame its group executes nothing else.
        node.create_service(Trigger, "~/save", self._on_save, callback_group=ReentrantCallbackGroup())

    async def _on_save(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        channels = self._channels()
        if self._request is not None:
            response.message = "a frame is already being saved: call again when it is done"
        elif not channels:
            response.message = "the node is not active, so there are no frames: activate it first"
        else:
            try:
                response.success, response.message = await self._save_next(channels)
            except Exception as exc:  # the seam: what leaves a service's callback ends the node
                response.message = f"cannot save a frame ({type(exc).__name__}: {exc}): check save_folder"
        return response

    async def _save_next(self, channels: Sequence[CameraChannel]) -> tuple[bool, str]:
        """Save the next frame of every camera; whether all are written, and where, or why not."""
        request = self._request = _Request(channels, Path(self._folder()).expanduser())
        try:
            for channel in channels:
                callback = partial(self._save, request, channel, self._parameters())
                channel.request_result(callback, owner=self)
            success, message = await request.future
            return success, message
        finally:
            self._request = None
            for channel in channels:
                channel.request_result(None, owner=self)

    def tick(self) -> None:
        """Give up on cameras that send nothing; the executor calls it now and then."""
        request = self._request
        if request is None:
            return
        if not self._channels():
            request.finish(False, "the node was deactivated before a frame arrived")
        elif time.monotonic() > request.deadline:
            topics = " and ".join(topic for channel in request.missing() for topic in channel.image_topics)
            request.finish(
                False,
                f"expected a frame on {topics} within {PATIENCE_S:.0f} s, got none that can be processed; "
                "see /diagnostics",
            )

    @staticmethod
    def _save(
        request: _Request,
        channel: CameraChannel,
        parameters: dict[str, Any],
        frame: Frame,
        result: Result,
    ) -> None:
        """Write one frame; in the worker's thread, whose buffers the frame and the result are."""
        folder = request.folder / channel.name if channel.name else request.folder
        try:
            path = save_frame(folder, frame, result, channel.infos, parameters)
        except Recon3dError as exc:
            request.finish(False, str(exc))
        except Exception as exc:  # the frame itself was published: no reason to count it as lost
            request.finish(False, f"{type(exc).__name__}: {exc}")
        else:
            request.add(channel, str(path))


def save_frame(
    folder: Path | str,
    frame: Frame,
    result: Result,
    infos: Sequence[CameraInfo],
    parameters: Mapping[str, Any],
) -> Path:
    """Write a frame and what became of it into a new folder, all or nothing.

    `recon3d run --input <the new folder>` computes the frame again: images and `camera.yaml` lie as it reads
    them. What the node made of it is in `result/`, all of it in the optical frame, whatever `target_frame`
    says; `camera_info` is as it came (the images are rectified).

    Args:
        folder: where the new folder goes; made when it is missing.
        frame: the rectified image or pair; the name of its frame is part of the new folder's.
        result: depth and, unless nobody wanted one, the cloud; it is made here then.
        infos: camera_info of the camera, or of left and right.
        parameters: values of the node's parameters by name.

    Returns:
        The new folder.

    Raises:
        OutputError: less than 500 MB or 5 % of the disk are free, or something cannot be written.
    """
    folder = Path(folder)
    files.make_folder(folder)
    _check_disk(folder)
    target = folder / f"{_word(frame.frame_id)}_{frame.stamp_ns}"
    try:
        # Beside the target, so that the rename stays on one disk; dotted, so that nobody takes it for done.
        draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=folder))
    except OSError as exc:
        raise _cannot_write(folder, exc) from exc
    try:
        _write_input(draft, frame)
        _write_result(draft / "result", frame, result)
        infos_text = yaml.safe_dump(_infos(infos), sort_keys=False)
        files.write_text(draft / "camera_info.yaml", infos_text)
        files.write_text(draft / "parameters.yaml", _parameter_file(parameters))
        files.write_text(draft / "versions.txt", _about(frame, result))
        return _renamed(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)  # gone already when all went well


def _check_disk(folder: Path) -> None:
    usage = shutil.disk_usage(folder)
    needed = max(MIN_FREE_BYTES, round(MIN_FREE_SHARE * usage.total))
    if usage.free < needed:
        raise OutputError(
            f"expected at least {needed / 1e6:.0f} MB free on the disk of {folder} (500 MB and 5 %), got "
            f"{usage.free / 1e6:.0f} MB: free the disk or choose another folder"
        )


def _write_input(draft: Path, frame: Frame) -> None:
    frame = frame.side_by_side  # as its calibration can be written
    name = f"{frame.stamp_ns:019d}.png"  # 19 digits: read back as a stamp in nanoseconds
    if frame.rig is None or frame.right is None:
        files.write_image(draft / name, frame.image)
        camera: dict[str, Any] = frame.camera.to_dict()
    else:
        for side, image in (("left", frame.image), ("right", frame.right)):
            files.make_folder(draft / side)
            files.write_image(draft / side / name, image)
        camera = {"left": frame.rig.left.to_dict(), "right": frame.rig.right.to_dict()}
    files.write_text(draft / "camera.yaml", yaml.safe_dump(camera, sort_keys=False))
    for side, valid in (("left", frame.valid), ("right", frame.right_valid)):
        if valid is not None:  # read with the images: what was not seen has no depth there either
            files.make_folder(draft / VALID_FOLDER)
            files.write_image(draft / VALID_FOLDER / f"{side}.png", valid.astype(np.uint8) * 255)


def _write_result(folder: Path, frame: Frame, result: Result) -> None:
    files.make_folder(folder)
    depth_map = result.depth_map
    files.write_depth_png16(folder / "depth.png", depth_map.depth)
    planes = {name: getattr(depth_map, name) for name in ("depth", "disparity", "confidence", "sigma_m")}
    for name, plane in planes.items():
        if plane is not None:
            files.write_pfm(folder / f"{name}.pfm", plane)
    colours = files.colour_depth(depth_map.depth, *files.colour_limits(depth_map.depth))
    files.write_image(folder / "depth_colour.png", colours)
    cloud = result.cloud
    if cloud is None:
        cloud = replace(
            PointPacker(depth_map.camera).pack(depth_map.depth, frame.image), frame_id=frame.frame_id
        )
    files.write_ply(folder / "cloud.ply", cloud)


def _infos(infos: Sequence[CameraInfo]) -> dict[str, Any]:
    """All of the messages, unchecked: what is wrong with them may be the bug."""
    names = ("left", "right") if len(infos) == 2 else ("camera",)
    return {
        name: {
            "frame_id": info.header.frame_id,
            "stamp_ns": int(info.header.stamp.sec) * 1_000_000_000 + int(info.header.stamp.nanosec),
            "width": info.width,
            "height": info.height,
            "distortion_model": info.distortion_model,
            **{key: [float(value) for value in getattr(info, key)] for key in "dkrp"},
            "binning": [info.binning_x, info.binning_y],
            "roi": [info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height],
        }
        for name, info in zip(names, infos)
    }


def _parameter_file(parameters: Mapping[str, Any]) -> str:
    """A file for --params-file, where a list without items has no type: it is left out."""
    values = {name: _plain(value) for name, value in parameters.items()}
    values = {name: value for name, value in values.items() if value != []}
    return yaml.safe_dump({"/**": {"ros__parameters": values}}, sort_keys=False)


def _about(frame: Frame, result: Result) -> str:
    lines = {
        "saved": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "stamp_ns": str(frame.stamp_ns),
        "frame_id": frame.frame_id,
        **{f"{stage}_ms": f"{value:.2f}" for stage, value in result.timings_ms.items()},
        **(ScaleState(result.scale).values() if result.scale is not None else {}),
        **software(),
        **{name: os.environ[name] for name in VARIABLES if os.environ.get(name)},
    }
    return "".join(f"{key}: {value}\n" for key, value in lines.items())


def _renamed(draft: Path, target: Path) -> Path:
    # mkdtemp makes folders that only their owner opens; a bug report is made to be passed on.
    try:
        draft.chmod(0o755)
        number = 1
        while True:
            place = target if number == 1 else target.with_name(f"{target.name}_{number}")
            if not place.exists():
                return draft.rename(place)
            number += 1
    except OSError as exc:
        raise _cannot_write(target, exc) from exc


def _cannot_write(path: Path, exc: OSError) -> OutputError:
    return OutputError(f"cannot write {path} ({exc.strerror}): free the disk or choose another place")


def _word(frame_id: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", frame_id).strip("_") or "frame"


def _plain(value: Any) -> Any:
    """A value as YAML knows it: ROS parameter arrays become lists."""
    if isinstance(value, (bool, int, float, str)) or value is None:
        return value
    return [_plain(item) for item in value]
