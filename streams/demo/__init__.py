"""The demo: two models in production on one machine, and a drift that must be found."""
