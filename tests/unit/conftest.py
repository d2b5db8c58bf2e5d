"""Settings of all unit tests."""

from hypothesis import settings

# A deadline would measure how busy the machine is. (In CI hypothesis has a profile of its own.)
settings.register_profile("no deadline", deadline=None)
if settings.get_current_profile_name() == "default":
    settings.load_profile("no deadline")
