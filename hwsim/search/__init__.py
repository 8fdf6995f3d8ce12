"""The search behind `hwsim.mapper`: which nests there are, what they cost at least, the best one."""
