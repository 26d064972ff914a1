"""What is said of a file that cannot be read."""


def short(error: Exception) -> str:
    """One line of what a library says of a fault."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text.removeprefix("<tifffile.TiffFile").strip()[:160]
