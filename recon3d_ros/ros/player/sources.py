"""What `image_source` can play, all in one form: a camera and a run of shots. Needs no ROS."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recon3d_ros.config.source import SourceConfig
from recon3d_ros.datasets import RawImages, VideoImages, euroc_raw, folder_images, is_euroc
from recon3d_ros.datasets.lazy_sequence import LazySequence
from recon3d_ros.datasets.video import UnreadFramesError, webcam_index
from recon3d_ros.errors import DataError, ImageError, Recon3dError
from recon3d_ros.geometry import (
    PinholeCamera,
    StereoRig,
    exchanges_sides,
    split_views,
    upright,
    upright_camera,
)
from recon3d_ros.ros.player.source_cameras import camera_of_folder, camera_of_video, check_images
from recon3d_ros.system.machine import usable_cores

log = logging.getLogger(__name__)

WORLD_KINDS = {"world": "indoor", "world_indoor": "indoor", "world_outdoor": "outdoor"}
WORLD_RATE_HZ = 10.0
FOLDER_RATE_HZ = 10.0
REPORT_PERIOD_S = 1.0


class Shot(NamedTuple):
    """One moment: (H, W, 3) RGB or (H, W) mono uint8 images, (H, W) float32 m truth of the left one.

    `stamp_ns` is None where the image is as old as its publication (everything recorded or rendered).
    """

    left: np.ndarray
    right: np.ndarray | None = None
    truth: np.ndarray | None = None
    stamp_ns: int | None = None


@dataclass(frozen=True)
class Source:
    """An opened source.

    Attributes:
        camera: of the images as they are published, raw or rectified; a StereoRig for pairs.
        rate_hz: its own rate.
        live: images come when they come; only the newest counts.
        shots: runs through it once (a webcam or world: without end). An image that cannot be read comes
            as its error, the next one follows.
    """

    camera: PinholeCamera | StereoRig
    rate_hz: float
    live: bool
    shots: Callable[[], Iterator[Shot | Recon3dError]]


def open_source(config: SourceConfig, report: Callable[[str], None] = lambda line: None) -> Source:
    """Open what `config.source` names.

    Args:
        config: see there.
        report: takes a line now and then while something lengthy is prepared.

    Raises:
        DataError: there is no such thing, or it holds nothing.
        CalibrationError: no camera, or one that does not fit the images.
    """
    path = Path(config.source)
    if config.source in WORLD_KINDS:
        source = _world(config, report)
    elif path.is_dir() and is_euroc(path):
        rig, images = euroc_raw(path)
        source = _images(images, rig, _rate_of(images))
    elif path.is_dir():
        images = folder_images(path, layout=config.layout)
        camera, shown = _turned_upright(images, camera_of_folder(config, images[0], path))
        source = _images(shown, camera, _rate_of(images))
    elif path.is_file() or webcam_index(config.source) is not None:
        source = _video(config)
    else:
        raise DataError(
            "expected world, a folder, a video file, a webcam index or its device to play, found no "
            f"{config.source}: check the path"
        )
    return _left_alone(source) if config.mono else source


def repeated(source: Source, loop: bool) -> Iterator[Shot | Recon3dError]:
    """Run through the source, again and again if `loop`.

    Raises:
        Recon3dError: a whole run gave no image; the last error says why.
    """
    while True:
        good, last = 0, None
        for shot in source.shots():
            last = shot if isinstance(shot, Recon3dError) else last
            good += last is not shot
            yield shot
        if not good and last is not None:
            raise last
        if not loop:
            return


def _images(images: Sequence[RawImages], camera: PinholeCamera | StereoRig, rate_hz: float) -> Source:
    def shots() -> Iterator[Shot | Recon3dError]:
        for i in range(len(images)):
            try:
                raw = images[i]
                check_images(camera, raw)
                yield Shot(raw.left, raw.right)
            except (DataError, ImageError) as exc:  # one bad file; a camera of another size fits no file
                yield exc

    check_images(camera, images[0])
    return Source(camera, rate_hz, False, shots)


def _turned_upright(
    images: Sequence[RawImages], camera: PinholeCamera | StereoRig
) -> tuple[PinholeCamera | StereoRig, Sequence[RawImages]]:
    """Photographs as they are to be shown, with their camera; a video comes so from its reader.

    A calibration is of the stored pixels and turns with them, unless only the upright image has its size.
    The polynomials of a distorted lens do not turn: such images are published as they are stored.
    """
    first = images[0]
    if first.orientation == 1 or isinstance(camera, StereoRig):
        return camera, images
    stored_wh = first.left.shape[1::-1]
    if camera.image_size_wh != stored_wh and exchanges_sides(first.orientation):
        turned = camera
    elif camera.rectified or not np.any(camera.d):
        turned = upright_camera(camera.as_rectified(), first.orientation)
    else:
        log.warning(
            "expected an undistorted camera for photographs that are to be turned (EXIF orientation %d), got "
            "distortion: publishing them as they are stored",
            first.orientation,
        )
        return camera, images

    def load(i: int) -> RawImages:
        raw = images[i]
        if raw.orientation != first.orientation:
            raise ImageError(
                f"expected the EXIF orientation {first.orientation} of the first image, got "
                f"{raw.orientation} in image {i}: turn it, one camera_info holds for all"
            )
        return raw._replace(left=upright(raw.left, raw.orientation), orientation=1)

    return turned, LazySequence(range(len(images)), load)


def _video(config: SourceConfig) -> Source:
    video = VideoImages(config.source)
    rate_hz, live = video.rate_hz, video.live
    try:
        camera = camera_of_video(config, video.size_wh)
    except Recon3dError:
        video.close()  # a webcam that is open still cannot be opened by who tries with a calibration
        raise

    def shots() -> Iterator[Shot | Recon3dError]:
        nonlocal video
        try:
            for raw in video:
                if isinstance(camera, StereoRig):
                    left, right = split_views(raw.left, config.layout)
                    raw = raw._replace(left=left, right=right)
                check_images(camera, raw)
                yield Shot(raw.left, raw.right, stamp_ns=raw.stamp_ns if live else None)
        except UnreadFramesError as exc:
            yield exc
        video.close()
        video = VideoImages(config.source)  # for the next run

    return Source(camera, rate_hz, live, shots)


def _world(config: SourceConfig, report: Callable[[str], None]) -> Source:
    from recon3d_ros.world import WorldCamera  # its textures take a second, which no other source shall wait

    camera = WorldCamera(
        seed=config.world_seed,
        kind=WORLD_KINDS[config.source],
        size_wh=(config.width, config.height),
        rate_hz=config.rate_hz or WORLD_RATE_HZ,
        loop_frames=config.world_frames,
    )

    def render(i: int) -> Shot:
        sample = camera.sample(i)
        return Shot(sample.frame.image, sample.frame.right, sample.depth)

    def shots() -> Iterator[Shot | Recon3dError]:
        frames: list[Shot] = []
        said_s = -math.inf
        workers = min(4, usable_cores())
        with ThreadPoolExecutor(workers) as pool:
            # Few at a time: at exit Python waits for what the pool has begun.
            for first in range(0, config.world_frames, workers):
                if time.monotonic() - said_s > REPORT_PERIOD_S:
                    said_s = time.monotonic()
                    report(f"rendering the world: {first} of {config.world_frames} frames")
                frames += pool.map(render, range(first, min(first + workers, config.world_frames)))
        report(f"rendered the world: {len(frames)} frames")
        while True:  # the camera's path is closed
            yield from frames

    return Source(camera.rig, WORLD_RATE_HZ, False, shots)


def _left_alone(source: Source) -> Source:
    if not isinstance(source.camera, StereoRig):
        return source

    def shots() -> Iterator[Shot | Recon3dError]:
        for shot in source.shots():
            yield shot if isinstance(shot, Recon3dError) else shot._replace(right=None)

    return Source(source.camera.left, source.rate_hz, source.live, shots)


def _rate_of(images: Sequence[RawImages]) -> float:
    """The rate by the stamps of the first two frames, which is the recording's where names are stamps."""
    try:
        gap_ns = images[1].stamp_ns - images[0].stamp_ns
    except (IndexError, DataError, ImageError):  # a single image, or a bad one, reported when its turn comes
        return FOLDER_RATE_HZ
    return 1e9 / gap_ns if gap_ns > 0 else FOLDER_RATE_HZ
