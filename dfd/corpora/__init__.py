"""Corpora: one adapter each, from files on disk (or from nothing, for the sample corpus) to a Manifest."""
