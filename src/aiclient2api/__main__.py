"""`python -m aiclient2api`."""

from aiclient2api.cli.main import main

main()
