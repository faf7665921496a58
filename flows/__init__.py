"""flowlab: normalizing flows, their objectives, their training and their judgement."""
