"""The command lines: options in, one line for an error, an exit code out.

What a command does stands in the packages below; heavy imports stand inside the commands.
"""
