"""Runtime: opens a package, checks it, and predicts, on the device. Imports numpy and one backend, nothing else."""
