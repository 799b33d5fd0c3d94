"""The command line, `nbam`: one file for each command, loaded when it is first used."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={"main": ["app"]})
