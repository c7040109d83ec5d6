"""Age from measured features of the spine: what is measured, the linear model of it, and its explanation in years."""
