"""Images and depth of two clocks' ticks: which belong together."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

# Half a period at 25 Hz; the reach of associate.py of the TUM RGB-D benchmark (Sturm et al. 2012).
TOLERANCE_NS = 20_000_000


def nearest_pairs(
    image_ns: Sequence[int], depth_ns: Sequence[int], tolerance_ns: int = TOLERANCE_NS
) -> list[tuple[int, int]]:
    """Pair stamps one to one, the closest first, as associate.py of the TUM RGB-D benchmark does.

    Args:
        image_ns: Stamps of the images, in any order.
        depth_ns: Stamps of the depth, in any order.
        tolerance_ns: The largest difference of a pair, itself included.

    Returns:
        Indices (of image, of depth), in the order of the images.
    """
    order = sorted(range(len(depth_ns)), key=depth_ns.__getitem__)
    rising = [depth_ns[j] for j in order]
    gaps = []
    for i, stamp_ns in enumerate(image_ns):
        near = range(
            bisect_left(rising, stamp_ns - tolerance_ns), bisect_right(rising, stamp_ns + tolerance_ns)
        )
        gaps += [(abs(rising[k] - stamp_ns), i, order[k]) for k in near]
    partner: dict[int, int] = {}
    taken: set[int] = set()
    for _, i, j in sorted(gaps):
        if i not in partner and j not in taken:
            partner[i] = j
            taken.add(j)
    return sorted(partner.items())


def unmatched_note(images: int, depths: int, pairs: int, tolerance_ns: int = TOLERANCE_NS) -> str:
    """Say how many images and depth images have no partner; empty when all have one."""
    if images == depths == pairs:
        return ""
    return (
        f"{pairs} pairs; left out: {images - pairs} of {images} images and {depths - pairs} of {depths} "
        f"depth images without a partner within {tolerance_ns / 1e6:g} ms"
    )
