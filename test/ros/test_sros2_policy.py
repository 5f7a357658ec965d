"""config/sros2/policy.xml allows what the node does, and nothing that it never does."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from recon3d_ros.config import SENSOR_SOURCES

POLICY = Path(__file__).resolve().parents[2] / "config" / "sros2" / "policy.xml"
# Of sros2's policy.xsd: what may stand in what, with which attributes.
CHILDREN = {
    "policy": {"enclaves"},
    "enclaves": {"enclave"},
    "enclave": {"profiles"},
    "profiles": {"profile"},
    "profile": {"topics", "services"},
    "topics": {"topic"},
    "services": {"service"},
}
ATTRIBUTES = {
    "policy": {"version"},
    "enclave": {"path"},
    "profile": {"ns", "node"},
    "topics": {"publish", "subscribe"},
    "services": {"reply", "request"},
}
# What the node takes from outside only in certain modes that need another package or a bag.
ON_DEMAND = {"/clock", "/tf", "/tf_static", "bond"}
# What rclpy of some distros has, and of others not.
OF_SOME_DISTROS = {"~/get_type_description", "~/get_transition_graph"}
VARIANTS = {
    "stereo": {},
    "raw_pair": {"rectify": True, "image_transport": "compressed"},
    "packed_pair": {"image_transport": "compressed"},
    "unrectified_pair": {"rectify": True},
    "mono": {"mode": "mono"},
    "raw_mono": {"mode": "mono", "rectify": True},
    "packed_mono": {"mode": "mono", "image_transport": "compressed"},
    "packed_raw_mono": {"mode": "mono", "rectify": True, "image_transport": "compressed"},
    "scaled_mono": {
        "mode": "mono",
        "scale_sources": list(SENSOR_SOURCES),
        "scale_poses": [f"{sensor} 0 0 0 0 0 0" for sensor in SENSOR_SOURCES],
    },
    "packed_scaled_mono": {
        "mode": "mono",
        "scale_sources": ["depth_image"],
        "scale_poses": ["depth_image 0 0 0 0 0 0"],
        "scale_depth_transport": "compressedDepth",
    },
}


@pytest.fixture(scope="module")
def allowed() -> dict[str, set[str]]:
    """The names by what may be done with them."""
    rights: dict[str, set[str]] = {"publish": set(), "subscribe": set(), "reply": set(), "request": set()}
    for names in ET.parse(POLICY).getroot().iter():
        for right, rule in names.attrib.items():
            if right in rights:
                assert rule == "ALLOW"
                rights[right] |= {str(name.text) for name in names}
    return rights


def test_the_file_keeps_the_schema_of_sros2():
    root = ET.parse(POLICY).getroot()
    assert root.tag == "policy" and root.attrib == {"version": "0.2.0"}
    for element in root.iter():
        assert {child.tag for child in element} <= CHILDREN.get(element.tag, set()), element.tag
        assert len(element) > 0 or element.tag in ("topic", "service")
        assert set(element.attrib) <= ATTRIBUTES.get(element.tag, set()), element.tag
        if element.tag in ("topics", "services"):
            assert set(element.attrib.values()) == {"ALLOW"}
    (profile,) = root.iter("profile")
    assert profile.attrib == {"ns": "/", "node": "depth_node"}


def relative(name: str, namespace: str) -> str:
    """A name as the policy has it for a node in the root namespace."""
    private = f"/{namespace}/depth_node/"
    if name.startswith(private):
        return "~/" + name.removeprefix(private)
    return name.removeprefix(f"/{namespace}/")


def test_it_allows_what_the_node_does_and_nothing_that_it_never_does(make_bench, allowed):
    done = {"publish": set(), "subscribe": set(), "reply": set()}
    for variant, parameters in VARIANTS.items():
        model = "fake_mono" if parameters.get("mode") == "mono" else "fake_stereo"
        bench = make_bench({"model": model, **parameters}, f"policy_{variant}", outputs=("points",))
        node, me = bench.node, (bench.node.get_name(), bench.node.get_namespace())
        seen = {}

        # both of a pair, or one and perhaps a depth image
        count = 1 if model == "fake_mono" and "scale_sources" not in parameters else 2

        def look(node=node, me=me, seen=seen, wanted=count):
            seen["publish"] = node.get_publisher_names_and_types_by_node(*me)
            seen["subscribe"] = node.get_subscriber_names_and_types_by_node(*me)
            seen["reply"] = node.get_service_names_and_types_by_node(*me)
            images = [name for name, types in seen["subscribe"] if any("Image" in t for t in types)]
            return len(images) == wanted

        bench.wait(look, what="the node does not subscribe to its images")
        time.sleep(0.1)
        for right, names in seen.items():
            done[right] |= {relative(name, f"policy_{variant}") for name, _ in names}
    for right, names in done.items():
        assert names <= allowed[right] | OF_SOME_DISTROS, right
        superfluous = allowed[right] - names - ON_DEMAND - OF_SOME_DISTROS - {"/parameter_events"}
        assert not superfluous, (right, superfluous)
    assert not allowed["request"]
