"""What camera messages say, read without ROS: pixels, calibrations, pairs by stamp.

Messages are taken by their fields (see :mod:`recon3d_ros.messages.kinds`), so those of rclpy and those a bag
reader makes go the same way, and the node and `recon3d process` give the same results.
"""
