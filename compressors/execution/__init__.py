"""How machines compute with codes without decoding them, step by step: what the counts rest on."""
