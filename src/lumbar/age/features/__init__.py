"""Age from measured features of the spine: measurement, linear model, and explanation in years."""
