"""Report pages: one HTML file with tables, pictures, charts and a 3-D view, to open without a server."""

from recon3d_ros.reports.blocks import Block, Facts, Notes, PictureCompare, Table
from recon3d_ros.reports.charts import Histogram, LineChart, Series
from recon3d_ros.reports.page import Page, write_page
from recon3d_ros.reports.scene import SceneView

__all__ = [
    "Block",
    "Facts",
    "Histogram",
    "LineChart",
    "Notes",
    "Page",
    "PictureCompare",
    "SceneView",
    "Series",
    "Table",
    "write_page",
]
