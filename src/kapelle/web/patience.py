"""The HTTP protocol of the server, with an end to its patience: a line on which no request is under way is not held for ever.

uvicorn waits for the next request of a line that was used, but for ever for the first, and for the rest of one that was begun; some
hundreds of such lines would use up a server's sockets. Bodies have a patience of their own, see `kapelle.web.measure.Bodies`. What is
under way, such as a stream of events, may take as long as it likes.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

HEAD_S = 15.0
"""So long a line may be silent at its beginning, or take for a head."""

HEAD_BYTES = 64 << 10
"""Of a head that is not there as a whole yet, so many bytes are held."""


class PatientProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type, unused-ignore]
    """A connection."""

    _end: asyncio.TimerHandle | None = None
    _held = 0

    def connection_made(self, transport: Any) -> None:
        """Begin to wait."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Go on, or wait for the rest of a head."""
        super().data_received(data)
        if self._is_busy():
            self._go_on()
            self._held = 0
            return
        self._held += len(data)
        if self._held > HEAD_BYTES:
            self._give_up()
        elif self._end is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._go_on()
        super().connection_lost(exc)

    def _is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        self._end = self.loop.call_later(HEAD_S, self._give_up)

    def _go_on(self) -> None:
        if self._end is not None:
            self._end.cancel()
            self._end = None

    def _give_up(self) -> None:
        self._end = None
        if not self._is_busy() and not self.transport.is_closing():
            self.transport.close()
