"""What each page says: one module a page, each with `build(context)`; rows in, words out, nothing
computed."""
