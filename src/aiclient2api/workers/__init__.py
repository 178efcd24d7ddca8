"""Several processes behind one listening socket: a supervisor that starts, watches, replaces and asks its workers."""
