"""Services of kind ``comfyui``: see whether one is ready, run workflows on it, bring home what they made."""
