"""Options of `recon3d process`: which topics of a bag are taken, and how."""

from __future__ import annotations

from dataclasses import dataclass

from recon3d_ros.config.camera_topics import (
    STEREO_LAYOUTS,
    PairingConfig,
    image_topics,
    info_topic,
    is_packed,
    packed_topics,
)
from recon3d_ros.config.node import require_pair_for_layout
from recon3d_ros.config.options import option


@dataclass(frozen=True)
class ProcessConfig(PairingConfig):
    """How images are taken out of a bag; the names of topics default to those the node subscribes to."""

    mode: str = option("stereo", "stereo pair or single camera", choices=("stereo", "mono"))
    layout: str = option(
        "separate",
        "separate = two image topics; side_by_side or top_bottom = both views in one image, the left view "
        "left or above, with left/camera_info and right/camera_info of the views",
        choices=STEREO_LAYOUTS,
    )
    rectify: bool = option(False, "use image_raw and rectify with camera_info")
    image_transport: str = option(
        "auto", "transport of the images; auto = as in the bag", choices=("auto", "raw", "compressed")
    )
    namespace: str = option(
        "/", "namespace of the following topics that do not start with /, and of the written topics"
    )
    image: str = option("", "topic of the (left) image; empty = [left/]image_rect, image_raw or image")
    camera_info: str = option("", "topic of its camera_info; empty = beside the image topic")
    right_image: str = option("", "topic of the right image; empty = right/...")
    right_camera_info: str = option("", "topic of its camera_info; empty = beside the image topic")

    def validate(self) -> None:
        """Check that a layout of two views is that of a stereo camera."""
        require_pair_for_layout(self.mode, self.layout)

    @property
    def is_packed(self) -> bool:
        """Whether both views of a pair come in one image."""
        return is_packed(self.layout)

    @property
    def is_stereo(self) -> bool:
        """Whether pairs are processed."""
        return self.mode == "stereo"

    def absolute(self, topic: str) -> str:
        """The full name of a topic."""
        return topic if topic.startswith("/") else f"/{self.namespace.strip('/')}/{topic}".replace("//", "/")

    def image_topics(self) -> tuple[str, ...]:
        """Full names of the images, left before right, without the suffix of a compressed transport."""
        given = (self.image, self.right_image)
        usual = image_topics(self.is_stereo and not self.is_packed, self.rectify)
        return tuple(self.absolute(own or topic) for own, topic in zip(given, usual))

    def info_topics(self) -> tuple[str, ...]:
        """Full names of the camera_info topics, in the order of `image_topics`."""
        given = (self.camera_info, self.right_camera_info)
        if self.is_packed:
            usual = packed_topics(self.rectify)[1]
            return tuple(self.absolute(own or topic) for own, topic in zip(given, usual))
        return tuple(
            self.absolute(info) if info else info_topic(image)
            for image, info in zip(self.image_topics(), given)
        )
