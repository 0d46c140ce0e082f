"""Meta-training of the LoRA hypernetwork for sentence encoders, on tasks drawn from labelled texts.

Nothing that a build or a device runs lives here.
"""
