"""Poses of a camera, and what is made of many posed depth maps: one surface, one map. No ROS in here."""
