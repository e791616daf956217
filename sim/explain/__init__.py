"""Why a measured run is as fast as it is, and what one change would bring."""
