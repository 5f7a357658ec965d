"""The documentation site, built by `make docs`.

Sphinx, because rosdoc2 (docs.ros.org) builds the pages of ROS packages with it; MyST reads Markdown.
The sources are those of the repository (only the configuration is here), so that a relative link leads
to the same file on the site and in the repository.
"""

import shutil
from pathlib import Path

from sphinx.application import Sphinx

from recon3d_ros import __version__

project = "recon3d_ros"
copyright = "recon3d_ros maintainers, Apache-2.0"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",  # docstrings in Google's style
    "sphinx_copybutton",
]
root_doc = "README"
include_patterns = ["README.md", "CONTRIBUTING.md", "CHANGELOG.rst", "docs/*.md", "models/*.md"]
exclude_patterns = [".*", "build", "install", "log", "out", "recon3d_ros", "test"]  # need not be searched

myst_heading_anchors = 3  # links to headings, as GitHub makes them
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autodoc_preserve_defaults = True
default_role = "code"  # a name in single quotation marks of the docstrings is code
napoleon_numpy_docstring = False
napoleon_use_ivar = True
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = f"recon3d_ros {version}"
html_show_sphinx = False
html_copy_source = False

# README.md is the first page, and GitHub would show the table of contents in it as text.
CONTENTS = """

```{toctree}
:hidden:
:caption: Install and run
docs/installation
docs/launch
docs/command-line
docs/fleet
docs/mapping
docs/odometry
docs/python
docs/parameters
docs/diagnostics
docs/features
```

```{toctree}
:hidden:
:caption: The node in depth
docs/node
docs/filters
docs/labels
docs/objects
docs/scale
docs/consumers
docs/security
```

```{toctree}
:hidden:
:caption: Models
docs/published-models
docs/own-models
docs/training
docs/datasets
docs/evaluation
models/MODEL_CARD
models/MODEL_CARD_MONO
models/MODEL_CARD_LABELS
models/MODEL_CARD_OBJECTS
```

```{toctree}
:hidden:
:caption: Speed
docs/benchmarks
docs/openvino
docs/tensorrt
docs/jetson
docs/cuda
```

```{toctree}
:hidden:
:caption: Development
docs/architecture
docs/api
CONTRIBUTING
Changelog <CHANGELOG>
```
"""


def setup(app: Sphinx) -> None:
    """Connect the two functions below."""
    app.connect("source-read", add_contents)
    app.connect("build-finished", copy_first_page)


def add_contents(app: Sphinx, page: str, source: list[str]) -> None:
    """Add the table of contents to the first page."""
    if page == root_doc:
        source[0] += CONTENTS


def copy_first_page(app: Sphinx, error: Exception | None) -> None:
    """Name the first page index.html as well, which is what web servers look for."""
    if error is None and app.builder.format == "html":
        shutil.copyfile(Path(app.outdir, f"{root_doc}.html"), Path(app.outdir, "index.html"))
