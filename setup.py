"""Build and install recon3d_ros, with pip or as an ament_python package with colcon."""

from __future__ import annotations

from pathlib import Path

from setuptools import find_packages, setup

NAME = "recon3d_ros"
ROOT = Path(__file__).resolve().parent

# The wheels of ROS 2 exist for x86-64 only; elsewhere ROS comes from apt (see docs/installation.md).
ROS_WHEELS = "platform_machine == 'x86_64' and sys_platform == 'linux' and python_version < '3.14'"
OPEN3D_CPU = "platform_machine == 'x86_64' and sys_platform == 'linux'"
OPEN3D_FULL = "platform_machine != 'x86_64' or sys_platform != 'linux'"


def ros_wheels(distro: str, rmw_fastrtps: str) -> list[str]:
    """The wheels of one distribution of ROS 2; those of two do not go into one environment."""
    wheels = (
        f"ros-{distro}-rclpy",
        f"ros-rmw-fastrtps-cpp=={rmw_fastrtps}",
        f"ros-{distro}-common-interfaces",
        "cv-bridge==1.13.0.post0",
    )
    return [f"{wheel}; {ROS_WHEELS}" for wheel in wheels]


MAPPING = ["gtsam>=4.2", "scikit-image>=0.22", "scipy>=1.11", "trimesh>=4.4"]
TEST = ["hypothesis", "pytest", "pytest-timeout"]
EXTRAS = {
    "cpu": ["onnxruntime>=1.18"],
    # Not in cpu: it adds 180 MB and 0.3 s to the start of a process (docs/openvino.md).
    "openvino": ["openvino>=2025.2", "onnxruntime>=1.18"],
    "ros": ros_wheels("jazzy", "8.4.3"),
    "ros-kilted": ros_wheels("kilted", "9.3.3"),
    "bags": ["rosbags>=0.11"],
    "view": [f"open3d-cpu>=0.18; {OPEN3D_CPU}", f"open3d>=0.18; {OPEN3D_FULL}"],
    "ray": ["ray[client]>=2.40", "fsspec>=2024.2"],  # many recordings on many processes or machines
    "mapping": MAPPING,  # recon3d reconstruct
    "fast": ["numba>=0.59"],  # makes its fusion faster
    "rerun": ["rerun-sdk>=0.26"],  # recon3d view
    "browser": ["playwright>=1.40"],  # the tests of the report pages, with Chromium from the system
    "convert": ["onnxruntime>=1.20", "onnx>=1.16"],
    "train": ["torch>=2.13", "onnx>=1.16"],
    # docs/own-models.md; no test run installs it
    "keras": ["keras>=3.15", "torch>=2.13", "onnx>=1.16"],
    "cuda": ["onnxruntime-gpu>=1.18", "pycuda"],  # not for aarch64, where no such wheel is
    # On a Jetson TensorRT comes with JetPack; pycuda is compiled against the installed CUDA.
    "tensorrt": ["tensorrt>=10; platform_machine == 'x86_64'", "pycuda", "onnxruntime>=1.18"],
    "tensorrt-rtx": ["tensorrt_rtx>=1.7", "pycuda", "onnxruntime>=1.18"],
    "docs": ["sphinx>=8", "myst-parser>=4", "furo", "sphinx-copybutton"],
    # colcon test finds pytest by an extra of this name, and runs no test without
    "test": TEST,
    "dev": [
        *TEST,
        *MAPPING,
        "numba>=0.59",
        "colcon-common-extensions",
        "setuptools<80",  # colcon-core drives setup.py by hand, which setuptools 80 ended
        "mypy",
        "onnx>=1.16",
        "pytest-xdist",
        "ruff",
        "types-PyYAML",
    ],
}


def share_files() -> list[tuple[str, list[str]]]:
    """List what goes to share/: everything below launch/, config/ and models/, and what ament looks for."""
    files = [
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ]
    for top in ("launch", "config", "models"):
        for folder in [ROOT / top, *sorted(p for p in (ROOT / top).rglob("*") if p.is_dir())]:
            names = [
                p.relative_to(ROOT).as_posix()
                for p in sorted(folder.iterdir())
                if p.is_file() and p.suffix != ".pyc" and p.name != ".gitkeep"
            ]
            if names and folder.name != "__pycache__":
                files.append((f"share/{NAME}/{folder.relative_to(ROOT).as_posix()}", names))
    return files


setup(
    name=NAME,
    version="0.1.0",
    description="Camera images in, metric point clouds out: CNN depth for ROS 2",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={NAME: ["py.typed", "**/*.cu", "reports/assets/*"]},
    data_files=share_files(),
    python_requires=">=3.10",
    # the lower ends are tested: make test-numpy1
    install_requires=[
        "argcomplete>=3",
        "numpy>=1.26",
        "opencv-python-headless>=4.8,<5",
        "pyyaml>=6.0.1",
        "tqdm>=4.57",
    ],
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": [
            f"recon3d = {NAME}.cli.main:main",
            f"depth_node = {NAME}.cli.executables:depth_node",
            f"map_node = {NAME}.cli.executables:map_node",
            f"image_source = {NAME}.cli.executables:image_source",
        ],
    },
    zip_safe=True,
)
