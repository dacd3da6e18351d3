"""A stand-in for Anaconda 7.5: it says and does what el7-facts says of it, with Debian's tools. `main` is the order of things."""
