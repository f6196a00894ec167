"""The event sockets of the SIMULATED ComfyUI: who is connected, who is told what, and in which order."""

import json
import queue
import socket
import struct
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Event, Ping, TextMessage
from wsproto.utilities import ProtocolError

PREVIEW, PREVIEW_WITH_METADATA, JPEG = 1, 4, 1
MAX_UPLOAD = 100 << 20  # bytes of any request body
FEATURES = {"supports_preview_metadata": True, "max_upload_size": MAX_UPLOAD}


class Peer:
    """One WebSocket. Two threads write to it: the one that delivers and its own reader."""

    def __init__(self, wire: socket.socket, read: Callable[[int], bytes]) -> None:
        self.features: Mapping[str, Any] = {}
        self.sent = 0
        self._wire = wire
        self._read = read
        self._protocol = WSConnection(ConnectionType.SERVER)
        self._writing = threading.Lock()

    def accept(self, headers: Iterable[tuple[str, str]], target: str) -> None:
        """Answer the upgrade that ``headers`` ask for. Raises ``wsproto``'s ``ProtocolError`` when they do not."""
        listed = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        self._protocol.initiate_upgrade_connection(listed, target)
        for _request in self._protocol.events():
            self._write(AcceptConnection())

    def send(self, message: str | bytes) -> None:
        """Blocks for as long as the other side does not read; a socket that is gone swallows it."""
        self._write(TextMessage(message) if isinstance(message, str) else BytesMessage(message))
        self.sent += 1

    def texts(self) -> Iterator[str]:
        """What the other side says, pings answered, until it closes or is gone."""
        said = ""
        with suppress(OSError, ValueError, ProtocolError):  # however it went, it is over
            while data := self._read(65536):
                self._protocol.receive_data(data)
                for event in self._protocol.events():
                    if isinstance(event, Ping | CloseConnection):
                        self._write(event.response())
                    if isinstance(event, CloseConnection):
                        return
                    if isinstance(event, TextMessage):
                        said += event.data
                        if event.message_finished:
                            yield said
                            said = ""

    def drop(self) -> None:
        """End it without a closing frame, as a cut connection does."""
        with suppress(OSError):
            self._wire.shutdown(socket.SHUT_RDWR)

    def _write(self, event: Event) -> None:
        with suppress(OSError, ProtocolError), self._writing:
            self._wire.sendall(self._protocol.send(event))


class Sockets:
    """All sockets of the server, by client id, and the one thread that delivers to them."""

    def __init__(self, drop_after: int = 0) -> None:
        self._drop_after = drop_after
        self._peers: dict[str, Peer] = {}
        self._letters: queue.SimpleQueue[tuple[str | None, str | bytes]] = queue.SimpleQueue()
        threading.Thread(target=self._deliver, name="event delivery", daemon=True).start()

    def attend(self, peer: Peer, wanted: str, status: Mapping[str, Any], node: Callable[[str], str | None]) -> None:
        """Serve one socket until it ends; ``node`` names what runs now for a client id."""
        sid = wanted or uuid.uuid4().hex
        self._peers[sid] = peer
        peer.send(_text("status", {**status, "sid": sid}))
        if running := node(sid):
            peer.send(_text("executing", {"node": running}))
        try:
            self._converse(peer)
        finally:
            # Whoever is registered under it by now: a replaced socket that ends silences its successor, as in reality.
            self._peers.pop(sid, None)

    def _converse(self, peer: Peer) -> None:
        """Only a very first message that tells features is heeded."""
        for number, text in enumerate(peer.texts()):
            said = json.loads(text) if number == 0 else {}
            if said.get("type") == "feature_flags":
                peer.features = said.get("data", {})
                peer.send(_text("feature_flags", FEATURES))

    def tell(self, event: str, data: Mapping[str, Any], to: str | None = None) -> None:
        """Send to the socket of that client id, to all when it is None; nobody there is no error."""
        self._letters.put((to, _text(event, data)))

    def step(self, progress: Mapping[str, Any], jpeg: bytes, about: Mapping[str, Any], to: str | None) -> None:
        """Progress, and a picture of what is being made; with ``about`` and first, for a client that asked for that."""
        peer = self._peers.get(to) if isinstance(to, str) else None
        if peer and peer.features.get("supports_preview_metadata"):
            words = json.dumps({**about, "image_type": "image/jpeg"}).encode()
            self._letters.put((to, struct.pack(">II", PREVIEW_WITH_METADATA, len(words)) + words + jpeg))
            self.tell("progress", progress, to)
        else:
            self.tell("progress", progress, to)
            self._letters.put((to, struct.pack(">II", PREVIEW, JPEG) + jpeg))

    def drop_all(self) -> int:
        """Cut every connection; how many there were."""
        peers = list(self._peers.values())
        for peer in peers:
            peer.drop()
        return len(peers)

    def _deliver(self) -> None:
        """One message after another, to one socket after another: one that is not read stalls all, as in reality."""
        while True:
            to, message = self._letters.get()
            for sid, peer in list(self._peers.items()):
                if to in (None, sid):
                    peer.send(message)
                    if self._drop_after and peer.sent >= self._drop_after:
                        peer.drop()


def _text(event: str, data: Mapping[str, Any]) -> str:
    return json.dumps({"type": event, "data": data})
