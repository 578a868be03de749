"""dfd: a research dashboard and experiment tracker for deepfake video detection."""

__version__ = "0.1.0"
