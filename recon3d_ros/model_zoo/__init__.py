"""Models as data: contracts, manifests, and the registry that finds and verifies them."""
