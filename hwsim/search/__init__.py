"""The search behind `hwsim.mapper`: which nests there are, what each costs at least, the best."""
