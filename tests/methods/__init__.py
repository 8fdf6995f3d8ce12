"""Each compression method's published property, one file a method."""
