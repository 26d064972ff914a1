"""From experiment.toml to a results folder: the stages, wired.

Every name is imported when it is first used: a worker process needs only a few.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
