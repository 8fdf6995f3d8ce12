"""Labelled images, one data set per file; the file name is the name."""
