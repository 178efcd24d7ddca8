"""One exchange, start to end: the failover loop, the open upstream, and who is told about it."""
