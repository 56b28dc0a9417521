use crate::server::{Server, ask, egress, origin, read_request};
use base::Origin;
use egress::{Certainty, Egress, Error, Policy, Reach, Refusal, Resolve, Resolving, Settings};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::AsyncWriteExt;

const PONG: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\npong";

async fn pong() -> Server {
    Server::start(|_, mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(PONG).await.unwrap();
    })
    .await
}

/// Gives the answers in turn, then the last one for ever.
struct Answers {
    answers: Mutex<Vec<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Answers {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |answer: &&[&str]| answer.iter().map(|ip| ip.parse().unwrap()).collect();
        let answers = Mutex::new(answers.iter().map(parse).collect());
        Arc::new(Self { answers, asked: AtomicUsize::new(0) })
    }

    fn egress(self: &Arc<Self>, origin: &Origin, reach: Reach) -> Egress {
        let egress =
            Egress::with_resolver(Settings::default(), Arc::clone(self) as Arc<dyn Resolve>)
                .unwrap();
        let mut policy = Policy::default();
        policy.allow(origin.clone(), reach);
        egress.allowing(&policy)
    }
}

impl Resolve for Answers {
    fn resolve(&self, _host: &str) -> Resolving {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        Box::pin(async move { Ok(answer) })
    }
}

fn refused_address(error: &Error) -> bool {
    matches!(error, Error::Refused { reason: Refusal::Address(_), .. })
}

#[tokio::test]
async fn nothing_is_reached_without_a_policy() {
    let server = pong().await;
    let egress = egress(Settings::default(), &[]);
    let error = ask(&egress, &server.origin()).await.unwrap_err();
    assert!(matches!(error, Error::Refused { reason: Refusal::NotAllowed, .. }), "{error}");
    assert_eq!(error.certainty(), Certainty::NothingSent);
    let said = error.to_string();
    assert!(said.contains(&server.origin().to_string()) && said.contains("api_base"), "{said}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn an_allowed_origin_does_not_allow_another_port() {
    let (allowed, other) = (pong().await, pong().await);
    let error = ask(&allowed.egress(), &other.origin()).await.unwrap_err();
    assert!(matches!(error, Error::Refused { reason: Refusal::NotAllowed, .. }), "{error}");
}

#[tokio::test]
async fn a_loopback_literal_is_refused_unless_named() {
    let server = pong().await;
    let public = egress(Settings::default(), &[(server.origin(), Reach::Public)]);
    let error = ask(&public, &server.origin()).await.unwrap_err();
    assert!(refused_address(&error), "{error}");
    assert_eq!(server.connections(), 0);
    assert_eq!(ask(&server.egress(), &server.origin()).await.unwrap().1, "pong");
}

#[tokio::test]
async fn a_private_answer_is_refused_unless_named() {
    let server = pong().await;
    let url = origin(&format!("http://models.example:{}", server.port));
    let answers = Answers::new(&[&["127.0.0.1"]]);
    let error = ask(&answers.egress(&url, Reach::Public), &url).await.unwrap_err();
    assert!(refused_address(&error), "{error}");
    assert_eq!(server.connections(), 0);
    assert_eq!(ask(&answers.egress(&url, Reach::Named), &url).await.unwrap().1, "pong");
}

#[tokio::test]
async fn one_private_address_among_public_ones_spoils_the_answer() {
    let url = origin("http://api.example");
    let answers = Answers::new(&[&["1.1.1.1", "2606:4700::1111", "10.0.0.1"]]);
    let error = ask(&answers.egress(&url, Reach::Public), &url).await.unwrap_err();
    assert!(error.to_string().contains("10.0.0.1, a private address"), "{error}");
}

#[tokio::test]
async fn a_metadata_address_is_refused_even_when_named() {
    for ip in ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16"] {
        let url = origin("http://models.example");
        let answers = Answers::new(&[&[ip]]);
        let error = ask(&answers.egress(&url, Reach::Named), &url).await.unwrap_err();
        assert!(refused_address(&error), "{ip}: {error}");
    }
    let literal = origin("http://169.254.169.254");
    let egress = egress(Settings::default(), &[(literal.clone(), Reach::Named)]);
    assert!(refused_address(&ask(&egress, &literal).await.unwrap_err()));
}

#[tokio::test]
async fn a_name_that_turns_to_a_private_address_is_refused_from_then_on() {
    let server = pong().await;
    let url = origin(&format!("http://rebind.example:{}", server.port));
    // A first answer that nobody listens at, so that the name is asked again.
    let answers = Answers::new(&[&["127.0.0.2"], &["169.254.169.254"]]);
    let egress = answers.egress(&url, Reach::Named);
    let error = ask(&egress, &url).await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error}");
    let error = ask(&egress, &url).await.unwrap_err();
    assert!(refused_address(&error), "{error}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_burst_asks_the_resolver_once() {
    let server = pong().await;
    let url = origin(&format!("http://models.example:{}", server.port));
    let answers = Answers::new(&[&["127.0.0.1"]]);
    let egress = answers.egress(&url, Reach::Named);
    for _ in 0..10 {
        let (one, two) = tokio::join!(ask(&egress, &url), ask(&egress, &url));
        assert!(one.is_ok() && two.is_ok());
    }
    assert_eq!((answers.asked.load(Ordering::SeqCst), server.connections()), (1, 20));
}

#[tokio::test]
async fn a_dead_address_does_not_hide_a_living_one() {
    let server = pong().await;
    let url = origin(&format!("http://models.example:{}", server.port));
    let answers = Answers::new(&[&["::1", "127.0.0.2", "127.0.0.1"]]);
    assert_eq!(ask(&answers.egress(&url, Reach::Named), &url).await.unwrap().1, "pong");
}

#[tokio::test]
async fn a_redirect_is_returned_and_not_followed() {
    let target = pong().await;
    let location = format!("http://127.0.0.1:{}/elsewhere", target.port);
    let server = Server::start(move |_, mut stream| {
        let location = location.clone();
        async move {
            read_request(&mut stream).await;
            let head = format!(
                "HTTP/1.1 307 Temporary Redirect\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
        }
    })
    .await;
    let allowed = [(server.origin(), Reach::Named), (target.origin(), Reach::Named)];
    let egress = egress(Settings::default(), &allowed);
    assert_eq!(ask(&egress, &server.origin()).await.unwrap().0, 307);
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn an_empty_answer_is_a_resolver_error() {
    let url = origin("http://nowhere.example");
    let error = ask(&Answers::new(&[&[]]).egress(&url, Reach::Public), &url).await.unwrap_err();
    assert!(matches!(error, Error::Resolve { .. }), "{error}");
}

#[tokio::test]
async fn a_path_that_is_none_is_not_sent() {
    let server = pong().await;
    for path in ["v1", "http://evil.example/", "/a b", "/a\r\nx: y", ""] {
        let head = vault::Outgoing::new(
            server.origin(),
            http::Method::POST,
            path.into(),
            http::HeaderMap::new(),
        );
        let sent = server
            .egress()
            .send(head.without_credential(), bytes::Bytes::new(), egress::Limits::default())
            .await;
        assert!(matches!(sent, Err(Error::Unsendable { .. })), "{path:?}");
    }
    assert_eq!(server.connections(), 0);
}
