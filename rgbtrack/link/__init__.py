"""Time-lapse: cells linked over frames by place and colour, divisions found, motility measured."""
