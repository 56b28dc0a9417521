//! `keymoat serve`, over sockets: what a client sees that is answered before
//! its request is read.

use crate::victim::Victim;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// The demo, on a free port.
struct Server {
    child: Child,
    address: String,
    _victim: Victim,
}

impl Server {
    fn start(name: &str) -> Self {
        let victim = Victim::new(name);
        let mut command = victim.command(&["serve", "--port", "0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (said, address) = mpsc::channel();
        // Reads to the end, so that the pipe never fills.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(address) = line.strip_prefix("listening on http://") {
                    said.send(address.to_owned()).unwrap();
                }
            }
        });
        let address = address.recv_timeout(Duration::from_secs(30)).unwrap();
        Self { child, address, _victim: victim }
    }

    #[expect(clippy::disallowed_methods, reason = "a test is a client")]
    fn connect(&self) -> BufReader<TcpStream> {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_nodelay(true).unwrap();
        BufReader::new(stream)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill().and_then(|()| self.child.wait()));
    }
}

/// Reads an answer with a content-length: status and lower-case head.
fn answer(connection: &mut BufReader<TcpStream>) -> (u16, String) {
    let (mut head, mut line) = (String::new(), String::new());
    while connection.read_line(&mut line).unwrap() > 2 {
        head.push_str(&line.to_ascii_lowercase());
        line.clear();
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.unwrap_or_else(|| panic!("{head}")).parse().unwrap();
    connection.read_exact(&mut vec![0; length]).unwrap();
    let status = head.split(' ').nth(1).unwrap_or_else(|| panic!("{head}"));
    (status.parse().unwrap(), head)
}

fn send(connection: &mut BufReader<TcpStream>, text: &str) {
    connection.get_mut().write_all(text.as_bytes()).unwrap();
}

/// Requests that are answered before their body is read.
const EARLY: [(&str, u16); 4] = [
    ("POST /v1/chat/completions HTTP/1.1\r\nauthorization: Bearer sk-wrong\r\n", 401),
    ("POST /v1/messages HTTP/1.1\r\nx-api-key: sk-wrong\r\n", 401),
    ("POST /nowhere HTTP/1.1\r\n", 404),
    ("POST /v1/models HTTP/1.1\r\n", 405),
];

#[test]
fn a_connection_is_usable_after_an_answer_that_came_before_the_body() {
    let server = Server::start("early");
    for (head, status) in EARLY {
        for size in [2, 20_000, 5 << 20] {
            for chunked in [false, true] {
                let mut connection = server.connect();
                let body = "x".repeat(size);
                for _ in 0..3 {
                    let (framing, body) = if chunked {
                        let chunks = format!("{size:x}\r\n{body}\r\n0\r\n\r\n");
                        ("transfer-encoding: chunked".to_owned(), chunks)
                    } else {
                        (format!("content-length: {size}"), body.clone())
                    };
                    send(&mut connection, &format!("{head}host: x\r\n{framing}\r\n\r\n"));
                    // The answer comes although nothing of the body has.
                    let (got, head) = answer(&mut connection);
                    assert_eq!(got, status, "{head}");
                    assert!(!head.contains("connection: close"), "{head}");
                    send(&mut connection, &body);
                }
                send(&mut connection, "GET /health/liveliness HTTP/1.1\r\nhost: x\r\n\r\n");
                assert_eq!(answer(&mut connection).0, 200);
            }
        }
    }
}

#[test]
fn a_body_that_waits_to_be_asked_for_is_not_waited_for() {
    let server = Server::start("expect");
    for (head, status) in EARLY {
        for sends_all_the_same in [false, true] {
            let mut connection = server.connect();
            let body = "x".repeat(1 << 20);
            let expect = format!("expect: 100-continue\r\ncontent-length: {}", body.len());
            send(&mut connection, &format!("{head}host: x\r\n{expect}\r\n\r\n"));
            let (got, head) = answer(&mut connection);
            assert_eq!(got, status, "no 100 before it: {head}");
            assert!(head.contains("connection: close"), "{head}");
            if sends_all_the_same {
                send(&mut connection, &body);
            }
            let mut rest = Vec::new();
            connection.read_to_end(&mut rest).unwrap();
            assert!(rest.is_empty(), "closed, not reset");
        }
    }
}

#[test]
fn an_answer_to_a_body_that_is_too_large_arrives() {
    let server = Server::start("large");
    let mut connection = server.connect();
    let size = 70 << 20;
    let head = "POST /nowhere HTTP/1.1\r\nhost: x\r\n";
    send(&mut connection, &format!("{head}content-length: {size}\r\n\r\n"));
    // As most clients do: everything is sent before the answer is read.
    let piece = "x".repeat(1 << 20);
    (0..70).for_each(|_| send(&mut connection, &piece));
    assert_eq!(answer(&mut connection).0, 404);
    let mut rest = Vec::new();
    connection.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty(), "closed, not reset");
}

#[test]
fn an_answer_to_a_head_that_is_too_large_arrives() {
    let server = Server::start("head");
    let mut connection = server.connect();
    let head = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(5 << 20));
    send(&mut connection, &head);
    assert_eq!(answer(&mut connection).0, 431);
    let mut rest = Vec::new();
    connection.read_to_end(&mut rest).unwrap();
}
