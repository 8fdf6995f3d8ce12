"""Published numbers, with source and tolerance; the measured errors are printed."""
