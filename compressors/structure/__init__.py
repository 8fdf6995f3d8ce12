"""The channels of a network: which go together, and a network without some of them."""
