"""Pictures become arrays of one shape here, when a model is built and on the device: numpy and Pillow, nothing else."""
