"""Makes the rehearsal medium: `main` is the order of things, every other module is one of them."""
