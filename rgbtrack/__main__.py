"""``python -m rgbtrack``."""

from rgbtrack.cli import main

if __name__ == "__main__":
    main()
