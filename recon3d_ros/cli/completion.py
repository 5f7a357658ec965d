"""`recon3d completion`: completion of verbs, flags and their values by the shell."""

from __future__ import annotations

import argparse

import argcomplete

HELP = (
    "Print a script that lets the shell complete verbs, flags and values of recon3d with the Tab key. Bash: "
    'eval "$(recon3d completion bash)" in ~/.bashrc. Zsh: the same with zsh in ~/.zshrc, after compinit. '
    "Fish: recon3d completion fish | source in ~/.config/fish/config.fish."
)
SHELLS = ("bash", "zsh", "fish")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument("shell", choices=SHELLS, help="shell to print the script for")


def main(args: argparse.Namespace) -> int:
    """Print the script."""
    print(argcomplete.shellcode(["recon3d"], shell=args.shell))
    return 0
