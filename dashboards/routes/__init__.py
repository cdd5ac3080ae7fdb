"""The routes, one module for what belongs together; each has `add(app, site)`."""
