"""The documents: examples run, links lead somewhere, figures are those of the code."""
