"""The picture: what ffmpeg makes of a channel, as far as features decide it."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

# The features of the service, as the policy file's degradation levels name them.
HD_TRANSCODE = "hd-transcode"
PREVIEWS = "previews"

_SOURCE = "-re -f lavfi -i testsrc2=size={size}:rate=15"
# The quickest preset: even in HD a channel costs less than a tenth of a core.
_ENCODER = (
    "-c:v libx264 -preset ultrafast -tune zerolatency -g 15 -threads 1 "
    "-b:v {rate} -maxrate {rate} -bufsize {rate} -f flv"
)
_HD = {"size": "1280x720", "rate": "2500k"}
_SMALL = {"size": "320x180", "rate": "300k"}
# A new file once a second, never half written.
_PREVIEW = shlex.split("-vf fps=1,scale=160:-2 -update 1 -atomic_writing 1 -f image2 -y")


@dataclass(frozen=True)
class Picture:
    """What is sent, and what is made beside it.

    Attributes:
        hd: In high definition; otherwise small, at about an eighth of the bits.
        previews: Whether a still picture is kept beside the stream.
    """

    hd: bool
    previews: bool

    @classmethod
    def of(cls, feature: Callable[[str], bool]) -> Self:
        """The picture while features are as they are; ``Holdfast.feature`` tells."""
        return cls(hd=feature(HD_TRANSCODE), previews=feature(PREVIEWS))

    def arguments(self, url: str, *, preview: Path) -> list[str]:
        """What ffmpeg is told, but for how it is to talk.

        Args:
            url: Where the stream goes.
            preview: Where the still picture goes, if there is to be one.
        """
        kind = _HD if self.hd else _SMALL
        stream = [*shlex.split(_SOURCE.format_map(kind)), *shlex.split(_ENCODER.format_map(kind))]
        still = [*_PREVIEW, str(preview)] if self.previews else []
        return [*stream, url, *still]
