from . import vectors
