"""Scripts that measure what the documentation says, as ratios to what one would use otherwise."""
