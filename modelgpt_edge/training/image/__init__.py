"""Training of the tiny trunk for pictures, on photographs and on shapes that are drawn meanwhile.

Nothing that a build or a device runs lives here.
"""
