"""Scenes of surfaces with materials: rooms, streets, furniture, thin objects."""
