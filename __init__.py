"""howspec from a checkout that is not installed: link this folder as `howspec` on the path.

Nothing here is installed: the package is api/, and the other folders are its sub-packages.
"""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

__version__: str

_root = Path(__file__).resolve().parent
_spec = spec_from_file_location(
    __name__,
    _root / "api" / "__init__.py",
    submodule_search_locations=[str(_root / "api"), str(_root)],
)
assert _spec is not None
assert _spec.loader is not None
sys.modules[__name__] = module_from_spec(_spec)
_spec.loader.exec_module(sys.modules[__name__])
