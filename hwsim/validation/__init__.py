"""What is known of real machines and of other simulators, a file each, and what hwsim says of it.

A subject is a module with `rows()`, which yields `hwsim.validate.Row`s. Published numbers lie in a
YAML file of the same name beside it; the module's docstring is its text on the validation page.
"""
