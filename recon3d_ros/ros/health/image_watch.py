"""When to look at the images themselves, and when to believe what is seen. Needs no ROS."""

from __future__ import annotations

from collections.abc import Iterable

from recon3d_ros.geometry import Frame
from recon3d_ros.geometry.image_checks import ImageFault, check_frame, check_images

CHECK_PERIOD_S = 1.0
# Matching features of both images costs some ten times as much as looking at the brightness of one.
PAIR_PERIOD_S = 5.0
# A robot that faces a white wall for a moment has no broken lens.
LOOKS_TO_BELIEVE = 2


class ImageWatch:
    """What the images of one camera show. One thread looks, others read `messages`.

    Attributes:
        messages: one sentence for each thing that is wrong; None before the first look.
    """

    def __init__(self) -> None:
        self.messages: tuple[str, ...] | None = None  # replaced as a whole, so readers need no lock
        self._next = self._next_pair = float("-inf")
        self._single, self._pair = _Belief(), _Belief()

    def is_due(self, now: float) -> bool:
        """Whether the last look is long enough ago."""
        return now >= self._next

    def look_at(self, frame: Frame, now: float) -> None:
        """Check a frame, the geometry of a pair less often.

        Args:
            frame: the rectified image or pair.
            now: monotonic seconds.
        """
        self._next = now + CHECK_PERIOD_S
        found = check_images(frame)
        self._single.update(found)
        if found:  # an image that is poor by itself says nothing of the pair
            self._pair.update(())
        elif frame.right is not None and frame.rig is not None and now >= self._next_pair:
            self._pair.update(check_frame(frame))
            self._next_pair = now + (CHECK_PERIOD_S if self._pair.in_doubt else PAIR_PERIOD_S)
        self.messages = (*self._single.messages, *self._pair.messages)


class _Belief:
    """Findings that were seen in `LOOKS_TO_BELIEVE` looks, one after the other."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], int] = {}
        self.messages: tuple[str, ...] = ()

    def update(self, found: Iterable[ImageFault]) -> None:
        """Take what one look has found."""
        messages = {(fault.kind, fault.subject): fault.message for fault in found}
        self._seen = {key: self._seen.get(key, 0) + 1 for key in messages}
        self.messages = tuple(
            message for key, message in messages.items() if self._seen[key] >= LOOKS_TO_BELIEVE
        )

    @property
    def in_doubt(self) -> bool:
        """Whether something was seen for the first time."""
        return any(count < LOOKS_TO_BELIEVE for count in self._seen.values())
