"""The topics of a camera or a stereo pair: one rule for node, bags, doctor, sources and launch files."""

from __future__ import annotations

from dataclasses import dataclass

from recon3d_ros.config.options import Config, option

LEFT, RIGHT = 0, 1
# Where the views of a stereo camera are: in two images, or in one, the left view left or above.
SEPARATE = "separate"
STEREO_LAYOUTS = (SEPARATE, "side_by_side", "top_bottom")
SIDES = ("left", "right")
NS_PER_MS = 1e6


def is_packed(layout: str) -> bool:
    """Whether one image holds both views of a stereo camera."""
    return layout != SEPARATE


def image_topics(stereo: bool, rectify: bool, prefix: str = "") -> tuple[str, ...]:
    """The image topics that are read, left before right, without the suffix of a compressed transport.

    Args:
        stereo: A pair, else a single camera.
        rectify: The images are raw.
        prefix: Put before each, such as a namespace with its slash.
    """
    if stereo:
        return tuple(f"{prefix}{side}/{'image_raw' if rectify else 'image_rect'}" for side in SIDES)
    return (f"{prefix}{'image_raw' if rectify else 'image'}",)


def info_topic(image_topic: str) -> str:
    """The camera_info topic beside an image topic, as image_transport has it."""
    base = image_topic.removesuffix("/compressed")
    return "".join((*base.rpartition("/")[:2], "camera_info"))


def transport_topic(image_topic: str, transport: str) -> str:
    """The topic of an image in a transport (raw or compressed), as image_transport names it.

    A name that ends with the transport is taken as it is: people name the topics that they see.
    """
    named = transport == "raw" or image_topic.endswith(f"/{transport}")
    return image_topic if named else f"{image_topic}/{transport}"


def packed_topics(rectify: bool, prefix: str = "") -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of a stereo camera with both views in one image: the image topic, and both camera_info topics."""
    infos = tuple(info_topic(topic) for topic in image_topics(True, rectify, prefix))
    return image_topics(False, rectify, prefix), infos


@dataclass(frozen=True)
class PairingConfig(Config):
    """How the images of a stereo pair find each other."""

    sync_tolerance_ms: float = option(
        0.0,
        "largest stamp difference of a stereo pair; 0 = the stamps must be equal",
        unit="ms",
        minimum=0.0,
    )
    # True by default, so that sync_tolerance_ms alone is enough, as before this option was there.
    approximate_sync: bool = option(
        True, "pair images whose stamps differ by at most sync_tolerance_ms; false = the stamps must be equal"
    )

    @property
    def sync_tolerance_ns(self) -> int:
        """Largest stamp difference of a pair."""
        return round(self.sync_tolerance_ms * NS_PER_MS) if self.approximate_sync else 0
