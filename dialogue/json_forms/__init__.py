"""JSON of recognisers, messengers and data sets."""
