"""A report page: one HTML file that holds its styles, scripts, pictures and clouds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from html import escape
from importlib.resources import files
from pathlib import Path

from recon3d_ros import __version__
from recon3d_ros.files import write_text
from recon3d_ros.reports.blocks import Block
from recon3d_ros.reports.scene import SceneView

# The page asks nobody for anything: no network, no other file, no form.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


@dataclass
class Page:
    """A title, a sentence, and blocks below one another.

    Attributes:
        title: Of the page.
        summary: What was done, with what.
        blocks: In the order of the page.
    """

    title: str
    summary: str = ""
    blocks: list[Block] = field(default_factory=list)

    def add(self, *blocks: Block) -> None:
        """Append blocks."""
        self.blocks += blocks

    def to_html(self) -> str:
        """The whole page.

        Raises:
            ImageError: A picture or cloud is none.
        """
        sections = "".join(
            f"<section><h2>{escape(block.title)}</h2>{block.to_html(f'block-{i}')}</section>"
            for i, block in enumerate(self.blocks)
        )
        scripts = ["page.js"]
        licence = ""
        if any(isinstance(block, SceneView) for block in self.blocks):
            scripts.append("scene.js")
            text = escape(_asset("LICENSE.three.txt"))
            licence = f"<details><summary>licence of three.js</summary><pre>{text}</pre></details>"
        return (
            f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(self.title)}</title>'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
            f"<style>{_asset('page.css')}</style></head><body><header><h1>{escape(self.title)}</h1>"
            f'<p class="soft">{escape(self.summary)}</p></header><main>{sections}</main>'
            f'<footer class="soft"><p>recon3d_ros {__version__}</p>{licence}</footer>'
            f"{_scripts(scripts)}</body></html>"
        )


def write_page(path: Path, page: Page) -> None:
    """Write a page as one file.

    Raises:
        ImageError: A picture or cloud of it is none.
        OutputError: The file cannot be written.
    """
    write_text(path, page.to_html())


def _scripts(names: Sequence[str]) -> str:
    return "".join(f"<script>{_asset(name)}</script>" for name in names)


@lru_cache
def _asset(name: str) -> str:
    return files(__name__.rpartition(".")[0]).joinpath("assets").joinpath(name).read_text(encoding="utf-8")
