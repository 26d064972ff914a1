"""Results as other programs open them: tables, single cells, outlines, labels, tracks."""
