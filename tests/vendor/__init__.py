"""Vendor files as microscopes write them, made here since no small real ones of several colours are free."""
