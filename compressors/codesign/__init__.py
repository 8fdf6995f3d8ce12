"""Co-design: what each layer costs on a machine decides which compression it gets."""
