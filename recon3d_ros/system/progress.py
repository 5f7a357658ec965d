"""How far a long piece of work is."""

from __future__ import annotations


class Progress:
    """Receives how far a long piece of work is; this one shows it to nobody.

    Who shows it makes a subclass with another `update`. One that raises cancels the work: what it raises
    reaches who began the work.
    """

    def update(self, stage: str, share: float | None = None) -> None:
        """Say what is done now.

        Args:
            stage: what it is, in a word or two.
            share: of the whole work or of the stage, done by now, 0 to 1; None where it is not known.
        """


NO_PROGRESS = Progress()


def progress_text(stage: str, share: float | None) -> str:
    """The same in words: "building, 41 %"."""
    return stage if share is None else f"{stage}, {int(100 * share)} %"
