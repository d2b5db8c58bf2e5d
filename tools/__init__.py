"""What maintains and measures the application, and is no part of it."""
