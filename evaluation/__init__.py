"""Score predictions, compare systems and write a run's report."""
