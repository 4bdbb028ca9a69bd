"""One small client for each system we talk to; the only places that know those systems."""
