"""The commands of `poc`: each module holds the arguments of a few and what these do.

At import they load no more than the standard library, `poc.errors` and each other, so that
`poc --help` answers at once; what a command needs is imported inside it.
"""
