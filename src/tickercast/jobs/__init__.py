"""One file, one verb: a job takes its ports as arguments, gathers, decides and applies."""
