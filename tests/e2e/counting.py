"""A scripted provider that keeps its own books: what it generated, whoever received it.

A request names its script with `script=NAME` anywhere in its body. A script is
a coroutine `script(call)`; what it reports to the gateway and what it counts
with `call.bill` are independent, and it goes on when the connection is closed.
"""

import asyncio
import contextlib
import json
import re
import threading
import time


class Call:
    """One request that reached the provider."""

    def __init__(self, books, name, path, body, writer):
        self.books, self.name, self.path, self.body, self._writer = books, name, path, body, writer

    async def send(self, data):
        """Sends bytes, as long as somebody receives them."""
        if self._writer.is_closing():
            return
        with contextlib.suppress(OSError):
            self._writer.write(data)
            await self._writer.drain()

    def bill(self, usd):
        with self.books.lock:
            self.books.usd[self.name] = self.books.usd.get(self.name, 0.0) + usd

    async def head(self, kind="application/json", status="200 OK", headers=()):
        lines = [f"HTTP/1.1 {status}", f"content-type: {kind}", "connection: close", *headers]
        await self.send("\r\n".join(lines).encode() + b"\r\n\r\n")

    async def answer(self, body, status="200 OK", headers=()):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        await self.head(status=status, headers=[f"content-length: {len(body)}", *headers])
        await self.send(body)

    async def events(self, *events):
        """Server-sent events: bytes as they are, anything else as JSON data."""
        for event in events:
            name = f"event: {event['type']}\n".encode() if isinstance(event, dict) and "type" in event else b""
            data = event if isinstance(event, bytes) else name + b"data: " + json.dumps(event).encode() + b"\n\n"
            await self.send(data)


class Books:
    """The provider: a server on loopback, with what each script has cost it."""

    def __init__(self):
        self.scripts, self.usd, self.calls, self.lock = {}, {}, {}, threading.Lock()
        self.running, self.running_max, self.arrivals = {}, {}, {}
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(10), "the counting upstream did not start"

    def _run(self, ready):
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._connection, "127.0.0.1", 0, backlog=2000, limit=1 << 20)
        )
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set()
        self._loop.run_forever()

    async def _connection(self, reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: *(\d+)", head, re.I)
            body = await reader.readexactly(int(length[1])) if length else b""
            if re.search(rb"transfer-encoding: *chunked", head, re.I):
                while size := int(await reader.readline(), 16):
                    body += await reader.readexactly(size)
                    await reader.readline()
                await reader.readline()
            name = re.search(rb"script=([\w-]+)", body)[1].decode()
            path = head.split(b" ", 2)[1].decode()
            call = Call(self, name, path, json.loads(body), writer)
            with self.lock:
                self.calls[name] = self.calls.get(name, 0) + 1
                self.running[name] = self.running.get(name, 0) + 1
                self.running_max[name] = max(self.running_max.get(name, 0), self.running[name])
                self.arrivals.setdefault(name, []).append(time.monotonic())
            try:
                await self.scripts[name](call)
            finally:
                with self.lock:
                    self.running[name] -= 1
        with contextlib.suppress(OSError):
            writer.close()

    def true(self, name):
        """What the provider charges for all calls of a script, in US dollars."""
        with self.lock:
            return self.usd.get(name, 0.0)

    def is_idle(self, name):
        with self.lock:
            return self.running.get(name, 0) == 0

    def stop(self):
        def end():
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.call_later(0.1, self._loop.stop)

        self._loop.call_soon_threadsafe(end)
        self._thread.join(10)


def chunk(delta=None, index=0, finish=None, **fields):
    """A chunk of an OpenAI stream."""
    choice = {"index": index, "delta": delta or {}, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "up", "choices": [choice], **fields}


def usage(prompt, completion, **fields):
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion, **fields}


DONE = b"data: [DONE]\n\n"
SSE = "text/event-stream"


def completion(text="x", finish="stop", **fields):
    """A whole OpenAI answer."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "up", "choices": [choice], **fields}


def message_start(**counted):
    message = {"id": "m", "type": "message", "role": "assistant", "model": "up", "content": [], "stop_reason": None}
    return {"type": "message_start", "message": {**message, **({"usage": counted} if counted else {})}}


def text_block(text, index=0):
    return [
        {"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": text}},
        {"type": "content_block_stop", "index": index},
    ]


def message_delta(stop="end_turn", **counted):
    event = {"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}}
    return {**event, **({"usage": counted} if counted else {})}


MESSAGE_STOP = {"type": "message_stop"}
