"""Fixtures: one upstream and one gateway for all suites that don't disturb them."""

import anthropic
import openai
import pytest

from support import MASTER_KEY, Gateway, Upstream, standard_config


@pytest.fixture(scope="session")
def upstream():
    server = Upstream()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def gateway(upstream, tmp_path_factory):
    server = Gateway(tmp_path_factory.mktemp("gateway"), standard_config(upstream.url))
    yield server
    server.stop()


@pytest.fixture
def own_gateway(upstream, tmp_path):
    """Starts gateways that a test may disturb: own_gateway(config=…) as often as it likes."""
    started = []

    def start(config=None, **options):
        config = config or standard_config(upstream.url)
        started.append(Gateway(tmp_path, config, **options))
        return started[-1]

    yield start
    for server in started:
        server.kill()
        assert "panicked" not in server.output(), server.output()[-4000:]


@pytest.fixture(autouse=True)
def still_alive(request):
    """Whatever a test does to the gateway, it must survive it."""
    yield
    if "gateway" in request.fixturenames:
        server = request.getfixturevalue("gateway")
        assert server.alive(), "the gateway died:\n" + server.output()[-4000:]
        assert "panicked" not in server.output(), server.output()[-4000:]


@pytest.fixture(scope="session")
def openai_client(gateway):
    return openai.OpenAI(base_url=gateway.url + "/v1", api_key=MASTER_KEY, max_retries=0, timeout=30)


@pytest.fixture(scope="session")
def anthropic_client(gateway):
    return anthropic.Anthropic(base_url=gateway.url, api_key=MASTER_KEY, max_retries=0, timeout=30)


@pytest.fixture(params=["chat-openai", "chat-anthropic"])
def group(request):
    """A model group of each upstream dialect: every test runs native and translated."""
    return request.param
