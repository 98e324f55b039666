"""Training as a loop of steps, its folder and checkpoints, faults, scores and curve."""
