"""Which depths and points to believe.

Those of the depth image change (H, W) float32 metres in place and only ever take away: what they do not
believe becomes NaN, what is beyond the limit +Inf; NaN stays NaN. Those of the cloud return a new one.
"""

from recon3d_ros.filters.chain import DepthFilters
from recon3d_ros.filters.free_space import FreeSpace
from recon3d_ros.filters.outliers import drop_outliers
from recon3d_ros.filters.voxel import voxel_grid

__all__ = ["DepthFilters", "FreeSpace", "drop_outliers", "voxel_grid"]
