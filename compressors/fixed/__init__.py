"""What fixed point is made of: grids, exact layers, the graph between them."""
