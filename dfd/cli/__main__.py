"""`python -m dfd.cli` is the `dfd` command."""

from dfd.cli import main

main()
