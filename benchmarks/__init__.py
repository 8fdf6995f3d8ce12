"""Speed, side by side with peers or limits, as ratios within one run."""
