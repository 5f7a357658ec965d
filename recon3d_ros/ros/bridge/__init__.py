"""Between ROS and our own types: messages, parameters, transforms, DDS settings, the run of a node."""
