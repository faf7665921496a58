"""Model families: one file each, a short builder that composes bases, transforms and nets."""
